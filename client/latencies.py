"""Percentiles of durations in bounded memory."""

from __future__ import annotations

import math
from collections import Counter
from typing import Final

_GROWTH: Final = math.log(1.01)  # a bucket is 1 % wide, so a percentile is off by 1 % at most
_FLOOR_S: Final = 1e-6


class Latencies:
    """A histogram with buckets that grow by 1 %; microseconds to hours take some 2,300 of them."""

    __slots__ = ("_buckets", "count", "largest_s")

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self.count = 0
        self.largest_s = 0.0

    def add(self, duration_s: float) -> None:
        """Take one duration in."""
        self._buckets[math.ceil(math.log(max(duration_s, _FLOOR_S) / _FLOOR_S) / _GROWTH)] += 1
        self.count += 1
        self.largest_s = max(self.largest_s, duration_s)

    def percentile(self, percent: float) -> float:
        """Return the duration in seconds that ``percent`` of all do not exceed; 0 where there are none."""
        wanted = math.ceil(self.count * percent / 100)
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                return min(_FLOOR_S * math.exp(bucket * _GROWTH), self.largest_s)
        return 0.0

    def summary(self) -> dict[str, float]:
        """Return what a report prints, in milliseconds."""
        figures = {f"p{percent}_ms": round(self.percentile(percent) * 1000, 3) for percent in (50, 90, 99)}
        return {"count": self.count, **figures, "max_ms": round(self.largest_s * 1000, 3)}
