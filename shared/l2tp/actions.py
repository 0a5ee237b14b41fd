"""What the tunnel's and the calls' state machines want done; `connection` does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from shared.l2tp.messages import Message
from shared.l2tp.results import Result


@dataclass(frozen=True, slots=True)
class Send:
    """Send ``message`` reliably."""

    message: Message


@dataclass(frozen=True, slots=True)
class Up:
    """The machine has become established."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """End it, and tell the peer ``result`` by StopCCN or CDN."""

    result: Result


@dataclass(frozen=True, slots=True)
class Abandon:
    """End it without a word to the peer (a lost tie, §4.4.3)."""

    reason: str


@dataclass(frozen=True, slots=True)
class Remark:
    """Have ``text`` logged."""

    text: str


Action: TypeAlias = Send | Up | Refuse | Abandon | Remark
