"""A worker and the peers that dial it, joined by nothing but their datagrams, on a clock of ours."""

from __future__ import annotations

from collections import deque
from random import Random

from shared.addresses import Address
from shared.ipc.messages import (
    AuthDecision,
    AuthRequest,
    FromWorker,
    SessionAssigned,
)
from shared.ppp.policy import Authorization, IPv4Service, LinkPolicy
from tests.workers.peer import Peer
from workers.datapath import Datagram, Datapath
from workers.worker import Worker

LNS: Address = ("192.0.2.1", 1701)
CPE: Address = ("198.51.100.7", 1701)
POLICY = LinkPolicy(authentication=("pap",))
GRANT = Authorization("alice", IPv4Service("10.0.0.1", "10.0.0.10", ("192.168.22.1",)), ipv6=True)


def assigned(
    tunnel_id: int = 1, session_id: int = 2, policy: LinkPolicy = POLICY, **more: object
) -> SessionAssigned:
    """What the controller would say; the peer's IDs are ours plus 100."""
    fields = {"listen": 0, "peer": CPE, "local_address": None, "sequencing": False} | more
    return SessionAssigned(tunnel_id, session_id, tunnel_id + 100, session_id + 100, policy=policy, **fields)  # type: ignore[arg-type]


class Exchange:
    """One worker, the peers that dial in to it, and a controller that accepts everybody with ``grant``."""

    def __init__(self, grant: Authorization = GRANT, *, decide: bool = True) -> None:
        self.now = 0.0
        self.grant = grant
        self.decide = decide
        self.reports: list[FromWorker] = []
        self.controller_takes = True
        self.succeed(seed=1)
        self.far_datapath = Datapath()
        self.peers: dict[tuple[int, int], Peer] = {}
        self.sent: list[bytes] = []  # by the worker
        self._in_flight: deque[tuple[bool, bytes]] = deque()

    def succeed(self, seed: int = 3) -> None:
        """Put another worker in the place of the present one, of whose sessions it knows nothing."""
        self.datapath = Datapath()
        self.worker = Worker(
            0,
            4711,
            1,
            self.datapath,
            transmit=self._to_peers,
            report=self._report,
            random=Random(seed).randbytes,
        )

    def dial(self, message: SessionAssigned, *, wish: Authorization | None = None) -> Peer:
        """Let a peer dial the session that ``message`` describes from our end, and ask for ``wish``."""
        peer = Peer(
            (message.peer_tunnel_id, message.peer_session_id, message.tunnel_id, message.session_id),
            LNS,
            self.far_datapath,
            lambda datagram: self._in_flight.append((True, datagram.octets)),
            seed=2,
            wish=wish,
        )
        self.peers[peer.session.key] = peer
        self.worker.receive(message, self.now)
        peer.open(self.now)
        self.settle()
        return peer

    def settle(self) -> None:
        """Deliver everything, and what it gives rise to, until it is quiet."""
        while self._in_flight:
            to_worker, octets = self._in_flight.popleft()
            batch = [(memoryview(bytearray(octets)), CPE if to_worker else LNS)]
            if to_worker:
                self.worker.frames(self.datapath.uplink(batch, self.now).frames, self.now)
                continue
            for session, frame in self.far_datapath.uplink(batch, self.now).frames:
                self.peers[session.key].receive(frame, self.now)

    def advance(self, to: float) -> None:
        """Let the worker's timers ring until ``to``; the peers' clocks stand still."""
        while (deadline := self.worker.timers.next_deadline()) is not None and deadline <= to:
            self.now = max(self.now, deadline)
            self.worker.handle_timers(self.now)
            self.settle()
        self.now = to

    def inject(self, datagram: bytes, source: Address = CPE) -> None:
        """Let a datagram arrive at the worker."""
        batch = [(memoryview(bytearray(datagram)), source)]
        self.worker.frames(self.datapath.uplink(batch, self.now).frames, self.now)
        self.settle()

    def of(self, kind: type[FromWorker]) -> list[FromWorker]:
        """Return the worker's reports of one kind, and forget them."""
        found = [report for report in self.reports if isinstance(report, kind)]
        self.reports = [report for report in self.reports if not isinstance(report, kind)]
        return found

    def _to_peers(self, datagram: Datagram) -> None:
        self.sent.append(datagram.octets)
        self._in_flight.append((False, datagram.octets))

    def _report(self, message: FromWorker) -> bool:
        if not self.controller_takes:
            return False
        self.reports.append(message)
        if self.decide and isinstance(message, AuthRequest):
            self.worker.receive(accepted(message, self.grant), self.now)
        return True


def accepted(request: AuthRequest, grant: Authorization = GRANT) -> AuthDecision:
    """Return the decision that lets the subscriber in."""
    return AuthDecision(
        request.tunnel_id, request.session_id, request.request_id, True, "Login ok", "", grant
    )
