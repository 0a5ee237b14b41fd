"""What the controller knows: its tunnels, its sessions, its workers, and who is whose.

Only data and indices. Everything that must survive the controller one day passes through here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from controller.identifiers import IdentifierSpace
from controller.leases import Lease
from controller.peers import PeerRule
from shared.addresses import Address
from shared.ipc.messages import AuthDecision, SessionCounters, session_digest
from shared.l2tp.connection import CallInfo, ControlConnection, DisconnectCause, Result
from shared.mtu import SEQUENCE_OCTETS
from shared.ppp.policy import Authorization

Key = tuple[int, int]  # local tunnel ID, local session ID
HEARTBEAT_LOST_S: Final = 5.0  # a worker says something each second


class TunnelState(StrEnum):
    """What an operator sees."""

    STARTING = "starting"
    ESTABLISHED = "established"
    CLOSING = "closing"


class SessionState(StrEnum):
    """What an operator sees; accel-ppp's words."""

    STARTING = "starting"
    ACTIVE = "active"
    FINISHING = "finishing"


@dataclass(slots=True, eq=False)
class Tunnel:
    """One control connection. ``worker`` is None where its sessions are spread over all."""

    connection: ControlConnection
    rule: PeerRule
    listen: int
    local_address: str | None  # that the peer dialled, where the socket listens on all
    worker: int | None
    source: tuple[Address, int]  # with the peer's tunnel ID: what a repeated SCCRQ is known by
    session_ids: IdentifierSpace
    created_at: float
    state: TunnelState = TunnelState.STARTING
    sessions: dict[int, Session] = field(default_factory=dict)

    @property
    def tunnel_id(self) -> int:
        """Our ID of it."""
        return self.connection.local_tunnel_id


@dataclass(slots=True)
class Traffic:
    """What a session has carried; ``base`` is what earlier runs of its worker have."""

    base: tuple[int, int, int, int] = (0, 0, 0, 0)  # rx packets, rx octets, tx packets, tx octets
    current: tuple[int, int, int, int] = (0, 0, 0, 0)

    def update(self, row: SessionCounters) -> None:
        """Take the worker's totals."""
        self.current = (row.rx_packets, row.rx_octets, row.tx_packets, row.tx_octets)

    def restart(self) -> None:
        """Begin again at zero, without losing anything: another worker has taken over."""
        self.base = self.total
        self.current = (0, 0, 0, 0)

    @property
    def total(self) -> tuple[int, int, int, int]:
        """All runs together."""
        base, current = self.base, self.current
        return (base[0] + current[0], base[1] + current[1], base[2] + current[2], base[3] + current[3])


@dataclass(slots=True, eq=False)
class Session:
    """One call, from ICRQ on. It is ``assigned`` once its worker runs PPP for it."""

    tunnel: Tunnel
    session_id: int
    peer_session_id: int
    call: CallInfo
    worker: int
    created_at: float
    state: SessionState = SessionState.STARTING
    assigned: bool = False
    username: str = ""
    request_id: int | None = None  # of the last `AuthRequest`
    decision: AuthDecision | None = None  # the answer to it, None while it is awaited
    authorization: Authorization | None = None
    lease: Lease | None = None
    traffic: Traffic = field(default_factory=Traffic)
    up_at: float | None = None
    ip: str = ""
    ending: str = ""  # why we end it, where we do
    verdict: tuple[Result, DisconnectCause | None] | None = None  # for the CDN, where we know better than PPP

    @property
    def key(self) -> Key:
        """Its IDs, as its worker knows them."""
        return self.tunnel.tunnel_id, self.session_id

    @property
    def sequenced(self) -> bool:
        """Whether its data messages are numbered: the LAC wants it (RFC 2661 §4.4.4), or the operator."""
        return self.call.sequencing_required or self.tunnel.rule.peer.sequencing

    def less_numbers(self, octets: int) -> int:
        """Return what is left for a packet of ``octets``, which the profile grants, beside Ns and Nr."""
        return octets - SEQUENCE_OCTETS if self.sequenced else octets


