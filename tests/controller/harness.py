"""A controller in memory: LACs on a list instead of a network, workers on a list instead of ZeroMQ."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from controller.ports import Datagram
from controller.service import Controller
from controller.surface import SessionRow, TunnelRow
from controller.totals import Totals
from shared.addresses import Address
from shared.config.model import Config, load
from shared.ipc.codec import encode
from shared.ipc.messages import (
    AuthDecision,
    AuthRequest,
    Counters,
    FromController,
    FromWorker,
    Hello,
    HelloWanted,
    LinkDown,
    LinkUp,
    SessionAssigned,
    SessionClosed,
    Welcome,
    session_digest,
)
from shared.l2tp.connection import (
    CallInfo,
    Command,
    ConnectionSettings,
    ControlConnection,
    Role,
    SessionDown,
    SessionUp,
    Transmit,
    TunnelDown,
)
from shared.ppp.policy import LinkEnd
from shared.timers import TimerQueue

LNS: Address = ("192.0.2.1", 1701)

CONFIG = """
[[listen]]
address = "192.0.2.1"
[workers]
count = 2
[[pool]]
name = "subscribers"
prefix = "10.0.0.0/24"
gateway = "10.0.0.1"
block_addresses = 16
[profile.default]
pool = "subscribers"
dns = ["192.0.2.53"]
[[user]]
name = "alice"
password = "secret"
address = "10.0.0.10"
routes = ["192.168.150.0/24"]
[[user]]
name = "sub-*"
password = "many"
"""


class Table:
    """A routing table: prefix to device."""

    def __init__(self) -> None:
        self.routes: dict[str, str] = {}

    def replace(self, prefix: str, device: str) -> None:
        self.routes[prefix] = device

    def remove(self, prefix: str, device: str) -> None:
        if self.routes.get(prefix) == device:
            del self.routes[prefix]


@dataclass(eq=False)
class Lac:
    """A peer that dials, on a machine of the RFC's LAC side; ``events`` is what it has noticed."""

    address: Address
    connection: ControlConnection
    events: list[Command] = field(default_factory=list)
    deaf: bool = False

    def ended(self) -> list[SessionDown]:
        return [event for event in self.events if isinstance(event, SessionDown)]

    def down(self) -> TunnelDown | None:
        return next((event for event in self.events if isinstance(event, TunnelDown)), None)

    def up(self) -> list[SessionUp]:
        return [event for event in self.events if isinstance(event, SessionUp)]


class FakeWorker:
    """What a worker process does with our messages; PPP is what the test says it is."""

    def __init__(self, world: World, index: int, pid: int) -> None:
        self.world = world
        self.index = index
        self.pid = pid
        self.epoch = 0
        self.alive = True
        self.heard: list[FromController] = []
        self.sessions: dict[tuple[int, int], SessionAssigned] = {}
        self.polite = True  # answers an orderly SessionClosed at once

    def receive(self, message: FromController) -> None:
        self.heard.append(message)
        match message:
            case Welcome(epoch):
                self.epoch = epoch
            case SessionAssigned():
                self.sessions[message.tunnel_id, message.session_id] = message
            case SessionClosed(tunnel_id, session_id, True, reason):
                if self.polite:
                    self.sessions.pop((tunnel_id, session_id), None)
                    self.say(LinkDown(tunnel_id, session_id, LinkEnd.ADMINISTRATIVE, reason))
            case SessionClosed(tunnel_id, session_id):
                self.sessions.pop((tunnel_id, session_id), None)
            case HelloWanted():
                self.hello()

    def say(self, message: FromWorker) -> None:
        self.world.inbox.append((self.index, message))

    def hello(self) -> None:
        self.say(Hello(self.index, self.pid, "reference", (), tuple(self.sessions)))

    def heartbeat(self) -> None:
        digest = session_digest(set(self.sessions))
        self.say(Counters(self.epoch, digest, (("rx_packets", 1),), ()))

    def authenticate(
        self, key: tuple[int, int], name: str, password: str, request_id: int = 1
    ) -> AuthDecision:
        return self.present(AuthRequest(*key, request_id, "pap", name, 1, b"", password.encode()))

    def present(self, request: AuthRequest) -> AuthDecision:
        self.say(request)
        self.world.settle()
        decision = next(message for message in reversed(self.heard) if isinstance(message, AuthDecision))
        assert (decision.session_id, decision.request_id) == (request.session_id, request.request_id)
        return decision

    def last(self, kind: type[FromController]) -> FromController:
        return next(message for message in reversed(self.heard) if isinstance(message, kind))


