"""Traffic whose every octet is checked: random datagrams from one namespace to another and back."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from deploy.lab.namespaces import Namespace

_PORT: Final = 7
_HEAD: Final = struct.Struct("!I")
_LONGEST: Final = 2048
_PATIENCE_S: Final = 2.0  # how late an answer may be


@dataclass(frozen=True, slots=True)
class Figures:
    """Datagrams sent, answered with the same octets, and answered with others."""

    sent: int
    good: int
    wrong: int


class EchoServer:
    """Answers each datagram with itself, at ``address``, until `close`."""

    def __init__(self, namespace: Namespace, address: str) -> None:
        self._socket = namespace.call(lambda: _udp((address, _PORT)))
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"echo at {address}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError, ConnectionRefusedError):
                datagram, source = self._socket.recvfrom(_LONGEST)
                self._socket.sendto(datagram, source)

    def close(self) -> None:
        """Answer no more."""
        self._stopping.set()
        self._thread.join()
        self._socket.close()


class VerifiedFlow:
    """Sends random datagrams of ``octets`` to an `EchoServer` at ``target`` and checks the answers."""

    def __init__(self, namespace: Namespace, target: str, *, per_s: float = 100, octets: int = 200) -> None:
        self._socket = namespace.call(lambda: _udp(("", 0)))
        self._target = (target, _PORT)
        self._gap_s = 1 / per_s
        self._octets = octets
        self._outstanding: dict[int, bytes] = {}
        self._sent = self._good = self._wrong = 0
        self._stopping = threading.Event()
        self._threads = [self._start(self._send), self._start(self._receive)]

    def _start(self, function: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=function, name="verified flow", daemon=True)
        thread.start()
        return thread

    def _send(self) -> None:
        while not self._stopping.wait(self._gap_s):
            datagram = _HEAD.pack(self._sent) + os.urandom(self._octets - _HEAD.size)
            self._outstanding[self._sent] = datagram
            self._sent += 1
            with contextlib.suppress(OSError):  # an ICMP error: the datagram counts as lost
                self._socket.sendto(datagram, self._target)

    def _receive(self) -> None:
        quiet_since = time.monotonic()
        while self._outstanding or not self._stopping.is_set():
            if self._stopping.is_set() and time.monotonic() - quiet_since > _PATIENCE_S:
                return
            with contextlib.suppress(TimeoutError, ConnectionRefusedError, OSError):
                answer = self._socket.recv(_LONGEST)
                quiet_since = time.monotonic()
                expected = self._outstanding.pop(_HEAD.unpack_from(answer)[0], None)
                self._good += answer == expected
                self._wrong += answer != expected

    def answered(self) -> int:
        """Return how many right answers there have been so far."""
        return self._good

    def close(self) -> Figures:
        """Stop sending, wait for the last answers, and return the figures."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._socket.close()
        return Figures(self._sent, self._good, self._wrong)


def _udp(address: tuple[str, int]) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.settimeout(0.2)
    opened.bind(address)
    return opened
