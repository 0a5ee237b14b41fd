"""Attribute-value pairs as octets (RFC 2661 §4.1). What an attribute means stands in `attributes`."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from shared.errors import BadLength

MANDATORY: Final = 0x8000
HIDDEN: Final = 0x4000
RESERVED: Final = 0x3C00
_LENGTH: Final = 0x03FF
_HEADER: Final = struct.Struct("!HHH")

HEADER_OCTETS: Final = _HEADER.size
MAX_VALUE_OCTETS: Final = _LENGTH - _HEADER.size  # 1,017
MAX_AVPS: Final = 128  # of one message: 60 datagrams a second of 10,000 each would take a whole CPU


class AVP(NamedTuple):
    """One attribute-value pair; ``flags`` holds the M, H and reserved bits in their wire places."""

    attribute: int
    value: bytes
    vendor: int = 0
    flags: int = MANDATORY

    @property
    def mandatory(self) -> bool:
        """Whether a receiver that does not know the attribute must end the session or the tunnel."""
        return bool(self.flags & MANDATORY)

    @property
    def hidden(self) -> bool:
        """Whether ``value`` is hidden (§4.3)."""
        return bool(self.flags & HIDDEN)

    def encode(self) -> bytes:
        """Return the octets of this AVP; raises `BadLength` over 1,017 octets of value."""
        return encode_avp(self.attribute, self.value, self.flags, self.vendor)


def encode_avp(attribute: int, value: bytes, flags: int = MANDATORY, vendor: int = 0) -> bytes:
    """Return the octets of an AVP; raises `BadLength` over 1,017 octets of ``value``."""
    if len(value) > MAX_VALUE_OCTETS:
        raise BadLength(f"AVP {attribute}: {len(value)} octets, {MAX_VALUE_OCTETS} fit")
    return _HEADER.pack(flags | (_HEADER.size + len(value)), vendor, attribute) + value


def decode_avps(body: memoryview) -> Iterator[AVP]:
    """Yield the AVPs of a control message, in wire order.

    ``body`` is all that follows the L2TP header; it is empty in a ZLB. Raises `BadLength` when an AVP is
    under its header's size or runs past ``body``, and after `MAX_AVPS`: no message has a third of that.
    """
    position, end = 0, len(body)
    for _ in range(MAX_AVPS):
        if position == end:
            return
        if end - position < _HEADER.size:
            raise BadLength(f"{end - position} octets left, an AVP header takes {_HEADER.size}")
        first, vendor, attribute = _HEADER.unpack_from(body, position)
        length = first & _LENGTH  # counts the header too
        if not _HEADER.size <= length <= end - position:
            raise BadLength(f"AVP {attribute} claims {length} of {end - position} octets")
        value = bytes(body[position + _HEADER.size : position + length])
        yield AVP(attribute, value, vendor, first & ~_LENGTH)
        position += length
    if position < end:
        raise BadLength(f"more than {MAX_AVPS} AVPs")
