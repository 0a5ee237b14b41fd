"""Deadlines of many machines in one heap, without a clock."""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class TimerQueue(Generic[K]):
    """One deadline for each key, in seconds of whatever clock the owner passes in.

    A changed deadline leaves its old entry in the heap, to be dropped when it surfaces: setting and
    cancelling cost O(log n) and O(1). The heap is rebuilt when stale entries outnumber the live ones.
    """

    __slots__ = ("_deadlines", "_heap", "_order")

    def __init__(self) -> None:
        self._deadlines: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._order = 0

    def __len__(self) -> int:
        return len(self._deadlines)

    def set(self, key: K, deadline: float | None) -> None:
        """Let ``key`` be due at ``deadline``, replacing an earlier one; None cancels it."""
        if deadline is None:
            self._deadlines.pop(key, None)
            return
        if self._deadlines.get(key) == deadline:
            return
        self._deadlines[key] = deadline
        self._order += 1
        heapq.heappush(self._heap, (deadline, self._order, key))
        if len(self._heap) > 2 * len(self._deadlines) + 64:
            self._compact()

    def next_deadline(self) -> float | None:
        """When the next key is due; None where there is none."""
        self._drop_stale()
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: float) -> Iterator[K]:
        """Yield each key due at ``now``, once, earliest first; it has no deadline any more."""
        while True:
            self._drop_stale()
            if not self._heap or self._heap[0][0] > now:
                return
            _, _, key = heapq.heappop(self._heap)
            del self._deadlines[key]
            yield key

    def _drop_stale(self) -> None:
        while self._heap and self._deadlines.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)

    def _compact(self) -> None:
        live = {}
        for entry in self._heap:
            if self._deadlines.get(entry[2]) == entry[0]:
                live[entry[2]] = entry
        self._heap = list(live.values())
        heapq.heapify(self._heap)
