"""The descriptors of a worker: bounded reads into buffers that are used again, writes that never wait."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable
from typing import Final

from shared.addresses import Address
from workers.counters import DatapathCounters
from workers.datapath import Datagram

BATCH: Final = (
    64  # datagrams or packets for each wake-up, so that timers and other descriptors get their turn
)
_BUFFER_OCTETS: Final = 65_536  # no datagram is longer; pages that are never touched cost nothing
_FULL: Final = frozenset({errno.EAGAIN, errno.ENOBUFS})
_IP_PKTINFO: Final = 8

Ancillary = list[tuple[int, int, bytes]]


class UdpPort:
    """A non-blocking UDP socket; bound to all addresses, it sends from the one that the peer has dialled."""

    def __init__(
        self, endpoint: socket.socket, counters: DatapathCounters, *, wildcard: bool = False
    ) -> None:
        self._socket = endpoint
        self._counters = counters
        self._wildcard = wildcard
        self._buffers = _buffers()

    def fileno(self) -> int:
        """Return the descriptor to watch."""
        return self._socket.fileno()

    def receive(self) -> list[tuple[memoryview, Address]]:
        """Return what has arrived, at most `BATCH` datagrams; the views hold until the next call."""
        batch: list[tuple[memoryview, Address]] = []
        for buffer in self._buffers:
            try:
                octets, source = self._socket.recvfrom_into(buffer)
            except BlockingIOError:
                break
            except OSError:  # an error of an earlier datagram, reported here: the next call goes on
                self._counters.udp_receive_failed += 1
                continue
            batch.append((buffer[:octets], source))
        return batch

    def send(self, datagram: Datagram) -> None:
        """Send to the session's peer; what the kernel does not take is counted and gone."""
        session, octets = datagram
        try:
            if self._wildcard and session.local_address is not None:
                self._socket.sendmsg((octets,), _from_address(session.local_address), 0, session.peer)
            else:
                self._socket.sendto(octets, session.peer)
        except OSError as error:
            if error.errno in _FULL:
                self._counters.udp_send_full += 1
            else:
                self._counters.udp_send_failed += 1


class TunPort:
    """The non-blocking descriptor of a TUN device."""

    def __init__(self, descriptor: int, counters: DatapathCounters) -> None:
        self._descriptor = descriptor
        self._counters = counters
        self._buffers = _buffers()

    def fileno(self) -> int:
        """Return the descriptor to watch."""
        return self._descriptor

    def receive(self) -> list[memoryview]:
        """Return the packets that wait, at most `BATCH`; the views hold until the next call.

        Raises `OSError` where the device is gone (EBADFD): there is nothing to wait for any more.
        """
        batch: list[memoryview] = []
        for buffer in self._buffers:
            try:
                octets = os.readv(self._descriptor, (buffer,))
            except BlockingIOError:
                break
            except OSError as error:
                self._counters.tun_read_failed += 1
                if error.errno == errno.EBADFD:
                    raise
                break
            batch.append(buffer[:octets])
        return batch

    def send(self, packets: Iterable[memoryview | bytes]) -> None:
        """Hand ``packets`` to the kernel; what it does not take is counted and gone."""
        for packet in packets:
            try:
                os.write(self._descriptor, packet)
            except OSError as error:
                if error.errno in _FULL:
                    self._counters.tun_write_full += 1
                else:
                    self._counters.tun_write_failed += 1


def _buffers() -> list[memoryview]:
    pool = memoryview(bytearray(BATCH * _BUFFER_OCTETS))
    return [pool[start : start + _BUFFER_OCTETS] for start in range(0, len(pool), _BUFFER_OCTETS)]


def _from_address(address: str) -> Ancillary:
    """Return the control message that sets the source of one datagram (ip(7), RFC 3542 §6.2)."""
    if ":" in address:
        packed = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
        return [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, packed + struct.pack("@I", 0))]
    packed = socket.inet_pton(socket.AF_INET, address)
    return [(socket.IPPROTO_IP, _IP_PKTINFO, struct.pack("@I4s4s", 0, packed, bytes(4)))]
