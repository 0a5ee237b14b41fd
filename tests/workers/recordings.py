"""The L2TP datagrams in a recording: classic pcap or pcapng, Ethernet, with PPPoE or without."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from tests.support.captures import capture


@dataclass(frozen=True, slots=True)
class Recorded:
    """A UDP payload and the IPv4 endpoints that it went between."""

    source: tuple[str, int]
    destination: tuple[str, int]
    octets: bytes


def datagrams(name: str) -> list[Recorded]:
    """Return the IPv4 UDP datagrams to or from port 1701; skips the test where there are no captures."""
    octets = capture(name).read_bytes()
    frames = _pcapng(octets) if octets[:4] == b"\x0a\x0d\x0d\x0a" else _pcap(octets)
    found = (_udp(frame) for frame in frames)
    return [item for item in found if item and 1701 in (item.source[1], item.destination[1])]


def data_messages(name: str, source: str | None = None) -> list[Recorded]:
    """Return those with a clear T bit, of one sender if ``source`` names one."""
    return [
        item for item in datagrams(name) if not item.octets[0] & 0x80 and source in (None, item.source[0])
    ]


def _pcap(octets: bytes) -> Iterator[bytes]:
    order = "<" if octets[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    at = 24
    while at + 16 <= len(octets):
        (length,) = struct.unpack_from(f"{order}I", octets, at + 8)
        yield octets[at + 16 : at + 16 + length]
        at += 16 + length


def _pcapng(octets: bytes) -> Iterator[bytes]:
    at = 0
    while at + 12 <= len(octets):
        kind, total = struct.unpack_from("<II", octets, at)
        if kind == 6:  # Enhanced Packet Block
            (length,) = struct.unpack_from("<I", octets, at + 20)
            yield octets[at + 28 : at + 28 + length]
        at += total


def _udp(frame: bytes) -> Recorded | None:
    kind, packet = frame[12:14], frame[14:]
    if kind == b"\x88\x64":  # PPPoE session: six octets, and the PPP protocol
        kind, packet = (b"\x08\x00" if packet[6:8] == b"\x00\x21" else b""), packet[8:]
    if kind != b"\x08\x00" or packet[9] != 17:
        return None
    segment = packet[(packet[0] & 15) * 4 : int.from_bytes(packet[2:4], "big")]
    source, destination, length = struct.unpack_from("!HHH", segment)
    return Recorded(
        (str(IPv4Address(packet[12:16])), source),
        (str(IPv4Address(packet[16:20])), destination),
        segment[8:length],
    )
