"""ICMP echo requests that say whose they are, and the check of the replies (RFC 792).

The payload carries the run, the subscriber, a sequence number and a CRC-32 over all of it and the fill
octets, so that a reply at the wrong subscriber, or one altered on the way, is told from a good one.
"""

from __future__ import annotations

import struct
import zlib
from enum import Enum
from ipaddress import IPv4Address
from typing import Final

_IPV4: Final = struct.Struct("!BBHHHBBH4s4s")
_ICMP: Final = struct.Struct("!BBHHH")
_STAMP: Final = struct.Struct("!4sQII")  # magic, run, subscriber, sequence; its CRC follows
_CRC: Final = struct.Struct("!I")
_MAGIC: Final = b"CVLT"
_ECHO_REPLY: Final = 0
_ECHO_REQUEST: Final = 8
_PROTOCOL_ICMP: Final = 1
_DONT_FRAGMENT: Final = 0x4000
_FRAGMENT_MASK: Final = 0x3FFF  # More Fragments and the offset
_STAMP_AT: Final = _IPV4.size + _ICMP.size
_FILL_AT: Final = _STAMP_AT + _STAMP.size + _CRC.size

SMALLEST_OCTETS: Final = _FILL_AT
LARGEST_OCTETS: Final = 1500


class Verdict(Enum):
    """What a packet that reached a subscriber turned out to be."""

    DELIVERED = "delivered"
    MISDELIVERED = "misdelivered"
    CORRUPT = "corrupt"
    FOREIGN = "foreign"  # not a reply to this run: a broadcast, an ICMP error, an older run


class EchoRequests:
    """The echo requests of one subscriber; only the few words that change are written for each.

    ``size_octets`` is that of the IPv4 packet, `SMALLEST_OCTETS` or more.
    """

    __slots__ = ("_fill", "_fixed_sum", "_packet", "_run", "_subscriber")

    def __init__(self, source: str, target: str, run: int, subscriber: int, size_octets: int) -> None:
        self._run = run
        self._subscriber = subscriber
        self._fill = _fill(subscriber, size_octets - _FILL_AT)
        header = _ipv4_header(IPv4Address(source).packed, IPv4Address(target).packed, size_octets)
        icmp = _ICMP.pack(_ECHO_REQUEST, 0, 0, subscriber & 0xFFFF, 0)
        stamp = _STAMP.pack(_MAGIC, run, subscriber, 0) + bytes(_CRC.size)
        self._packet = bytearray(header + icmp + stamp + self._fill)
        self._fixed_sum = _sum16(self._packet[_IPV4.size :])

    def build(self, sequence: int) -> bytearray:
        """Return the IPv4 packet number ``sequence``; it is borrowed until the next call."""
        packet = self._packet
        stamp = _STAMP.pack(_MAGIC, self._run, self._subscriber, sequence)
        crc = zlib.crc32(self._fill, zlib.crc32(stamp))
        short = sequence & 0xFFFF
        total = self._fixed_sum + short + (sequence >> 16) + short + (crc >> 16) + (crc & 0xFFFF)
        _ICMP.pack_into(
            packet, _IPV4.size, _ECHO_REQUEST, 0, _complement(total), self._subscriber & 0xFFFF, short
        )
        packet[_STAMP_AT : _STAMP_AT + _STAMP.size] = stamp
        _CRC.pack_into(packet, _STAMP_AT + _STAMP.size, crc)
        return packet


def judge(packet: memoryview, run: int, subscriber: int, address: bytes) -> tuple[Verdict, int]:
    """Say what ``packet`` is to the subscriber that received it, and its sequence number (0 where none).

    ``address`` is the subscriber's own, 4 octets. Takes any octets at all.
    """
    start = _reply_start(packet)
    if start is None:
        return Verdict.FOREIGN, 0
    stamp = packet[start : start + _STAMP.size]
    magic, found_run, found_subscriber, sequence = _STAMP.unpack(stamp)
    if magic != _MAGIC or found_run != run:
        return Verdict.FOREIGN, 0
    total_octets = int.from_bytes(packet[2:4])
    (crc,) = _CRC.unpack_from(packet, start + _STAMP.size)
    fill = packet[start + _STAMP.size + _CRC.size : total_octets]
    if crc != zlib.crc32(fill, zlib.crc32(stamp)):
        return Verdict.CORRUPT, sequence
    if found_subscriber != subscriber or packet[16:20] != address:
        return Verdict.MISDELIVERED, sequence
    return Verdict.DELIVERED, sequence


def _reply_start(packet: memoryview) -> int | None:
    """Return where our stamp begins in an unfragmented ICMP echo reply that is long enough for one."""
    if len(packet) < _FILL_AT or packet[0] >> 4 != 4 or packet[9] != _PROTOCOL_ICMP:
        return None
    header_octets = (packet[0] & 0x0F) * 4
    start = header_octets + _ICMP.size
    total_octets = int.from_bytes(packet[2:4])
    if header_octets < _IPV4.size or not start + _STAMP.size + _CRC.size <= total_octets <= len(packet):
        return None
    if int.from_bytes(packet[6:8]) & _FRAGMENT_MASK or packet[header_octets] != _ECHO_REPLY:
        return None
    return start


def _ipv4_header(source: bytes, target: bytes, size_octets: int) -> bytes:
    fields = (0x45, 0, size_octets, 0, _DONT_FRAGMENT, 64, _PROTOCOL_ICMP)
    bare = _IPV4.pack(*fields, 0, source, target)
    return _IPV4.pack(*fields, _complement(_sum16(bare)), source, target)


def _fill(subscriber: int, octets: int) -> bytes:
    return bytes((subscriber + position) & 0xFF for position in range(octets))


def _sum16(octets: bytes | bytearray) -> int:
    padded = bytes(octets) + b"\0" * (len(octets) % 2)
    return sum(struct.unpack(f"!{len(padded) // 2}H", padded))


def _complement(total: int) -> int:
    """Return the Internet checksum for a plain sum of 16-bit words (RFC 1071)."""
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
