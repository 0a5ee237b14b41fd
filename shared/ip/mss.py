"""TCP MSS clamping: a SYN never announces more than the session carries (RFC 9293 §3.7.1)."""

from __future__ import annotations

from struct import pack_into
from typing import Final

from shared.ip.checksum import updated_checksum
from shared.ip.packet import (
    IPV4_HEADER_OCTETS,
    IPV6_HEADER_OCTETS,
    TCP,
    ipv4_upper_layer,
    ipv6_upper_layer,
)

_TCP_HEADER_OCTETS: Final = 20
_SYN: Final = 0x02
_END_OF_LIST: Final = 0
_NO_OPERATION: Final = 1
_MSS: Final = 2


def clamp_mss(packet: memoryview, mtu_octets: int) -> bool:
    """Lower the MSS option of a TCP SYN in ``packet`` to what ``mtu_octets`` carries; True if changed.

    ``packet`` is writable and has passed `read_ipv4` or `read_ipv6`. The MSS counts neither IP nor TCP
    options (RFC 6691 §2), hence 40 octets under the MTU, or 60.
    """
    if packet[0] >> 4 == 4:
        upper, headers = ipv4_upper_layer(packet), IPV4_HEADER_OCTETS + _TCP_HEADER_OCTETS
    else:
        upper, headers = ipv6_upper_layer(packet), IPV6_HEADER_OCTETS + _TCP_HEADER_OCTETS
    return upper is not None and upper[0] == TCP and _clamp(packet[upper[1] :], mtu_octets - headers)


def _clamp(segment: memoryview, limit: int) -> bool:
    """Write ``limit`` into the MSS option of ``segment`` where it holds more, and mend the checksum."""
    if len(segment) < _TCP_HEADER_OCTETS or not segment[13] & _SYN:
        return False
    at = _mss_offset(segment)
    if at is None:
        return False
    old = segment[at] << 8 | segment[at + 1]
    if old <= limit:
        return False
    checksum = segment[16] << 8 | segment[17]
    pack_into("!H", segment, at, limit)
    pack_into("!H", segment, 16, updated_checksum(checksum, _aligned(old, at), _aligned(limit, at)))
    return True


def _mss_offset(segment: memoryview) -> int | None:
    """Return where the value of the MSS option stands; None where there is none, or options are cut off."""
    end = (segment[12] >> 4) * 4
    if end > len(segment):
        return None
    at = _TCP_HEADER_OCTETS
    while at < end and segment[at] != _END_OF_LIST:
        if segment[at] == _NO_OPERATION:
            at += 1
            continue
        length = segment[at + 1] if at + 1 < end else 0
        if length < 2 or at + length > end:
            return None
        if segment[at] == _MSS:
            return at + 2 if length == 4 else None
        at += length
    return None


def _aligned(value: int, at: int) -> int:
    """Return what ``value`` at offset ``at`` adds to the sum: its octets change places at an odd one."""
    return (value & 0xFF) << 8 | value >> 8 if at & 1 else value
