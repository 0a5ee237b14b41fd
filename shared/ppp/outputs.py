"""What the control and authentication protocols of a link tell their owner, the `Link`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from shared.ppp.automaton import Action
from shared.ppp.commands import Authenticate, Identified, WishAddress
from shared.ppp.policy import LinkEnd


class Layer(Enum):
    """A protocol came up or went down (RFC 1661 §4.4)."""

    UP = Action.THIS_LAYER_UP
    DOWN = Action.THIS_LAYER_DOWN
    STARTED = Action.THIS_LAYER_STARTED
    FINISHED = Action.THIS_LAYER_FINISHED


@dataclass(frozen=True, slots=True)
class PeerTerminated:
    """The peer sent a Terminate-Request, with this text; it is answered already."""

    text: str


@dataclass(frozen=True, slots=True)
class ProtocolRejected:
    """The peer does not want this protocol (RFC 1661 §5.7)."""

    protocol: int


@dataclass(frozen=True, slots=True)
class Failed:
    """A protocol can't succeed any more: its owner is to close it. ``code`` is RFC 3145's; 0: by ``end``."""

    end: LinkEnd
    reason: str
    code: int = 0


@dataclass(frozen=True, slots=True)
class Judged:
    """Authentication is over, in the opinion of whoever demanded it; ``message`` is its word on it."""

    accepted: bool
    message: str


# `bytes` is a packet to send.
Output: TypeAlias = (
    bytes
    | Layer
    | PeerTerminated
    | ProtocolRejected
    | Failed
    | Judged
    | Authenticate
    | WishAddress
    | Identified
)
