"""ICMP: the errors by which a sender learns the MTU of a session (RFC 1191, RFC 8201); redirects."""

from __future__ import annotations

from struct import pack, pack_into
from typing import Final

from shared.ip.checksum import internet_checksum
from shared.ip.packet import (
    ICMP,
    ICMPV6,
    IPV4_HEADER_OCTETS,
    IPV6_HEADER_OCTETS,
    ipv4_upper_layer,
    ipv6_upper_layer,
)

IPV6_MIN_MTU_OCTETS: Final = 1280  # RFC 8200 §5
_IPV4_QUOTE_OCTETS: Final = 576 - IPV4_HEADER_OCTETS - 8  # RFC 1812 §4.3.2.3
_IPV6_QUOTE_OCTETS: Final = IPV6_MIN_MTU_OCTETS - IPV6_HEADER_OCTETS - 8  # RFC 4443 §2.4 (c)
_INTERNETWORK_CONTROL: Final = 0xC0  # RFC 1812 §4.3.2.5
_TTL: Final = 64
_ICMP_QUERIES: Final = frozenset({0, 8, 9, 10, 13, 14, 15, 16, 17, 18})  # all else may be errors
_ICMP_REDIRECT: Final = 5
_ICMPV6_REDIRECT: Final = 137


def fragmentation_needed(packet: memoryview, mtu_octets: int, source: bytes) -> bytes | None:
    """Return Destination Unreachable, fragmentation needed (RFC 1191 §4), from ``source`` to the sender.

    None where none may be sent (RFC 1812 §4.3.2.7). ``packet`` has passed `read_ipv4`.
    """
    if not _ipv4_error_allowed(packet):
        return None
    quote = bytes(packet[:_IPV4_QUOTE_OCTETS])
    body = bytearray(pack("!BBHHH", 3, 4, 0, 0, mtu_octets) + quote)
    pack_into("!H", body, 2, internet_checksum(body))
    octets = IPV4_HEADER_OCTETS + len(body)
    dont_fragment = 0x4000
    header = bytearray(
        pack("!BBHHHBBH", 0x45, _INTERNETWORK_CONTROL, octets, 0, dont_fragment, _TTL, ICMP, 0)
        + source
        + packet[12:16]
    )
    pack_into("!H", header, 10, internet_checksum(header))
    return bytes(header + body)


def packet_too_big(packet: memoryview, mtu_octets: int, source: bytes) -> bytes | None:
    """Return ICMPv6 Packet Too Big (RFC 4443 §3.2), from ``source`` to the sender.

    None where none may be sent (§2.4 (e)). ``packet`` has passed `read_ipv6`.
    """
    if not _ipv6_error_allowed(packet):
        return None
    destination = bytes(packet[8:24])
    body = bytearray(pack("!BBHI", 2, 0, 0, mtu_octets) + bytes(packet[:_IPV6_QUOTE_OCTETS]))
    pseudo_header = source + destination + pack("!II", len(body), ICMPV6)
    pack_into("!H", body, 2, internet_checksum(pseudo_header, body))
    header = pack("!IHBB", 6 << 28, len(body), ICMPV6, _TTL) + source + destination
    return header + body


def is_ipv4_redirect(packet: memoryview) -> bool:
    """Whether ``packet``, which has passed `read_ipv4`, is an ICMP Redirect (RFC 792)."""
    if packet[9] != ICMP:
        return False
    upper = ipv4_upper_layer(packet)
    return upper is not None and upper[1] < len(packet) and packet[upper[1]] == _ICMP_REDIRECT


def is_ipv6_redirect(packet: memoryview) -> bool:
    """Whether ``packet``, which has passed `read_ipv6`, is an ICMPv6 Redirect (RFC 4861 §4.5)."""
    return (
        packet[6] == ICMPV6
        and len(packet) > IPV6_HEADER_OCTETS
        and packet[IPV6_HEADER_OCTETS] == _ICMPV6_REDIRECT
    )


def _ipv4_error_allowed(packet: memoryview) -> bool:
    """No error for an error, a later fragment, or a packet from or to other than one host."""
    header_octets = (packet[0] & 0x0F) * 4
    if (packet[6] << 8 | packet[7]) & 0x1FFF:
        return False
    if packet[9] == ICMP and not (len(packet) > header_octets and packet[header_octets] in _ICMP_QUERIES):
        return False
    source_class, destination_class = packet[12], packet[16]
    return destination_class < 224 and 0 < source_class < 224 and source_class != 127


def _ipv6_error_allowed(packet: memoryview) -> bool:
    """No error for an error or a redirect, nor to a source that is not one node (§2.4 (e))."""
    if packet[8] == 0xFF or not any(packet[8:24]):
        return False
    upper = ipv6_upper_layer(packet)
    if upper is None or upper[0] != ICMPV6:
        return True
    return upper[1] < len(packet) and packet[upper[1]] >= 128 and packet[upper[1]] != _ICMPV6_REDIRECT
