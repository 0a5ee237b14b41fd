"""Echo requests from every subscriber at an even pace, and the account of their replies."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Final

from client.echo import EchoRequests, Verdict, judge
from client.load_options import TrafficOptions
from client.load_summary import TrafficFigures

_MOST_PENDING: Final = 1024  # requests of one subscriber without a reply; older ones are lost
_BURST: Final = 128  # requests sent in one go, so that replies get their turn
_PAUSE_S: Final = 0.0005  # between bursts, while late


@dataclass(slots=True, eq=False)
class Sender:
    """The traffic of one subscriber. ``transmit`` takes an IPv4 packet, which it borrows."""

    number: int
    address: bytes
    requests: EchoRequests
    transmit: Callable[[bytearray], None]
    next_sequence: int = 0
    pending: dict[int, float] = field(default_factory=dict)  # sequence: when it was sent
    active: bool = True


class Traffic:
    """All subscribers' echo requests. Each has the same pace, so one queue in order of time is enough."""

    def __init__(self, options: TrafficOptions, run: int) -> None:
        self.figures = TrafficFigures()
        self._options = options
        self._run = run
        self._interval_s = 1 / options.packets_per_s
        self._until = float("inf")
        self._due: deque[tuple[float, Sender]] = deque()

    def sender(self, number: int, address: str, transmit: Callable[[bytearray], None]) -> Sender:
        """Return the traffic of subscriber ``number``, who has got ``address``."""
        options = self._options
        requests = EchoRequests(address, options.target, self._run, number, options.size_octets)
        return Sender(number, IPv4Address(address).packed, requests, transmit)

    def start(self, senders: Iterable[Sender], now: float, until: float) -> None:
        """Let each of ``senders`` send from now until ``until``, spread over the interval."""
        everyone = list(senders)
        self._until = until
        step_s = self._interval_s / max(len(everyone), 1)
        self._due.extend((now + position * step_s, sender) for position, sender in enumerate(everyone))

    def stop(self) -> None:
        """Send nothing more."""
        self._due.clear()

    def send_due(self, now: float) -> float | None:
        """Send what is due; return when to come again, None where all has been sent."""
        for _ in range(_BURST):
            if not self._due or self._due[0][0] > now:
                return self._due[0][0] if self._due else None
            due, sender = self._due.popleft()
            if not sender.active:
                continue
            self._send(sender, now)
            again = max(due + self._interval_s, now)  # late ones are not made up for
            if again < self._until:
                self._due.append((again, sender))
        return now + _PAUSE_S

    def receive(self, sender: Sender, packet: memoryview, now: float) -> None:
        """Take an IPv4 packet that has reached this subscriber."""
        verdict, sequence = judge(packet, self._run, sender.number, sender.address)
        if verdict is not Verdict.DELIVERED:
            self._count(verdict)
        elif (sent_at := sender.pending.pop(sequence, None)) is None:
            self.figures.duplicated += 1
        else:
            self.figures.delivered += 1
            self.figures.round_trip.add(now - sent_at)

    def _count(self, verdict: Verdict) -> None:
        setattr(self.figures, verdict.value, getattr(self.figures, verdict.value) + 1)

    def _send(self, sender: Sender, now: float) -> None:
        sequence = sender.next_sequence
        sender.next_sequence = (sequence + 1) & 0xFFFFFFFF
        if len(sender.pending) >= _MOST_PENDING:
            del sender.pending[next(iter(sender.pending))]
        sender.pending[sequence] = now
        self.figures.sent += 1
        sender.transmit(sender.requests.build(sequence))
