"""Route changes as rtnetlink messages (rtnetlink(7)): encoded here, many to one `send`.

The kernel works through a whole datagram of messages inside `send` and answers only those that it
refuses, so after `send` every answer is already in the receive queue and nothing is ever waited for.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final, Protocol

from shared.errors import SystemRefused

ROUTE_PROTOCOL: Final = 71  # marks our routes: `ip route show proto 71`

_HEADER: Final = struct.Struct("=IHHII")  # length, type, flags, sequence, port: struct nlmsghdr
_ROUTE: Final = struct.Struct("=8BI")  # struct rtmsg
_ATTRIBUTE: Final = struct.Struct("=HH")  # length, type: struct rtattr
_ERROR: Final = struct.Struct("=i")

_IFREQ: Final = struct.Struct("=16si20x")  # struct ifreq: name, index
_SIOCGIFINDEX: Final = 0x8933

_NLMSG_ERROR: Final = 2
_NLMSG_DONE: Final = 3
_RTM_NEWROUTE: Final = 24
_RTM_DELROUTE: Final = 25
_RTM_GETROUTE: Final = 26
_REQUEST: Final = 0x001
_DUMP: Final = 0x300
_CREATE_OR_REPLACE: Final = 0x500
_RTA_DST: Final = 1
_RTA_OIF: Final = 4
_TABLE_MAIN: Final = 254
_SCOPE_LINK: Final = 253
_SCOPE_NOWHERE: Final = 255  # in a deletion: whatever the scope
_UNICAST: Final = 1
_SOL_NETLINK: Final = 270
_NETLINK_CAP_ACK: Final = 10  # answers do not repeat the request

_HARMLESS: Final = {True: errno.EEXIST, False: errno.ESRCH}  # it is there already; it is gone already


@dataclass(frozen=True, slots=True)
class RouteChange:
    """A route to have (``present``) or not to have; ``prefix`` is of either family."""

    prefix: str
    device: str
    present: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """A change that the kernel refused, and its reason in words."""

    change: RouteChange
    reason: str


class RouteTable(Protocol):
    """What applies route changes: the kernel, or a list in a test."""

    def apply(self, changes: Sequence[RouteChange]) -> list[Failure]:
        """Apply ``changes`` in order, all that can be; return the others.

        Raises `OSError` where the outcome is unknown, so that all should be applied again.
        """

    def clear(self) -> None:
        """Remove every route that an earlier `apply` of any process made."""

    def close(self) -> None:
        """Give the descriptor back."""


class KernelRoutes:
    """The main routing table of the network namespace in which this was made."""

    def __init__(self) -> None:
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC)
            self._socket.bind((0, 0))
        except OSError as error:
            raise SystemRefused(f"netlink: {error.strerror}; routes can't be set") from error
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)

    def apply(self, changes: Sequence[RouteChange]) -> list[Failure]:
        """Apply ``changes`` by one `send`; see `RouteTable`."""
        failures, messages = [], []
        for sequence, change in enumerate(changes):
            try:
                messages.append(encode(change, self._index_of(change.device), sequence))
            except OSError:
                if change.present:  # without the device its routes are gone as well
                    failures.append(Failure(change, f"no device {change.device}"))
        if messages:
            self._socket.send(b"".join(messages))
        for sequence, code in self._refusals():
            if code != _HARMLESS[changes[sequence].present]:
                failures.append(Failure(changes[sequence], os.strerror(code)))
        return failures

    def clear(self) -> None:
        """Remove every route with our protocol number, of both families."""
        ours = [route for family in (socket.AF_INET, socket.AF_INET6) for route in self._dump(family)]
        for route in ours:
            self._socket.send(_message(_RTM_DELROUTE, _REQUEST, 0, route))
            for _, code in self._refusals():
                if code != errno.ESRCH:
                    raise SystemRefused(f"a route of an earlier run stays: {os.strerror(code)}")

    def close(self) -> None:
        """Close the netlink socket."""
        self._socket.close()

    def _index_of(self, device: str) -> int:
        """Return the interface index (netdevice(7)), in this socket's namespace whichever thread asks."""
        request = fcntl.ioctl(self._socket, _SIOCGIFINDEX, _IFREQ.pack(device.encode(), 0))
        index: int = _IFREQ.unpack(request)[1]
        return index

    def _refusals(self) -> Iterator[tuple[int, int]]:
        """Yield (sequence, errno) of each message that the kernel has refused."""
        while True:
            try:
                answer = self._socket.recv(65536, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            for kind, sequence, body in split(answer):
                code = -_ERROR.unpack_from(body)[0] if kind == _NLMSG_ERROR else 0
                if code:
                    yield sequence, code

    def _dump(self, family: int) -> Iterator[bytes]:
        """Yield rtmsg and attributes of each of our routes in ``family``."""
        request = _ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
        self._socket.send(_message(_RTM_GETROUTE, _REQUEST | _DUMP, 0, request))
        while True:
            for kind, _, body in split(self._socket.recv(1 << 18)):
                if kind in {_NLMSG_DONE, _NLMSG_ERROR}:
                    return
                if kind == _RTM_NEWROUTE and body[5] == ROUTE_PROTOCOL:
                    yield body


def encode(change: RouteChange, interface: int, sequence: int) -> bytes:
    """Return the RTM_NEWROUTE or RTM_DELROUTE message for ``change`` on interface index ``interface``."""
    network = ip_network(change.prefix)
    family = socket.AF_INET if network.version == 4 else socket.AF_INET6
    kind, flags, scope = _RTM_DELROUTE, _REQUEST, _SCOPE_NOWHERE
    if change.present:
        kind, flags, scope = _RTM_NEWROUTE, _REQUEST | _CREATE_OR_REPLACE, _SCOPE_LINK
    route = _ROUTE.pack(family, network.prefixlen, 0, 0, _TABLE_MAIN, ROUTE_PROTOCOL, scope, _UNICAST, 0)
    attributes = _attribute(_RTA_DST, network.network_address.packed)
    attributes += _attribute(_RTA_OIF, struct.pack("=I", interface))
    return _message(kind, flags, sequence, route + attributes)


def split(datagram: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield (type, sequence, body) of each netlink message in ``datagram``."""
    at = 0
    while at + _HEADER.size <= len(datagram):
        length, kind, _, sequence, _ = _HEADER.unpack_from(datagram, at)
        yield kind, sequence, datagram[at + _HEADER.size : at + length]
        at += (max(length, _HEADER.size) + 3) & ~3


def _message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    return _HEADER.pack(_HEADER.size + len(body), kind, flags, sequence, 0) + body


def _attribute(kind: int, value: bytes) -> bytes:
    """Return one attribute; all of ours are multiples of four octets, so none needs padding."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value
