"""The packets of PAP (RFC 1334 §2.2). The password travels in the clear."""

from __future__ import annotations

from enum import IntEnum

from shared.errors import BadLength


class PapCode(IntEnum):
    """§2.2."""

    REQUEST = 1
    ACK = 2
    NAK = 3


def encode_request(name: bytes, password: bytes) -> bytes:
    """Return the body of an Authenticate-Request; name and password have 255 octets at most."""
    return bytes((len(name),)) + name + bytes((len(password),)) + password


def decode_request(body: memoryview) -> tuple[bytes, bytes]:
    """Return the name and the password. Raises `BadLength` where one of them runs past ``body``."""
    name, rest = _field(body)
    password, _ = _field(rest)
    return name, password


def encode_message(text: str) -> bytes:
    """Return the body of an Authenticate-Ack or -Nak; ``text`` is cut to what a length octet can say."""
    octets = text.encode()[:255]
    return bytes((len(octets),)) + octets


def decode_message(body: memoryview) -> bytes:
    """Return the text of an Authenticate-Ack or -Nak. Peers exist that send none, not even its length."""
    return bytes(body[1 : 1 + body[0]]) if body else b""


def _field(body: memoryview) -> tuple[bytes, memoryview]:
    if not body or 1 + body[0] > len(body):
        raise BadLength(f"a length octet runs past {len(body)} octets")
    end = 1 + body[0]
    return bytes(body[1:end]), body[end:]
