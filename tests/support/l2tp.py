"""Two control connections joined by a network of the test's making, in virtual time."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field
from typing import Any, TypeVar

from shared.addresses import Address
from shared.l2tp.connection import (
    CallInfo,
    CallOffered,
    Command,
    ConnectionSettings,
    ControlConnection,
    Role,
    Transmit,
)
from shared.l2tp.header import decode_control
from shared.l2tp.messages import decode_leniently
from tests.support.lossy import Wire

LAC_ADDRESS: Address = ("198.51.100.7", 40001)
LNS_ADDRESS: Address = ("192.0.2.1", 1701)
LAC_TUNNEL, LNS_TUNNEL = 7, 9
C = TypeVar("C")


@dataclass(order=True)
class _Arrival:
    time: float
    order: int
    datagram: bytes = field(compare=False)
    source: Address = field(compare=False)
    to: Address = field(compare=False)


class Pair:
    """A LAC and an LNS that accepts each call offered, with all that they have said and reported."""

    def __init__(
        self,
        network: Wire | None = None,
        *,
        lac: dict[str, Any] | None = None,
        lns: dict[str, Any] | None = None,
        answer_calls: bool = True,
    ) -> None:
        source = random.Random(1)
        self.now = 0.0
        self.network = network or Wire()
        self.lac = ControlConnection(
            ConnectionSettings("lac", **(lac or {})),
            Role.LAC,
            LAC_TUNNEL,
            LNS_ADDRESS,
            random=source.randbytes,
        )
        self.lns = ControlConnection(
            ConnectionSettings("lns", **(lns or {})),
            Role.LNS,
            LNS_TUNNEL,
            LAC_ADDRESS,
            random=source.randbytes,
        )
        self.addresses = {LAC_ADDRESS: self.lac, LNS_ADDRESS: self.lns}  # where a datagram to it arrives
        self.sources = {id(self.lac): LAC_ADDRESS, id(self.lns): LNS_ADDRESS}  # what its datagrams come from
        self.events: dict[int, list[Command]] = {id(self.lac): [], id(self.lns): []}
        self.trace: list[tuple[str, str, int, int]] = []  # (sender, message, Ns, Nr)
        self.answer_calls = answer_calls
        self._arrivals: list[_Arrival] = []
        self._order = 0
        self._next_session = 100

    def perform(self, who: ControlConnection, commands: list[Command]) -> None:
        """Do what one side wants."""
        for command in commands:
            if isinstance(command, Transmit):
                self._put(who, command)
                continue
            self.events[id(who)].append(command)
            if isinstance(command, CallOffered) and self.answer_calls:
                self._next_session += 1
                self.perform(who, who.accept_call(command.peer_session_id, self._next_session, self.now))

    def dial(self, calls: int = 1) -> None:
        """Let the LAC open the tunnel and place calls, with session IDs from 1."""
        for local_session_id in range(1, calls + 1):
            call = CallInfo(serial_number=local_session_id)
            self.perform(self.lac, self.lac.place_call(local_session_id, call, self.now))
        self.perform(self.lac, self.lac.open(self.now))

    def run(self, until: float) -> None:
        """Let time pass up to ``until``, event by event."""
        while True:
            times = [self._arrivals[0].time] if self._arrivals else []
            times += [time for side in (self.lac, self.lns) if (time := side.next_timeout()) is not None]
            if not times or min(times) > until:
                self.now = max(self.now, until)
                return
            self.now = max(self.now, min(times))
            self._step()

    def of(self, who: ControlConnection, kind: type[C]) -> list[C]:
        """Return what one side has reported of one kind."""
        return [event for event in self.events[id(who)] if isinstance(event, kind)]

    def _step(self) -> None:
        while self._arrivals and self._arrivals[0].time <= self.now:
            arrival = heapq.heappop(self._arrivals)
            side = self.addresses.get(arrival.to)
            if side is not None:
                self.perform(side, side.receive(arrival.datagram, arrival.source, self.now))
        for side in (self.lac, self.lns):
            due = side.next_timeout()
            if due is not None and due <= self.now:
                self.perform(side, side.handle_timer(self.now))

    def _put(self, who: ControlConnection, transmit: Transmit) -> None:
        header, body = decode_control(memoryview(transmit.datagram))
        message = decode_leniently(body, b"") if len(body) else None
        name = type(message).__name__ if message is not None else ("?" if len(body) else "ZLB")
        self.trace.append((who.role.name, name, header.ns, header.nr))
        for delay in self.network.delays():
            self._order += 1
            arrival = _Arrival(
                self.now + delay, self._order, transmit.datagram, self.sources[id(who)], transmit.to
            )
            heapq.heappush(self._arrivals, arrival)


def established(**settings: Any) -> Pair:
    """Return a pair with the tunnel and one call up and everything acknowledged."""
    pair = Pair(lac=settings, lns=settings)
    pair.dial()
    pair.run(1.0)
    return pair
