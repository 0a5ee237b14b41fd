"""Why a tunnel or a call is not there: whose decision it was, at which stage, with which code."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from shared.ppp.policy import LinkEnd


class Stage(StrEnum):
    """How far a subscriber had come."""

    TUNNEL = "tunnel"
    CALL = "call"
    PPP = "ppp"


@dataclass(frozen=True, slots=True)
class Failure:
    """The end of a tunnel or call.

    ``code`` is the Result Code of the StopCCN or CDN where there was one, ``end`` PPP's view where PPP
    decided.
    """

    stage: Stage
    by_peer: bool
    reason: str
    code: int | None = None
    error: int = 0
    end: LinkEnd | None = None

    @property
    def side(self) -> str:
        """Who ended it."""
        return "the LNS" if self.by_peer else "we"

    def text(self) -> str:
        """Return one line, the same for all subscribers that failed alike."""
        told = self.code is None or self.reason.startswith(f"result {self.code}")
        code = "" if told else f" (result {self.code}, error {self.error})"
        return f"{self.stage}: {self.side} ended it: {self.reason}{code}"
