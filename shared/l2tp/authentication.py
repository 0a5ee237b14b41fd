"""Tunnel authentication: a CHAP-like exchange in both directions (RFC 2661 §4.4.3, §5.1.1)."""

from __future__ import annotations

from hashlib import md5
from hmac import compare_digest
from typing import Final

CHALLENGE_OCTETS: Final = 16


def challenge_response(message_type: int, secret: bytes, challenge: bytes) -> bytes:
    """Return the 16 octets that answer ``challenge``.

    ``message_type`` is that of the message which carries the answer: 2 in SCCRP, 3 in SCCCN.
    """
    return md5(bytes([message_type]) + secret + challenge, usedforsecurity=False).digest()


def answers(message_type: int, secret: bytes, challenge: bytes, response: bytes | None) -> bool:
    """Whether ``response``, None if the peer sent none, answers ``challenge``; in constant time."""
    return response is not None and compare_digest(
        response, challenge_response(message_type, secret, challenge)
    )
