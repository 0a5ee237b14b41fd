"""A token bucket."""

from __future__ import annotations


class RateLimit:
    """Lets ``burst`` events pass at once and ``per_second`` in the long run."""

    __slots__ = ("_burst", "_per_second", "_tokens", "_updated_at")

    def __init__(self, per_second: float, burst: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._tokens = burst
        self._updated_at = 0.0

    def allows(self, now: float) -> bool:
        """Whether one more event may happen at ``now``; counts it if so."""
        elapsed = max(0.0, now - self._updated_at)
        self._updated_at = now
        self._tokens = min(self._burst, self._tokens + elapsed * self._per_second)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
