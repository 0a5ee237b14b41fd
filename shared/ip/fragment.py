"""IPv4 fragmentation (RFC 791 §3.2)."""

from __future__ import annotations

from struct import pack_into
from typing import Final

from shared.ip.checksum import internet_checksum
from shared.ip.packet import IPV4_HEADER_OCTETS

MIN_MTU_OCTETS: Final = 68  # RFC 791 §3.2: a 60-octet header and 8 octets of data
_MORE_FRAGMENTS: Final = 0x2000
_DONT_FRAGMENT: Final = 0x4000
_OFFSET: Final = 0x1FFF
_COPIED: Final = 0x80


def may_fragment(packet: memoryview) -> bool:
    """Whether DF is clear. ``packet`` has passed `read_ipv4`."""
    return not (packet[6] << 8) & _DONT_FRAGMENT


def fragment_ipv4(packet: memoryview, mtu_octets: int) -> list[bytes]:
    """Return ``packet`` in fragments of at most ``mtu_octets`` (taken as 68 where it is less), in order.

    ``packet`` has passed `read_ipv4` and ends where its length field says. It may be a fragment itself.
    """
    mtu_octets = max(mtu_octets, MIN_MTU_OCTETS)
    data = packet[(packet[0] & 0x0F) * 4 :]
    header = bytearray(packet[: len(packet) - len(data)])
    word = header[6] << 8 | header[7]
    later = _header_of_later_fragments(header)
    fragments, done = [], 0
    while done < len(data):
        piece = data[done:]
        if len(header) + len(piece) > mtu_octets:
            piece = piece[: (mtu_octets - len(header)) & ~7]
        more = word & _MORE_FRAGMENTS if done + len(piece) == len(data) else _MORE_FRAGMENTS
        fragments.append(_fragment(header, piece, (word & _OFFSET) + done // 8 | more))
        done += len(piece)
        header = later
    return fragments


def _fragment(header: bytearray, piece: memoryview, flags_and_offset: int) -> bytes:
    pack_into("!H", header, 2, len(header) + len(piece))
    pack_into("!H", header, 6, flags_and_offset)
    pack_into("!H", header, 10, 0)
    pack_into("!H", header, 10, internet_checksum(header))
    return bytes(header) + piece


def _header_of_later_fragments(header: bytearray) -> bytearray:
    """Return ``header`` with those options only whose copied flag is set (RFC 791 §3.1)."""
    kept = bytearray()
    options = header[IPV4_HEADER_OCTETS:]
    at = 0
    while at < len(options) and options[at] != 0:
        length = 1 if options[at] == 1 else options[at + 1] if at + 1 < len(options) else 0
        if length < 1 or at + length > len(options) or (length == 1 and options[at] != 1):
            break
        if options[at] & _COPIED:
            kept += options[at : at + length]
        at += length
    kept += bytes(-len(kept) % 4)
    later = header[:IPV4_HEADER_OCTETS] + kept
    later[0] = 0x40 | len(later) // 4
    return later
