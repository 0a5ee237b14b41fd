"""Code, Identifier, Length, Data: the packet that LCP, every NCP, PAP and CHAP share (RFC 1661 §5)."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final, NamedTuple

from shared.errors import BadLength

_HEADER: Final = struct.Struct("!BBH")


class Code(IntEnum):
    """What a packet of LCP is; NCPs have the first seven (RFC 1661 §5, RFC 1570 §2)."""

    CONFIGURE_REQUEST = 1
    CONFIGURE_ACK = 2
    CONFIGURE_NAK = 3
    CONFIGURE_REJECT = 4
    TERMINATE_REQUEST = 5
    TERMINATE_ACK = 6
    CODE_REJECT = 7
    PROTOCOL_REJECT = 8
    ECHO_REQUEST = 9
    ECHO_REPLY = 10
    DISCARD_REQUEST = 11
    IDENTIFICATION = 12
    TIME_REMAINING = 13


class Packet(NamedTuple):
    """One packet; ``body`` is what follows the Length field, borrowed."""

    code: int
    identifier: int
    body: memoryview


def decode_packet(octets: memoryview) -> Packet:
    """Return the packet in ``octets``; what follows its Length is padding and is left out.

    Raises `BadLength` where Length is under the header's size or runs past ``octets``.
    """
    if len(octets) < _HEADER.size:
        raise BadLength(f"{len(octets)} octets, a PPP packet has {_HEADER.size} at least")
    code, identifier, length = _HEADER.unpack_from(octets)
    if not _HEADER.size <= length <= len(octets):
        raise BadLength(f"a PPP packet claims {length} of {len(octets)} octets")
    return Packet(code, identifier, octets[_HEADER.size : length])


def encode_packet(code: int, identifier: int, body: bytes = b"") -> bytes:
    """Return the octets of one packet."""
    return _HEADER.pack(code, identifier, _HEADER.size + len(body)) + body


def peer_text(octets: bytes | memoryview, limit: int = 200) -> str:
    """Return what the peer wrote, fit for a log line: one line, bounded, nothing that steers a terminal."""
    text = bytes(octets[:limit]).decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
