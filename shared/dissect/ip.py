"""An IP packet in a line or two: who to whom, and what of ICMP, UDP or TCP."""

from __future__ import annotations

import ipaddress
from typing import Final

from shared.dissect.parts import Reader, plural
from shared.ip.packet import (
    ICMP,
    ICMPV6,
    IPV6_HEADER_OCTETS,
    TCP,
    ipv4_upper_layer,
    ipv6_upper_layer,
    read_ipv4,
    read_ipv6,
)

_UDP: Final = 17
_ICMP_TYPES: Final = {
    (ICMP, 0): "ICMP echo reply",
    (ICMP, 3): "ICMP destination unreachable",
    (ICMP, 8): "ICMP echo request",
    (ICMP, 11): "ICMP time exceeded",
    (ICMPV6, 2): "ICMPv6 packet too big",
    (ICMPV6, 128): "ICMPv6 echo request",
    (ICMPV6, 129): "ICMPv6 echo reply",
    (ICMPV6, 133): "ICMPv6 router solicitation",
    (ICMPV6, 134): "ICMPv6 router advertisement",
    (ICMPV6, 135): "ICMPv6 neighbour solicitation",
    (ICMPV6, 136): "ICMPv6 neighbour advertisement",
}
_ECHOES: Final = {(ICMP, 0), (ICMP, 8), (ICMPV6, 128), (ICMPV6, 129)}
_FRAGMENTATION_NEEDED: Final = (ICMP, 3, 4)


def dissect_ipv4(reader: Reader) -> str:
    """Take an IPv4 packet; return it in a line."""
    octets = memoryview(reader.peek(reader.left()))
    packet = read_ipv4(octets)
    if packet is None:
        reader.take_rest("malformed IPv4 packet")
        return "malformed"
    who = _who(ipaddress.IPv4Address(packet.source), ipaddress.IPv4Address(packet.destination))
    dont_fragment = ", don't fragment" if octets[6] & 0x40 else ""
    header = (octets[0] & 0x0F) * 4
    reader.take(header, f"IPv4 {who}, {packet.octets} octets, TTL {octets[8]}{dont_fragment}")
    upper = ipv4_upper_layer(octets)
    return f"{who} {_upper(reader, upper[0] if upper else None)}"


def dissect_ipv6(reader: Reader) -> str:
    """Take an IPv6 packet; return it in a line."""
    octets = memoryview(reader.peek(reader.left()))
    packet = read_ipv6(octets)
    if packet is None:
        reader.take_rest("malformed IPv6 packet")
        return "malformed"
    who = _who(ipaddress.IPv6Address(packet.source), ipaddress.IPv6Address(packet.destination))
    reader.take(IPV6_HEADER_OCTETS, f"IPv6 {who}, {packet.octets} octets, hop limit {octets[7]}")
    upper = ipv6_upper_layer(octets)
    if upper and upper[1] > IPV6_HEADER_OCTETS:
        reader.take(upper[1] - IPV6_HEADER_OCTETS, "extension headers")
    return f"{who} {_upper(reader, upper[0] if upper else None)}"


def _who(source: object, destination: object) -> str:
    return f"{source} > {destination}"


def _upper(reader: Reader, protocol: int | None) -> str:
    """Take the rest of the packet; ``protocol`` is None in a later fragment."""
    if protocol in (ICMP, ICMPV6) and reader.left() >= 8:
        said = _icmp(reader, protocol)
    elif protocol == _UDP and reader.left() >= 8:
        said = f"UDP {reader.number(2)} > {reader.number(2, 2)}"
        reader.take(8, said)
    elif protocol == TCP and reader.left() >= 20:
        said = f"TCP {reader.number(2)} > {reader.number(2, 2)}{_tcp_flags(reader.number(1, 13))}"
        reader.take(max(20, (reader.number(1, 12) >> 4) * 4), said)
    else:
        said = "fragment" if protocol is None else f"protocol {protocol}"
    if reader.left():
        reader.take_rest(f"{plural(reader.left(), 'octet')} of data")
    return said


def _icmp(reader: Reader, protocol: int) -> str:
    kind, code = reader.number(1), reader.number(1, 1)
    said = _ICMP_TYPES.get((protocol, kind), f"{'ICMP' if protocol == ICMP else 'ICMPv6'} type {kind}")
    if (protocol, kind) in _ECHOES:
        said += f", id {reader.number(2, 4)}, number {reader.number(2, 6)}"
    elif (protocol, kind, code) == _FRAGMENTATION_NEEDED:
        said += f": fragmentation needed, MTU {reader.number(2, 6)}"
    reader.take(8, said)
    return said


def _tcp_flags(flags: int) -> str:
    names = ((0x02, "SYN"), (0x10, "ACK"), (0x01, "FIN"), (0x04, "RST"))
    return "".join(f" {name}" for bit, name in names if flags & bit)
