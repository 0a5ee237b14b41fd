"""Log lines that a peer can cause, limited for each cause, so that a flood does not fill a disk."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from controller.admission import TokenBucket

_PER_SECOND: Final = 5.0
_BURST: Final = 100.0


@dataclass(slots=True)
class _Cause:
    bucket: TokenBucket
    suppressed: int = 0


class QuietLog:
    """A logger for what may happen too often. ``cause`` is one of a few constants, never a peer's text."""

    def __init__(self, log: logging.Logger, clock: Callable[[], float]) -> None:
        self._log = log
        self._clock = clock
        self._causes: dict[str, _Cause] = {}

    def warning(self, cause: str, text: str, *values: object) -> None:
        """Log ``text`` with ``values``, unless there has been too much of ``cause``."""
        if self._allows(cause):
            self._log.warning(text, *values)

    def error(self, cause: str, text: str, *values: object, error: BaseException | None = None) -> None:
        """Log an error of ours, with the traceback of ``error``."""
        if self._allows(cause):
            self._log.error(text, *values, exc_info=error)

    def _allows(self, cause: str) -> bool:
        now = self._clock()
        state = self._causes.setdefault(cause, _Cause(TokenBucket(_PER_SECOND, _BURST, now)))
        if not state.bucket.take(now):
            state.suppressed += 1
            return False
        if state.suppressed:
            self._log.warning("not logged cause=%s lines=%d", cause, state.suppressed)
            state.suppressed = 0
        return True


class Seldom(logging.Filter):
    """Lets few records through, for a logger of a library's that is asked about each request."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._bucket = TokenBucket(0.1, 10, clock())

    def filter(self, _: logging.LogRecord) -> bool:
        """Whether there is a token left for this record."""
        return self._bucket.take(self._clock())


def shown(text: str) -> str:
    """Return a peer's text as one word of a log line: quoted where it could be taken for more."""
    plain = bool(text) and text.isprintable() and not set(text) & set(" \"'=")
    return text if plain else repr(text)


def told(text: str) -> str:
    """Return a sentence that may hold a peer's words: quoted where it could be taken for other fields."""
    return text if text.isprintable() and not set(text) & set("\"'=") else repr(text)
