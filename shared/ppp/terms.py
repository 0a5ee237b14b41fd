"""What the protocols of one link know about it: which side we are, and what was configured and granted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from shared.ppp.policy import Authorization, LinkPolicy


class Side(Enum):
    """Who proves who it is (RFC 1994 §1.2): the AUTHENTICATOR demands it, the PEER does it."""

    AUTHENTICATOR = 1
    PEER = 2


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the PEER proves itself with."""

    username: str
    password: str = field(repr=False)


@dataclass(slots=True)
class Terms:
    """Shared by the protocols of one link; ``authorization`` is set as authentication grants it.

    On the PEER's side ``authorization`` says what to ask for: None for any IPv4 address and for IPv6.
    """

    policy: LinkPolicy
    side: Side
    random: Callable[[int], bytes]
    credentials: Credentials | None
    authorization: Authorization | None
    local_interface_id: int
    claim_interface_id: Callable[[int], bool]

    @property
    def assigns(self) -> bool:
        """True where we give out addresses rather than ask for them."""
        return self.side is Side.AUTHENTICATOR
