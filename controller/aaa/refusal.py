"""What a subscriber is told who does not get in; why exactly is for the log alone."""

from __future__ import annotations

import secrets
from typing import Final

from shared.ppp.mschap import failure_message

_NOT_PERMITTED: Final = 649  # ERROR_NO_DIALIN_PERMISSION (RFC 2759 §6)


def bad_credentials(protocol: str) -> str:
    """Return the message for a wrong name or password: the same for both."""
    return _say(protocol, "Authentication failed")


def not_served(protocol: str, text: str) -> str:
    """Return the message for somebody whose credentials are right, but who gets no service now."""
    return _say(protocol, text).replace("E=691 ", f"E={_NOT_PERMITTED} ", 1)


def _say(protocol: str, text: str) -> str:
    return failure_message(secrets.token_bytes(16), text) if protocol == "mschapv2" else text
