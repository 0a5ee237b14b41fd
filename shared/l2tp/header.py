"""The L2TPv2 header in all its forms (RFC 2661 §3.1), for control and for data messages."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, NamedTuple

from shared.errors import BadLength, BadValue

TYPE_BIT: Final = 0x8000
LENGTH_BIT: Final = 0x4000
SEQUENCE_BIT: Final = 0x0800
OFFSET_BIT: Final = 0x0200
PRIORITY_BIT: Final = 0x0100
VERSION_MASK: Final = 0x000F
VERSION: Final = 2

_CONTROL_WORD: Final = TYPE_BIT | LENGTH_BIT | SEQUENCE_BIT | VERSION
_CONTROL_MASK: Final = TYPE_BIT | LENGTH_BIT | SEQUENCE_BIT | OFFSET_BIT | VERSION_MASK
_CONTROL: Final = struct.Struct("!HHHHHH")
_WORD: Final = struct.Struct("!H")
_PAIR: Final = struct.Struct("!HH")

CONTROL_HEADER_OCTETS: Final = _CONTROL.size
MAX_OCTETS: Final = 0xFFFF


@dataclass(frozen=True, slots=True)
class ControlHeader:
    """A control message's header. The IDs are those that its receiver has chosen."""

    tunnel_id: int
    session_id: int
    ns: int
    nr: int

    def encode(self, body: bytes) -> bytes:
        """Return the whole datagram; an empty ``body`` makes a ZLB."""
        length = _CONTROL.size + len(body)
        head = _CONTROL.pack(_CONTROL_WORD, length, self.tunnel_id, self.session_id, self.ns, self.nr)
        return head + body


class DataHeader(NamedTuple):
    """A data message's header; the payload is ``datagram[offset_of_payload:end_of_payload]``."""

    tunnel_id: int
    session_id: int
    ns: int | None
    nr: int | None
    priority: bool
    offset_of_payload: int
    end_of_payload: int


def is_control(datagram: bytes | memoryview) -> bool:
    """Whether the T bit is set; False for an empty datagram."""
    return len(datagram) > 0 and bool(datagram[0] & 0x80)


def version(datagram: bytes | memoryview) -> int | None:
    """Return the header's version (2 here, 3 for L2TPv3, 1 for L2F); None under two octets."""
    return datagram[1] & VERSION_MASK if len(datagram) >= 2 else None


def decode_control(datagram: memoryview) -> tuple[ControlHeader, memoryview]:
    """Return a control message's header and its AVPs' octets, which end where the Length field says.

    Octets after that are padding of a lower layer. Raises `BadLength`, or `BadValue` where the version is
    not 2, where L or S is missing or where O, which only data have, is set.
    """
    if len(datagram) < _CONTROL.size:
        raise BadLength(f"{len(datagram)} octets, a control header takes {_CONTROL.size}")
    flags, length, tunnel_id, session_id, ns, nr = _CONTROL.unpack_from(datagram)
    if flags & _CONTROL_MASK != _CONTROL_WORD:
        raise BadValue(f"flags {flags:#06x} are not those of an L2TPv2 control message")
    if not _CONTROL.size <= length <= len(datagram):
        raise BadLength(f"Length {length} in a datagram of {len(datagram)} octets")
    return ControlHeader(tunnel_id, session_id, ns, nr), datagram[_CONTROL.size : length]


def parse_data_header(datagram: bytes | memoryview) -> DataHeader | None:
    """Return the header of a data message in any combination of L, S, O and P; None if it is not one.

    The offset's padding is skipped, and is 0 octets where Offset Size is 0.
    """
    available = len(datagram)
    if available < 6:
        return None
    flags = (datagram[0] << 8) | datagram[1]
    if flags & (TYPE_BIT | VERSION_MASK) != VERSION:
        return None
    needed = _DATA_OCTETS[(flags >> 8) & 0x4A]
    if needed > available:
        return None
    return _parse_fields(datagram, flags, needed)


def _parse_fields(datagram: bytes | memoryview, flags: int, payload: int) -> DataHeader | None:
    """Read the fields that ``flags`` announces; ``payload`` octets are known to be there."""
    position, end = 2, len(datagram)
    if flags & LENGTH_BIT:
        end = _WORD.unpack_from(datagram, 2)[0]
        position = 4
    tunnel_id, session_id = _PAIR.unpack_from(datagram, position)
    ns = nr = None
    if flags & SEQUENCE_BIT:
        ns, nr = _PAIR.unpack_from(datagram, position + 4)
    if flags & OFFSET_BIT:
        payload += _WORD.unpack_from(datagram, payload - 2)[0]
    if not payload <= end <= len(datagram):
        return None
    return DataHeader(tunnel_id, session_id, ns, nr, bool(flags & PRIORITY_BIT), payload, end)


def encode_data_header(
    peer_tunnel_id: int,
    peer_session_id: int,
    *,
    length: int | None = None,
    ns: int | None = None,
    nr: int = 0,
    priority: bool = False,
) -> bytes:
    """Return a data header. ``length`` counts the payload's octets and sets the L bit; ``ns`` sets S."""
    flags = VERSION | (PRIORITY_BIT if priority else 0)
    tail = _PAIR.pack(peer_tunnel_id, peer_session_id)
    if ns is not None:
        flags |= SEQUENCE_BIT
        tail += _PAIR.pack(ns, nr)
    if length is None:
        return _WORD.pack(flags) + tail
    return _PAIR.pack(flags | LENGTH_BIT, 4 + len(tail) + length) + tail


# Octets of a data header by its L, S and O bits, in the first octet's places; O counts Offset Size alone.
_DATA_OCTETS: Final = {
    bits: 6 + (2 if bits & 0x40 else 0) + (4 if bits & 0x08 else 0) + (2 if bits & 0x02 else 0)
    for bits in (0x00, 0x02, 0x08, 0x0A, 0x40, 0x42, 0x48, 0x4A)
}
