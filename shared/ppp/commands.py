"""What a `Link` asks of its owner, in the order in which it must happen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from shared.ppp.policy import LinkEnd


@dataclass(frozen=True, slots=True)
class SendFrame:
    """Send ``frame`` to the peer; ``priority`` asks for the P bit of its L2TP header (RFC 2661 §3.1)."""

    frame: bytes
    priority: bool = False


@dataclass(frozen=True, slots=True)
class Authenticate:
    """The peer presents credentials; answer with `Link.decide`. The fields are `shared.ipc`'s AuthRequest's.

    Repeated with the same ``request_id`` when the peer repeats itself.
    """

    request_id: int
    protocol: str
    username: str
    identifier: int
    challenge: bytes = field(repr=False)
    response: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class WishAddress:
    """In IPCP the peer asks for ``address``: answer with `Link.decide_address`. May be repeated."""

    address: str


@dataclass(frozen=True, slots=True)
class NetworkUp:
    """The NCP with number ``protocol`` (such as `Protocol.IPCP`) is Opened: its packets may flow."""

    protocol: int


@dataclass(frozen=True, slots=True)
class NetworkDown:
    """The NCP with number ``protocol`` has left Opened: its packets are to be dropped."""

    protocol: int


@dataclass(frozen=True, slots=True)
class Identified:
    """The peer's LCP Identification, fit for a log line."""

    text: str


@dataclass(frozen=True, slots=True)
class LinkDown:
    """PPP is over, and this is the last command of the link. ``ppp_...`` are RFC 3145's AVP (§2.1)."""

    end: LinkEnd
    reason: str
    ppp_code: int = 0
    ppp_protocol: int = 0
    ppp_direction: int = 0  # 0: does not apply, 1: the failure is the peer's, 2: ours
    ppp_message: str = ""


LinkCommand: TypeAlias = (
    SendFrame | Authenticate | WishAddress | NetworkUp | NetworkDown | Identified | LinkDown
)