@dataclass(slots=True, eq=False)
class Worker:
    """One worker process. ``desired`` is what it should run."""

    index: int
    pid: int | None = None
    datapath: str = ""
    offloads: tuple[str, ...] = ()
    epoch: int = 0
    heard_at: float = float("-inf")
    mismatches: int = 0  # heartbeats in a row that did not agree with us
    tunnels: int = 0
    sessions: int = 0  # placed here, whether or not ICCN has come
    desired: dict[Key, Session] = field(default_factory=dict)
    totals: Mapping[str, int] = field(default_factory=dict)
    _mixed: int = 0

    def is_present(self, now: float) -> bool:
        """Whether it has said `Hello` and something since, just now."""
        return self.epoch > 0 and now - self.heard_at < HEARTBEAT_LOST_S

    def want(self, session: Session) -> None:
        """Add ``session`` to what it should run."""
        if session.key not in self.desired:
            self.desired[session.key] = session
            self._mixed ^= session_digest({session.key}) ^ 1

    def unwant(self, session: Session) -> None:
        """Remove ``session`` from what it should run."""
        if self.desired.get(session.key) is session:
            del self.desired[session.key]
            self._mixed ^= session_digest({session.key}) ^ 1

    @property
    def digest(self) -> int:
        """`session_digest` of ``desired``, kept up to date rather than computed each second."""
        return self._mixed ^ len(self.desired)


class Registry:
    """All of it, with the indices that the controller looks things up by."""

    def __init__(self, workers: int) -> None:
        self.workers = [Worker(index) for index in range(workers)]
        self.tunnels: dict[int, Tunnel] = {}
        self.half_open: dict[int, Tunnel] = {}  # of the tunnels, oldest first
        self._by_source: dict[tuple[Address, int], Tunnel] = {}
        self._by_username: dict[str, dict[Key, Session]] = {}
        self.session_count = 0

    def add_tunnel(self, tunnel: Tunnel) -> None:
        """Add a tunnel whose SCCRQ has been let in."""
        self.tunnels[tunnel.tunnel_id] = tunnel
        self.half_open[tunnel.tunnel_id] = tunnel
        self._by_source[tunnel.source] = tunnel
        tunnel.rule.tunnels += 1
        if tunnel.worker is not None:
            self.workers[tunnel.worker].tunnels += 1

    def establish(self, tunnel: Tunnel) -> None:
        """Note that SCCCN has come."""
        tunnel.state = TunnelState.ESTABLISHED
        self.half_open.pop(tunnel.tunnel_id, None)

    def move_tunnel(self, tunnel: Tunnel, to: Address) -> None:
        """Note where the peer is now."""
        if self._by_source.get(tunnel.source) is tunnel:
            del self._by_source[tunnel.source]
        tunnel.source = (to, tunnel.source[1])
        self._by_source.setdefault(tunnel.source, tunnel)

    def close_tunnel(self, tunnel: Tunnel) -> None:
        """Note that the tunnel is over, so that a new SCCRQ makes a new one; its ID stays taken."""
        if tunnel.state is TunnelState.CLOSING:
            return
        tunnel.state = TunnelState.CLOSING
        self.half_open.pop(tunnel.tunnel_id, None)
        if self._by_source.get(tunnel.source) is tunnel:
            del self._by_source[tunnel.source]
        tunnel.rule.tunnels -= 1
        if tunnel.worker is not None:
            self.workers[tunnel.worker].tunnels -= 1

    def remove_tunnel(self, tunnel: Tunnel) -> None:
        """Forget the tunnel."""
        self.close_tunnel(tunnel)
        self.tunnels.pop(tunnel.tunnel_id, None)

    def tunnel_from(self, source: Address, peer_tunnel_id: int) -> Tunnel | None:
        """Return the tunnel that this peer has asked for before."""
        return self._by_source.get((source, peer_tunnel_id))

    def session(self, tunnel_id: int, session_id: int) -> Session | None:
        """Return a session by our IDs."""
        tunnel = self.tunnels.get(tunnel_id)
        return None if tunnel is None else tunnel.sessions.get(session_id)

    def sessions(self) -> Iterator[Session]:
        """Give every session."""
        for tunnel in self.tunnels.values():
            yield from tunnel.sessions.values()

    def add_session(self, session: Session) -> None:
        """Add a session whose ICRQ we accept."""
        session.tunnel.sessions[session.session_id] = session
        session.tunnel.rule.sessions += 1
        self.workers[session.worker].sessions += 1
        self.session_count += 1

    def remove_session(self, session: Session) -> None:
        """Forget a session."""
        del session.tunnel.sessions[session.session_id]
        session.tunnel.rule.sessions -= 1
        self.workers[session.worker].sessions -= 1
        self.workers[session.worker].unwant(session)
        self.session_count -= 1
        self._unname(session)

    def name_session(self, session: Session, username: str) -> None:
        """Note whose session it is, once that is proven."""
        self._unname(session)
        session.username = username
        self._by_username.setdefault(username, {})[session.key] = session

    def sessions_of(self, username: str) -> list[Session]:
        """Return the sessions of one subscriber, oldest first."""
        return list(self._by_username.get(username, {}).values())

    def _unname(self, session: Session) -> None:
        mine = self._by_username.get(session.username)
        if mine is not None and mine.pop(session.key, None) is not None and not mine:
            del self._by_username[session.username]
