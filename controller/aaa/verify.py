"""Whether credentials are right: PAP (RFC 1334), CHAP (RFC 1994), MS-CHAPv2 (RFC 2759)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Final

from controller.aaa.outcome import Attempt
from shared.ppp.chap import verify_chap
from shared.ppp.mschap import nt_hash, verify_mschapv2

MISMATCH: Final = "wrong password"


@dataclass(frozen=True, slots=True)
class Secret:
    """What we know of a subscriber: the password, or only its NT hash."""

    password: str | None = field(repr=False)
    nt_hash: bytes | None = field(repr=False)

    def hashed(self) -> bytes:
        """Return the NT hash."""
        if self.nt_hash is not None:
            return self.nt_hash
        assert self.password is not None
        return nt_hash(self.password)


@dataclass(frozen=True, slots=True)
class Proof:
    """The outcome: ``failure`` says why not, for the log; ``message`` goes to a peer that has succeeded."""

    failure: str | None = None
    message: str = ""


def verify(secret: Secret, attempt: Attempt) -> Proof:
    """Return whether ``attempt`` proves the knowledge of ``secret``."""
    check = _CHECKS.get(attempt.protocol)
    return check(secret, attempt) if check else Proof(f"{attempt.protocol} is not served")


def _pap(secret: Secret, attempt: Attempt) -> Proof:
    if secret.password is not None:
        right = compare_digest(secret.password.encode(), attempt.response)
    else:
        right = compare_digest(secret.hashed(), nt_hash(attempt.response.decode(errors="replace")))
    return Proof(None if right else MISMATCH)


def _chap(secret: Secret, attempt: Attempt) -> Proof:
    if secret.password is None:
        return Proof("CHAP needs a password, and there is only an NT hash")
    right = verify_chap(
        attempt.identifier & 0xFF, secret.password.encode(), attempt.challenge, attempt.response
    )
    return Proof(None if right else MISMATCH)


def _mschapv2(secret: Secret, attempt: Attempt) -> Proof:
    message = verify_mschapv2(secret.hashed(), attempt.username, attempt.challenge, attempt.response)
    return Proof(MISMATCH) if message is None else Proof(message=message)


_CHECKS: Final[dict[str, Callable[[Secret, Attempt], Proof]]] = {
    "pap": _pap,
    "chap": _chap,
    "mschapv2": _mschapv2,
}
