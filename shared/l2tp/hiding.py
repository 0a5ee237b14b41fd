"""Hiding AVP values from eavesdroppers with the tunnel's shared secret (RFC 2661 §4.3)."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from hashlib import md5
from typing import Final

from shared.errors import BadLength, BadValue

_BLOCK: Final = 16
_TYPE: Final = struct.Struct("!H")
RANDOM_VECTOR_OCTETS: Final = 16


@dataclass(frozen=True, slots=True)
class Hider:
    """Hides the values of one message's AVPs; ``random_vector`` goes in front of them in the clear."""

    secret: bytes = field(repr=False)
    random_vector: bytes

    def hide(self, attribute: int, value: bytes, padding: bytes = b"") -> bytes:
        """Return the hidden form of ``value``; ``padding`` blurs how long it is."""
        plain = _TYPE.pack(len(value)) + value + padding
        hidden = b""
        pad = _first_pad(attribute, self.secret, self.random_vector)
        for start in range(0, len(plain), _BLOCK):
            block = _xor(plain[start : start + _BLOCK], pad)
            hidden += block
            pad = md5(self.secret + block, usedforsecurity=False).digest()
        return hidden


def unhide(attribute: int, hidden: bytes, secret: bytes, random_vector: bytes | None) -> bytes:
    """Return the value in ``hidden``, without its padding.

    Raises `BadLength` where the inner length runs past the AVP, which is what a wrong secret looks like,
    and `BadValue` where no Random Vector AVP stood before this one.
    """
    if random_vector is None:
        raise BadValue(f"AVP {attribute} is hidden and no Random Vector precedes it")
    if len(hidden) < _TYPE.size:
        raise BadLength(f"hidden AVP {attribute} of {len(hidden)} octets has no room for its length")
    plain = bytearray()
    pad = _first_pad(attribute, secret, random_vector)
    for start in range(0, len(hidden), _BLOCK):
        block = hidden[start : start + _BLOCK]
        plain += _xor(block, pad)
        pad = md5(secret + block, usedforsecurity=False).digest()
    (length,) = _TYPE.unpack_from(plain)
    if length > len(plain) - _TYPE.size:
        raise BadLength(f"hidden AVP {attribute} claims {length} of {len(plain) - _TYPE.size} octets")
    return bytes(plain[_TYPE.size : _TYPE.size + length])


def _first_pad(attribute: int, secret: bytes, random_vector: bytes) -> bytes:
    return md5(_TYPE.pack(attribute) + secret + random_vector, usedforsecurity=False).digest()


def _xor(block: bytes, pad: bytes) -> bytes:
    return bytes(left ^ right for left, right in zip(block, pad, strict=False))
