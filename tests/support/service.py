"""A controller that is a handful of rows: what the API, the metrics and the commands show in tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from controller.surface import PoolRow, Selection, SessionRow, TunnelRow, WorkerRow

ALICE = SessionRow(
    session_id=2,
    tunnel_id=1,
    worker=1,
    ifname="culvert1",
    username="alice",
    calling_sid="192.0.2.2",
    ip="10.0.0.10",
    type="l2tp",
    state="active",
    service="routed",
    uptime_s=3723,
    rx_bytes=1000,
    tx_bytes=2_000_000,
    rx_packets=10,
    tx_packets=20,
    peer="192.0.2.2:1701",
)
BOB = replace(ALICE, session_id=1, tunnel_id=2, worker=0, ifname="culvert0", username="bob", ip="10.0.0.11")
CAROL = replace(ALICE, session_id=7, tunnel_id=1, username="carol", ip="10.0.0.12", state="starting")


@dataclass(slots=True)
class Rows:
    """Implements `controller.surface.Service`; ``terminated`` keeps what was asked for."""

    session_rows: list[SessionRow] = field(default_factory=lambda: [BOB, CAROL, ALICE])
    absent: list[str] = field(default_factory=list)
    terminated: list[tuple[Selection, str]] = field(default_factory=list)

    def sessions(self) -> Iterable[SessionRow]:
        return self.session_rows

    def tunnels(self) -> Iterable[TunnelRow]:
        first = TunnelRow(1, 77, "192.0.2.2:1701", "client", "established", 2, 1, 3730)
        return [replace(first, tunnel_id=2, sessions=1, worker=None), first]

    def workers(self) -> Iterable[WorkerRow]:
        first = WorkerRow(0, 4711, 1, 1, "reference", [], ["4242 192.0.2.1:1701"], 5, 6)
        return [first, replace(first, index=1, pid=None, sessions=2)]

    def pools(self) -> Iterable[PoolRow]:
        return [PoolRow("subscribers", "10.0.0.0/16", "10.0.0.1", 65533, 3, 65530, 2)]

    def counters(self) -> Mapping[str, int]:
        return {"sccrq_received": 2, "malformed": 0}

    def worker_counters(self) -> Mapping[int, Mapping[str, int]]:
        return {0: {"rx_packets": 5, "tx_octets": 600, "no_session": 1}, 1: {"rx_packets": 7}}

    def missing(self) -> list[str]:
        return self.absent

    def terminate(self, selection: Selection, reason: str) -> int:
        self.terminated.append((selection, reason))
        return sum(selection.matches(row) for row in self.session_rows)
