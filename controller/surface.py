"""What the controller shows of itself and lets others ask of it.

The admin socket, the HTTP listener, the metrics and the command line know the controller only as a
`Service`. Field names are the JSON keys that users rely on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One session. ``rx`` is from the subscriber; octets are PPP payload."""

    session_id: int
    tunnel_id: int
    worker: int
    ifname: str
    username: str
    calling_sid: str
    ip: str
    type: str  # always "l2tp"
    state: str  # starting, active, finishing
    service: str  # routed, bridged, both
    uptime_s: int
    rx_bytes: int
    tx_bytes: int
    rx_packets: int
    tx_packets: int
    peer: str


@dataclass(frozen=True, slots=True)
class TunnelRow:
    """One tunnel; ``worker`` is None where its sessions are spread over all."""

    tunnel_id: int
    peer_tunnel_id: int
    peer: str
    hostname: str
    state: str  # starting, established, closing
    sessions: int
    worker: int | None
    uptime_s: int


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """One worker process; ``pid`` is None while it is away."""

    index: int
    pid: int | None
    tunnels: int
    sessions: int
    datapath: str
    offloads: list[str]
    sockets: list[str]  # "inode address" of each UDP socket that it reads, as `ss -e` shows them
    rx_packets: int
    tx_packets: int


@dataclass(frozen=True, slots=True)
class PoolRow:
    """One address pool."""

    name: str
    prefix: str
    gateway: str
    size: int
    used: int
    free: int
    blocks: int  # that workers hold


@dataclass(frozen=True, slots=True)
class Selection:
    """Which sessions a command means. All given fields must match; ``all`` must be said, never implied."""

    tunnel_id: int | None = None
    session_id: int | None = None
    username: str | None = None
    ip: str | None = None
    all: bool = False

    def matches(self, row: SessionRow) -> bool:
        """Return whether ``row`` is meant."""
        wanted = (
            (self.tunnel_id, row.tunnel_id),
            (self.session_id, row.session_id),
            (self.username, row.username),
            (self.ip, row.ip),
        )
        given = [(want, has) for want, has in wanted if want is not None]
        return all(want == has for want, has in given) if given else self.all


class Service(Protocol):
    """The controller, as its surfaces see it. Called in the controller's event loop; nothing here waits."""

    def sessions(self) -> Iterable[SessionRow]:
        """Give every session, in no particular order."""

    def tunnels(self) -> Iterable[TunnelRow]:
        """Give every tunnel, in no particular order."""

    def workers(self) -> Iterable[WorkerRow]:
        """Give every worker, by index."""

    def pools(self) -> Iterable[PoolRow]:
        """Give every pool, as configured."""

    def counters(self) -> Mapping[str, int]:
        """Give the controller's own totals by name, such as ``sccrq_received``."""

    def worker_counters(self) -> Mapping[int, Mapping[str, int]]:
        """Give each worker's totals by name, as of its last heartbeat."""

    def missing(self) -> list[str]:
        """Say what is not there yet before calls can be taken; nothing when ready."""

    def terminate(self, selection: Selection, reason: str) -> int:
        """End the selected sessions in an orderly way; return how many there were."""
