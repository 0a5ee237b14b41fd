"""What a subscriber presents, and what a source of subscribers can say to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Attempt:
    """Credentials, as `shared.ipc.messages.AuthRequest` has them."""

    protocol: str
    username: str
    identifier: int
    challenge: bytes = field(repr=False)
    response: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a source says of a subscriber; None and empty leave it to the profile.

    ``username`` is whose session it is, whatever name was presented.
    """

    username: str
    profile: str | None = None
    address: IPv4Address | None = None
    routes: tuple[str, ...] = ()
    max_sessions: int = 0  # 0: any number
    replace_oldest: bool = False  # where that number is reached; otherwise refuse


@dataclass(frozen=True, slots=True)
class Accepted:
    """The credentials are right. ``message`` is for the peer: MS-CHAPv2's proof "S=..."."""

    grant: Grant
    message: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """The credentials are wrong. ``reason`` is for the log, never for the peer."""

    reason: str


Outcome = Accepted | Refused
Answer = Callable[[Outcome | None], None]


class Source(Protocol):
    """Somebody who knows subscribers: the local users, a RADIUS server."""

    def authenticate(self, attempt: Attempt, answer: Answer) -> None:
        """Call ``answer`` once, now or later: with None where the subscriber is not known here."""
