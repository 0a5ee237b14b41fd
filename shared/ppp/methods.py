"""The authentication protocols that we have, and how LCP's option names them (RFC 1661 §6.2)."""

from __future__ import annotations

from typing import Final

from shared.ppp.chap import ALGORITHM_MD5
from shared.ppp.frame import Protocol
from shared.ppp.mschap import ALGORITHM_MSCHAPV2

PAP: Final = "pap"
CHAP: Final = "chap"
MSCHAPV2: Final = "mschapv2"

OPTION_VALUES: Final = {
    PAP: Protocol.PAP.to_bytes(2, "big"),
    CHAP: Protocol.CHAP.to_bytes(2, "big") + bytes((ALGORITHM_MD5,)),
    MSCHAPV2: Protocol.CHAP.to_bytes(2, "big") + bytes((ALGORITHM_MSCHAPV2,)),
}

_METHODS: Final = {value: method for method, value in OPTION_VALUES.items()}


def method_of(value: bytes | None) -> str | None:
    """Return the method that the value of an Authentication-Protocol option names, if we have it."""
    return None if value is None else _METHODS.get(value)
