"""MS-CHAPv2 (RFC 2759): both proofs, the peer's and the authenticator's. Pure functions of octets."""

from __future__ import annotations

import hashlib
import re
from hmac import compare_digest
from typing import Final

from Cryptodome.Cipher import DES
from Cryptodome.Hash import MD4

ALGORITHM_MSCHAPV2: Final = 0x81  # §2
RESPONSE_OCTETS: Final = 49  # Peer-Challenge 16, reserved 8, NT-Response 24, Flags 1 (§4)
PEER_CHALLENGE_OCTETS: Final = 16

_MAGIC_1: Final = b"Magic server to client signing constant"  # §8.7
_MAGIC_2: Final = b"Pad to make it do more than one iteration"
_FAILURE: Final = re.compile(
    r"E=(?P<code>\d{1,10})(?: R=[01])?(?: C=[0-9A-Fa-f]*)?(?: V=\d{1,10})?(?: M=(?P<text>.*))?$", re.DOTALL
)


def nt_hash(password: str) -> bytes:
    """Return the 16-octet NtPasswordHash (§8.3); it is as secret as the password."""
    return _md4(password.encode("utf-16-le", "surrogatepass"))


def verify_mschapv2(
    password_hash: bytes, username: str, authenticator_challenge: bytes, response_value: bytes
) -> str | None:
    """Return the "S=..." of the Success message where the Response proves the password; else None.

    ``password_hash`` is `nt_hash` of the password, ``response_value`` the 49-octet Value of the Response.
    """
    if len(response_value) != RESPONSE_OCTETS:
        return None
    peer_challenge = response_value[:PEER_CHALLENGE_OCTETS]
    nt_response = response_value[24:48]
    for name in _possible_octets(username):
        challenge = _challenge_hash(peer_challenge, authenticator_challenge, name)
        if compare_digest(_challenge_response(challenge, password_hash), nt_response):
            return _authenticator_response(password_hash, nt_response, challenge)
    return None


def respond_mschapv2(
    password: str, username: str, authenticator_challenge: bytes, peer_challenge: bytes
) -> bytes:
    """Return the 49-octet Value of the peer's Response (§4)."""
    challenge = _challenge_hash(peer_challenge, authenticator_challenge, username.encode())
    nt_response = _challenge_response(challenge, nt_hash(password))
    return peer_challenge + bytes(8) + nt_response + b"\x00"


def expect_success(
    password: str, username: str, authenticator_challenge: bytes, response_value: bytes
) -> str:
    """Return the "S=..." that an authenticator who knows the password too sends for ``response_value``."""
    peer_challenge = response_value[:PEER_CHALLENGE_OCTETS]
    challenge = _challenge_hash(peer_challenge, authenticator_challenge, username.encode())
    return _authenticator_response(nt_hash(password), response_value[24:48], challenge)


def failure_message(challenge: bytes, text: str = "Authentication failed") -> str:
    """Return the Failure message for a bad name or password, without a retry (§6).

    ``challenge`` is a fresh one, which a retry would have to use.
    """
    return f"E=691 R=0 C={challenge.hex().upper()} V=3 M={text}"


def failure_reason(message: str) -> str:
    """Return what a Failure message (§6) says to people: its text and code, without the challenge in it."""
    found = _FAILURE.match(message)
    return message if found is None else f"{found['text'] or 'authentication failed'} (E={found['code']})"


def _possible_octets(username: str) -> list[bytes]:
    """Return what the peer may have hashed as its name, whose encoding no RFC fixes: Windows' is Latin-1."""
    octets = [username.encode("utf-8", "replace")]
    if not username.isascii():
        octets.append(username.encode("latin-1", "replace"))
    return octets


def _challenge_hash(peer_challenge: bytes, authenticator_challenge: bytes, username: bytes) -> bytes:
    """§8.2. The name is taken without a domain before it."""
    name = username.rpartition(b"\\")[2]
    digest = hashlib.sha1(peer_challenge + authenticator_challenge + name, usedforsecurity=False)
    return digest.digest()[:8]


def _challenge_response(challenge: bytes, password_hash: bytes) -> bytes:
    """§8.5: three DES encryptions of the challenge, with keys from the hash padded to 21 octets."""
    keys = password_hash.ljust(21, b"\x00")
    return b"".join(_des(challenge, keys[at : at + 7]) for at in (0, 7, 14))


def _authenticator_response(password_hash: bytes, nt_response: bytes, challenge: bytes) -> str:
    """§8.7."""
    hash_hash = _md4(password_hash)
    inner = hashlib.sha1(hash_hash + nt_response + _MAGIC_1, usedforsecurity=False).digest()
    outer = hashlib.sha1(inner + challenge + _MAGIC_2, usedforsecurity=False)
    return "S=" + outer.hexdigest().upper()


def _md4(octets: bytes) -> bytes:
    return MD4.new(octets).digest()  # noqa: S303 - the RFC's choice


def _des(clear: bytes, raw_key: bytes) -> bytes:
    return DES.new(des_key(raw_key), DES.MODE_ECB).encrypt(clear)  # noqa: S304 - the RFC's choice


def des_key(raw: bytes) -> bytes:
    """Return the 8-octet DES key of 7 octets: seven bits each, and a bit for odd parity (§8.6)."""
    bits = int.from_bytes(raw, "big")
    sevens = (bits >> shift & 0x7F for shift in range(49, -1, -7))
    return bytes(seven << 1 | (seven.bit_count() & 1 ^ 1) for seven in sevens)
