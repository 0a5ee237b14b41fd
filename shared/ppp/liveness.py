"""Whether the peer is still there: LCP echoes, and how many went unanswered (RFC 1661 §5.8)."""

from __future__ import annotations


class Liveness:
    """The clockwork of LCP's Echo-Requests on one link."""

    __slots__ = ("_failures", "_interval_s", "_unanswered", "deadline")

    def __init__(self, interval_s: float, failures: int) -> None:
        """With an interval or a number of failures of 0 no echo is ever due."""
        self._interval_s = interval_s if failures > 0 else 0.0
        self._failures = failures
        self._unanswered: list[int] = []
        self.deadline: float | None = None

    def start(self, now: float) -> None:
        """Begin; the first echo is due after one interval."""
        self._unanswered.clear()
        self.deadline = now + self._interval_s if self._interval_s > 0 else None

    def stop(self) -> None:
        """End."""
        self.deadline = None

    def due(self, now: float) -> bool:
        """True where there is something to do: look at `lost`, else ask."""
        return self.deadline is not None and now >= self.deadline

    @property
    def lost(self) -> bool:
        """True where the peer has failed to answer often enough."""
        return len(self._unanswered) >= self._failures

    def asked(self, identifier: int, now: float) -> None:
        """Remember an Echo-Request that has been sent."""
        self._unanswered.append(identifier)
        self.deadline = now + self._interval_s

    def heard(self, identifier: int) -> None:
        """Take an Echo-Reply: one to any of the unanswered requests proves that the peer is there."""
        if identifier in self._unanswered:
            self._unanswered.clear()
