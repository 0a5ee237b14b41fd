"""Local UDP sockets of a client: batches in, datagrams out, and what ICMP says about the way there."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Callable
from typing import Final

from shared.addresses import Address
from shared.errors import SystemRefused

_BATCH: Final = 256  # datagrams read in one go, so that timers and sending get their turn
_LARGEST: Final = 65536
_BUFFER_OCTETS: Final = 4 * 1024 * 1024
_BUFFERS: Final = ((socket.SO_RCVBUF, 33), (socket.SO_SNDBUF, 32))  # SO_RCVBUFFORCE, SO_SNDBUFFORCE
_IP_RECVERR: Final = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
_MSG_ERRQUEUE: Final = 0x2000

Receive = Callable[[memoryview, Address], None]


class Port:
    """One UDP socket, not blocking and not connected: an LNS may answer from another port (RFC 2661 §8.1).

    ``bind`` is a local address, or None for any. Raises `SystemRefused` where the kernel won't have it.
    """

    def __init__(self, family: int, bind: str | None, port: int = 0) -> None:
        self.dropped = 0  # datagrams that the kernel did not take
        self.last_error: str | None = None  # what ICMP or the routing table said last
        self._buffer = memoryview(bytearray(_LARGEST))
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            self._socket.setsockopt(*_IP_RECVERR[socket.AddressFamily(family)], 1)
            self._enlarge_buffers()
            self._socket.bind((bind or ("::" if family == socket.AF_INET6 else "0.0.0.0"), port))
        except OSError as error:
            self._socket.close()
            raise SystemRefused(f"can't open UDP at {bind or 'any address'}, port {port}: {error}") from error

    def fileno(self) -> int:
        """Return the descriptor, for the event loop to watch."""
        return self._socket.fileno()

    @property
    def name(self) -> tuple[str, int]:
        """The local address and port."""
        host, port = self._socket.getsockname()[:2]
        return str(host), int(port)

    def send(self, datagram: bytes, to: Address) -> None:
        """Send ``datagram``, or count it as dropped; what matters is retransmitted by its protocol."""
        for _ in range(2):  # a pending ICMP error is reported once, instead of sending
            try:
                self._socket.sendto(datagram, to)
            except BlockingIOError:
                break
            except OSError as error:
                self._note(error)
            else:
                return
        self.dropped += 1

    def drain(self, receive: Receive) -> None:
        """Hand each waiting datagram to ``receive``; the memory is re-used after its return."""
        for _ in range(_BATCH):
            try:
                octets, source = self._socket.recvfrom_into(self._buffer)
            except BlockingIOError:
                return
            except OSError as error:
                self._note(error)
                continue
            receive(self._buffer[:octets], source)

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def _enlarge_buffers(self) -> None:
        """Make room for bursts: beyond the system's limit where we may, up to it elsewhere."""
        for plain, beyond in _BUFFERS:
            self._socket.setsockopt(socket.SOL_SOCKET, plain, _BUFFER_OCTETS)
            with contextlib.suppress(PermissionError):
                self._socket.setsockopt(socket.SOL_SOCKET, beyond, _BUFFER_OCTETS)

    def _note(self, error: OSError) -> None:
        """Remember ``error`` and empty the queue of ICMP errors, which would wake us for ever."""
        self.last_error = os.strerror(error.errno) if error.errno else str(error)
        if error.errno == errno.ECONNREFUSED:
            self.last_error = "ICMP port unreachable: nothing listens there"
        with contextlib.suppress(OSError):
            while True:
                self._socket.recvmsg(1, 512, _MSG_ERRQUEUE)


def resolve(host: str, port: int) -> tuple[int, Address]:
    """Return address family and socket address of ``host``; raises `SystemRefused` where it has none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise SystemRefused(
            f"can't find the address of {host}: {error.strerror or error}; check it, or give an address"
        ) from error
    family, _, _, _, address = found[0]
    if family == socket.AF_INET6:
        host6, port6, flow, scope = address  # type: ignore[misc]
        return family, (str(host6), int(port6), int(flow), int(scope))
    return family, (str(address[0]), int(address[1]))
