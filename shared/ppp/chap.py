"""CHAP with MD5 (RFC 1994): the response, and the packets that MS-CHAPv2 uses as well."""

from __future__ import annotations

import hashlib
from enum import IntEnum
from hmac import compare_digest
from typing import Final

from shared.errors import BadLength

ALGORITHM_MD5: Final = 5  # RFC 1994 §3
CHALLENGE_OCTETS: Final = 16
MD5_RESPONSE_OCTETS: Final = 16


class ChapCode(IntEnum):
    """RFC 1994 §4."""

    CHALLENGE = 1
    RESPONSE = 2
    SUCCESS = 3
    FAILURE = 4


def chap_response(identifier: int, secret: bytes, challenge: bytes) -> bytes:
    """Return the 16-octet Value of a Response to the Challenge with this ``identifier`` (§4.1)."""
    return hashlib.md5(bytes((identifier,)) + secret + challenge, usedforsecurity=False).digest()


def verify_chap(identifier: int, secret: bytes, challenge: bytes, response: bytes) -> bool:
    """True where ``response`` proves the knowledge of ``secret``; takes the same time in either case."""
    return compare_digest(chap_response(identifier, secret, challenge), response)


def encode_value(value: bytes, name: bytes) -> bytes:
    """Return the body of a Challenge or a Response: Value-Size, Value, Name (§4.1)."""
    return bytes((len(value),)) + value + name


def decode_value(body: memoryview) -> tuple[bytes, bytes]:
    """Return the Value and the Name of a Challenge or a Response.

    Raises `BadLength` where Value-Size is zero or runs past ``body``.
    """
    size = body[0] if body else 0
    if not 0 < size < len(body):
        raise BadLength(f"Value-Size {size} in {len(body)} octets")
    return bytes(body[1 : 1 + size]), bytes(body[1 + size :])
