"""Sources of subscribers, asked one after the other."""

from __future__ import annotations

from collections.abc import Sequence

from controller.aaa.outcome import Answer, Attempt, Outcome, Refused, Source

UNKNOWN_USER = Refused("unknown user")


class Chain:
    """The first source that knows the subscriber decides; nobody does: unknown user."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = tuple(sources)

    def authenticate(self, attempt: Attempt, answer: Answer) -> None:
        """Call ``answer`` once with an outcome, now or later."""
        self._ask(0, attempt, answer)

    def _ask(self, index: int, attempt: Attempt, answer: Answer) -> None:
        if index == len(self._sources):
            answer(UNKNOWN_USER)
            return

        def heard(outcome: Outcome | None) -> None:
            if outcome is None:
                self._ask(index + 1, attempt, answer)
            else:
                answer(outcome)

        self._sources[index].authenticate(attempt, heard)
