"""Which worker reads the data messages of a session: the rule that the kernel's steering program follows.

The controller places a tunnel by choosing a local tunnel ID of the right residue. A tunnel from the
spread range is shared out by session ID instead, so that one tunnel can use every worker.
"""

from __future__ import annotations

from typing import Final

SPREAD_BASE: Final = 0xF000  # local tunnel IDs from here to 0xFFFF are spread


def worker_of(tunnel_id: int, session_id: int, workers: int) -> int:
    """Return the index of the worker, 0 to ``workers`` - 1, for our own tunnel and session ID."""
    return (session_id if tunnel_id >= SPREAD_BASE else tunnel_id) % workers