class World:
    """One controller, its LACs, its workers and the time."""

    def __init__(self, folder: Path, text: str = CONFIG, *, workers_present: bool = True) -> None:
        path = folder / "culvert.toml"
        path.write_text(text)
        path.chmod(0o600)
        self.config: Config = load(path)
        self.now = 1000.0
        self.table = Table()
        self.timers: TimerQueue[object] = TimerQueue()
        self.wire: deque[tuple[Address, Address, bytes]] = deque()  # from, to, octets
        self.sent: list[tuple[Address, bytes, str | None]] = []  # by the controller: to, octets, our address
        self.inbox: deque[tuple[int, FromWorker]] = deque()
        self.lacs: dict[Address, Lac] = {}
        self.lac_timers: TimerQueue[Lac] = TimerQueue()
        self.totals = Totals()
        self.crew = [FakeWorker(self, index, 100 + index) for index in range(self.config.workers.count)]
        self.controller = Controller(
            self.config, self, _Crew(self), self.table, self, lambda: self.now, self.totals
        )
        if workers_present:
            for worker in self.crew:
                worker.hello()
            self.settle()

    # The controller's interfaces.

    def send(self, listen: int, octets: bytes, to: Address, local_address: str | None) -> bool:
        self.sent.append((to, octets, local_address))
        self.wire.append((LNS, to, octets))
        return True

    def set(self, key: Hashable, deadline: float | None) -> None:
        self.timers.set(key, deadline)

    # What the test does.

    def lac(
        self,
        address: Address = ("198.51.100.7", 1701),
        *,
        tunnel_id: int | None = None,
        secret: bytes | None = None,
    ) -> Lac:
        settings = ConnectionSettings(hostname="lac", secret=secret)
        local = tunnel_id or secrets.randbelow(0xFFFF) + 1
        connection = ControlConnection(settings, Role.LAC, local, LNS, random=secrets.token_bytes)
        lac = self.lacs[address] = Lac(address, connection)
        self.perform(lac, connection.open(self.now))
        return lac

    def dial(self, lac: Lac, calls: int = 1, first: int = 1) -> None:
        """Place calls and wait until all is quiet."""
        for session_id in range(first, first + calls):
            self.perform(
                lac, lac.connection.place_call(session_id, CallInfo(serial_number=session_id), self.now)
            )
        self.settle()

    def perform(self, lac: Lac, commands: Iterable[Command]) -> None:
        for command in commands:
            if isinstance(command, Transmit):
                self.wire.append((lac.address, command.to, command.datagram))
            else:
                lac.events.append(command)
        self.lac_timers.set(lac, lac.connection.next_timeout())

    def inject(self, octets: bytes, source: Address, local_address: str | None = None) -> None:
        self.controller.datagram(Datagram(octets, source, 0, local_address))

    def settle(self) -> None:
        """Deliver everything that is on its way, and what follows from it."""
        for _ in range(100_000):
            if self.wire:
                source, to, octets = self.wire.popleft()
                self._deliver(source, to, octets)
            elif self.inbox:
                index, message = self.inbox.popleft()
                self.controller.message(b"worker-%d" % index, [encode(message)])
            else:
                return
        raise AssertionError("it never gets quiet")

    def advance(self, seconds: float) -> None:
        """Let time pass, with the heartbeats of the workers that are alive."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 0.25)
            if (self.now * 4) % 4 == 0:
                for worker in self.crew:
                    if worker.alive:
                        worker.heartbeat()
            for key in list(self.timers.pop_due(self.now)):
                self.controller.due(key, self.now)
            for lac in list(self.lac_timers.pop_due(self.now)):
                self.perform(lac, lac.connection.handle_timer(self.now))
            self.settle()

    def sessions(self) -> list[SessionRow]:
        return list(self.controller.sessions())

    def tunnels(self) -> list[TunnelRow]:
        return list(self.controller.tunnels())

    def worker_of(self, session: SessionRow) -> FakeWorker:
        return self.crew[session.worker]

    def log_in(self, row: SessionRow, name: str = "sub-1", password: str = "many") -> AuthDecision:
        """Authenticate a session and bring its link up."""
        worker, key = self.worker_of(row), (row.tunnel_id, row.session_id)
        decision = worker.authenticate(key, name, password)
        if decision.authorization is not None:
            ipv4 = decision.authorization.ipv4
            worker.say(LinkUp(*key, None if ipv4 is None else ipv4.peer_address, None, 1462))
            self.settle()
        return decision

    def _deliver(self, source: Address, to: Address, octets: bytes) -> None:
        if to == LNS:
            self.inject(octets, source)
        elif (lac := self.lacs.get(to)) is not None and not lac.deaf:
            self.perform(lac, lac.connection.receive(octets, source, self.now))


class _Crew:
    """The way from the controller to the fake workers, through the real codec."""

    def __init__(self, world: World) -> None:
        self._world = world

    def send(self, worker: int, message: FromController) -> None:
        encode(message)
        if self._world.crew[worker].alive:
            self._world.crew[worker].receive(message)
