"""The controller's own totals: plain integers, read by whoever shows them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Totals:
    """Counted since the start. What is dropped is counted once, by reason."""

    datagrams_received: int = 0
    datagrams_sent: int = 0
    send_failed: int = 0
    not_control: int = 0  # data and other things that are not for this socket
    other_version: int = 0  # L2TPv3, L2F
    malformed: int = 0
    unknown_tunnel: int = 0
    unread: int = 0  # without a tunnel ID, at a time when no new tunnel would have been let in
    sccrq_received: int = 0
    sccrq_repeated: int = 0
    sccrq_rate_limited: int = 0
    sccrq_no_room: int = 0
    sccrq_refused: int = 0  # with a StopCCN
    half_open_evicted: int = 0
    tunnels_established: int = 0
    tunnels_closed: int = 0
    tunnels_failed: int = 0  # by a bug of ours
    calls_offered: int = 0
    calls_rejected: int = 0
    sessions_assigned: int = 0
    sessions_established: int = 0
    sessions_closed: int = 0
    authentications: int = 0
    authentications_refused: int = 0
    addresses_exhausted: int = 0
    worker_messages: int = 0
    worker_messages_refused: int = 0  # none of ours, or not from a worker
    worker_messages_dropped: int = 0  # to a worker that is away
    reconciliations: int = 0
