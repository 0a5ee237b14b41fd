"""The controller's UDP sockets: read in bounded batches, written at once; loss is for L2TP to make up."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Final

from controller.ports import Datagram
from controller.quiet import QuietLog
from shared.addresses import Address, address_text
from system.udp import IP_PKTINFO, is_wildcard

log = logging.getLogger(__name__)

BATCH: Final = 64  # datagrams of one socket before others, timers and workers have their turn
STRANGERS_BATCH: Final = 32  # and of one on which a flood costs nobody but strangers
_OCTETS: Final = 65_535
_IPV4: Final = struct.Struct("@i4s4s")  # struct in_pktinfo: interface, our address, destination
_IPV6: Final = struct.Struct("@16sI")  # struct in6_pktinfo
_ANCILLARY: Final = socket.CMSG_SPACE(_IPV6.size) + socket.CMSG_SPACE(_IPV4.size)
_PASSING: Final = {errno.EAGAIN, errno.ENOBUFS, errno.EINTR}


class UdpSockets:
    """For each listen address, by index, one socket for tunnels and one that is only read, for strangers."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sockets: Sequence[socket.socket],
        strangers: Sequence[socket.socket] = (),
    ) -> None:
        self._loop = loop
        self._sockets = sockets
        self._strangers = strangers
        self._quiet = QuietLog(log, loop.time)
        self._wildcard = [is_wildcard(each.getsockname()[0]) for each in sockets]

    def start(self, take: Callable[[Datagram], None]) -> None:
        """Give each datagram to ``take`` from now on."""
        self._take = take
        for sockets, batch in ((self._sockets, BATCH), (self._strangers, STRANGERS_BATCH)):
            for index, each in enumerate(sockets):
                each.setblocking(False)
                self._loop.add_reader(each.fileno(), self._readable, each, index, batch)

    def send(self, listen: int, octets: bytes, to: Address, local_address: str | None) -> bool:
        """Send a datagram; False where it could not go."""
        member = self._sockets[listen]
        try:
            if local_address is None:
                member.sendto(octets, to)
            else:
                member.sendmsg([octets], [pktinfo(local_address)], 0, to)
        except OSError as error:
            if error.errno not in _PASSING:
                self._quiet.warning("send", "send failed to=%s reason=%s", address_text(to), error.strerror)
            return False
        return True

    def close(self) -> None:
        """Stop reading and give the descriptors back."""
        for each in (*self._sockets, *self._strangers):
            self._loop.remove_reader(each.fileno())
            each.close()

    def _readable(self, member: socket.socket, index: int, batch: int) -> None:
        wildcard = self._wildcard[index]
        for _ in range(batch):
            try:
                octets, ancillary, _, source = member.recvmsg(_OCTETS, _ANCILLARY if wildcard else 0)
            except OSError as error:
                if error.errno not in _PASSING:
                    self._quiet.warning("receive", "receive failed reason=%s", error.strerror)
                return
            self._take(Datagram(octets, source, index, dialled(ancillary) if wildcard else None))


def dialled(ancillary: Sequence[tuple[int, int, bytes]]) -> str | None:
    """Return the local address that a datagram was sent to, from its ancillary data."""
    for level, kind, value in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO) and len(value) >= _IPV4.size:
            _, ours, _ = _IPV4.unpack_from(value)
            return str(ipaddress.IPv4Address(ours))
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO) and len(value) >= _IPV6.size:
            destination, _ = _IPV6.unpack_from(value)
            return str(ipaddress.IPv6Address(destination))
    return None


def pktinfo(local_address: str) -> tuple[int, int, bytes]:
    """Return the ancillary data that makes a datagram leave from ``local_address``."""
    address = ipaddress.ip_address(local_address)
    if address.version == 4:
        return socket.IPPROTO_IP, IP_PKTINFO, _IPV4.pack(0, address.packed, bytes(4))
    return socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, _IPV6.pack(address.packed, 0)
