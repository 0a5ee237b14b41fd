"""A UDP path that loses, repeats, reorders and delays datagrams, the same way for the same seed.

Clients send to the path's address; each of them gets a socket of its own towards the server, as behind a NAT.
What is impaired is decided for each datagram by a generator of its own, seeded with the path's seed, the
client's position and the datagram's number: the threads' timing changes nothing of it.
"""

from __future__ import annotations

import heapq
import random
import selectors
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from deploy.lab.namespaces import Namespace

_LONGEST: Final = 65535
_TICK_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Impairment:
    """Probabilities for each datagram. Delays are uniform up to ``delay_s``, so that datagrams overtake."""

    seed: int
    drop: float = 0.2
    duplicate: float = 0.05
    delay_s: float = 2.0
    control_only: bool = True  # data messages pass as they are

    def copies(self, flow: int, number: int, datagram: bytes) -> list[float]:
        """Return after how many seconds each copy of a datagram is to arrive; none where it is lost."""
        if self.control_only and not (datagram and datagram[0] & 0x80):
            return [0.0]
        chance = random.Random(f"{self.seed}/{flow}/{number}")
        if chance.random() < self.drop:
            return []
        count = 2 if chance.random() < self.duplicate else 1
        return [chance.uniform(0, self.delay_s) for _ in range(count)]


@dataclass(slots=True)
class Totals:
    """What the path has done."""

    received: int = 0
    dropped: int = 0
    duplicated: int = 0
    overtaken: int = 0
    clients: int = 0


@dataclass(slots=True)
class _Flow:
    """One direction of one client."""

    index: int
    send: Callable[[bytes], object]
    received: int = 0
    delivered: int = -1


@dataclass(order=True, slots=True)
class _Due:
    at: float
    order: int
    number: int = field(compare=False)
    flow: _Flow = field(compare=False)
    datagram: bytes = field(compare=False)


class ImpairedPath:
    """A proxy in ``namespace`` from ``address`` to ``server``; runs in a thread until `close`."""

    def __init__(
        self, namespace: Namespace, address: tuple[str, int], server: tuple[str, int], impairment: Impairment
    ) -> None:
        self.totals = Totals()
        self._namespace = namespace
        self._server = server
        self._impairment = impairment
        self._selector = selectors.DefaultSelector()
        self._front = self._open(lambda front: front.bind(address))
        self._selector.register(self._front, selectors.EVENT_READ)
        self._upward: dict[tuple[str, int], _Flow] = {}
        self._downward: dict[socket.socket, _Flow] = {}
        self._due: list[_Due] = []
        self._order = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="impaired path", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread and close the sockets."""
        self._stopping.set()
        self._thread.join()
        for opened in (self._front, *self._downward):
            opened.close()
        self._selector.close()

    def _open(self, prepare: Callable[[socket.socket], None]) -> socket.socket:
        def make() -> socket.socket:
            opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            prepare(opened)
            opened.setblocking(False)
            return opened

        return self._namespace.call(make)

    def _run(self) -> None:
        while not self._stopping.is_set():
            wait = min(_TICK_S, self._due[0].at - time.monotonic()) if self._due else _TICK_S
            for key, _ in self._selector.select(max(0.0, wait)):
                assert isinstance(key.fileobj, socket.socket)
                self._drain(key.fileobj)
            self._deliver(time.monotonic())

    def _drain(self, source: socket.socket) -> None:
        while True:
            try:
                datagram, address = source.recvfrom(_LONGEST)
            except BlockingIOError:
                return
            except ConnectionRefusedError:
                continue  # an ICMP error about a datagram that we sent on
            self._take(self._downward.get(source) or self._client(address), datagram)

    def _client(self, address: tuple[str, int]) -> _Flow:
        """Return the upward flow of the client at ``address``, and know it from now on."""
        if address not in self._upward:
            index = self.totals.clients * 2
            self.totals.clients += 1
            back = self._open(lambda opened: opened.connect(self._server))
            self._upward[address] = _Flow(index, back.send)
            self._downward[back] = _Flow(index + 1, lambda datagram: self._front.sendto(datagram, address))
            self._selector.register(back, selectors.EVENT_READ)
        return self._upward[address]

    def _take(self, flow: _Flow, datagram: bytes) -> None:
        copies = self._impairment.copies(flow.index, flow.received, datagram)
        self.totals.received += 1
        self.totals.dropped += not copies
        self.totals.duplicated += len(copies) > 1
        for delay in copies:
            self._order += 1
            due = _Due(time.monotonic() + delay, self._order, flow.received, flow, datagram)
            heapq.heappush(self._due, due)
        flow.received += 1

    def _deliver(self, now: float) -> None:
        while self._due and self._due[0].at <= now:
            due = heapq.heappop(self._due)
            self.totals.overtaken += due.number < due.flow.delivered
            due.flow.delivered = max(due.number, due.flow.delivered)
            try:
                due.flow.send(due.datagram)
            except (BlockingIOError, ConnectionRefusedError):
                self.totals.dropped += 1
