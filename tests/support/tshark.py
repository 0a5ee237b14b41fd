"""What tshark has to say about captures."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

# Warnings and errors (Wireshark's PI_WARN and above); chats and notes are no complaint.
_PREFERENCES: Final = ("-o", "tcp.analyze_sequence_numbers:FALSE")
_COMPLAINT: Final = "_ws.malformed || _ws.expert.severity >= 0x600000"


def count(capture: Path, display_filter: str) -> int:
    """Return how many frames match."""
    return len(_tshark(capture, display_filter, "frame.number"))


def complaints(capture: Path, sender: str) -> list[str]:
    """Return what tshark objects to in the frames from ``sender``, a line each.

    TCP's own retransmissions and gaps are not L2TP's business, so they are not looked for.
    """
    display_filter = f"ip.src == {sender} && udp.port == 1701 && ({_COMPLAINT})"
    return _tshark(capture, display_filter, "frame.number", "_ws.col.Info", "_ws.expert.message")


def _tshark(capture: Path, display_filter: str, *fields: str) -> list[str]:
    columns = [word for name in fields for word in ("-e", name)]
    done = subprocess.run(
        ["tshark", "-n", "-r", str(capture), *_PREFERENCES, "-Y", display_filter, "-T", "fields", *columns],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()
