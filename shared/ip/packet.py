"""What forwarding reads of an IP packet: version, length, addresses; and where the upper layer begins."""

from __future__ import annotations

from typing import Final, NamedTuple

IPV4_HEADER_OCTETS: Final = 20
IPV6_HEADER_OCTETS: Final = 40
TCP: Final = 6
ICMP: Final = 1
ICMPV6: Final = 58

# RFC 8200 §4: the extension headers that may stand before the upper layer; their length is in units of 8.
_HOP_BY_HOP: Final = 0
_ROUTING: Final = 43
_FRAGMENT: Final = 44
_DESTINATION: Final = 60
_SKIPPABLE: Final = frozenset({_HOP_BY_HOP, _ROUTING, _DESTINATION})
_MAX_EXTENSIONS: Final = 8


class Packet(NamedTuple):
    """The addresses of an IP packet in network order, and its octets by its own length field."""

    octets: int
    source: bytes
    destination: bytes


def read_ipv4(packet: memoryview) -> Packet | None:
    """Read an IPv4 header (RFC 791 §3.1); None where it contradicts itself or the octets that are there."""
    if len(packet) < IPV4_HEADER_OCTETS:
        return None
    first = packet[0]
    header_octets = (first & 0x0F) * 4
    octets = packet[2] << 8 | packet[3]
    if first >> 4 != 4 or header_octets < IPV4_HEADER_OCTETS or not header_octets <= octets <= len(packet):
        return None
    return Packet(octets, bytes(packet[12:16]), bytes(packet[16:20]))


def read_ipv6(packet: memoryview) -> Packet | None:
    """Read an IPv6 header (RFC 8200 §3); None where it is none or runs past the octets that are there."""
    if len(packet) < IPV6_HEADER_OCTETS or packet[0] >> 4 != 6:
        return None
    octets = IPV6_HEADER_OCTETS + (packet[4] << 8 | packet[5])
    if octets > len(packet):
        return None
    return Packet(octets, bytes(packet[8:24]), bytes(packet[24:40]))


def ipv4_upper_layer(packet: memoryview) -> tuple[int, int] | None:
    """Return (protocol, offset) of the upper layer; None in a fragment that is not the first.

    ``packet`` has passed `read_ipv4`.
    """
    if (packet[6] << 8 | packet[7]) & 0x1FFF:
        return None
    return packet[9], (packet[0] & 0x0F) * 4


def ipv6_upper_layer(packet: memoryview) -> tuple[int, int] | None:
    """Return (protocol, offset) of the upper layer behind the extension headers (RFC 8200 §4).

    None in a fragment that is not the first, or where the chain is cut off or longer than any sane one.
    ``packet`` has passed `read_ipv6`.
    """
    protocol, offset = packet[6], IPV6_HEADER_OCTETS
    for _ in range(_MAX_EXTENSIONS):
        if protocol not in _SKIPPABLE and protocol != _FRAGMENT:
            return protocol, offset
        if offset + 8 > len(packet):
            return None
        if protocol == _FRAGMENT:
            if (packet[offset + 2] << 8 | packet[offset + 3]) & 0xFFF8:
                return None
            step = 8
        else:
            step = (packet[offset + 1] + 1) * 8
        protocol, offset = packet[offset], offset + step
    return None
