"""All deadlines of the controller, on one timer of the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from itertools import islice
from typing import Final

from shared.timers import TimerQueue
from system.alarm import Alarm

_BATCH: Final = 256  # that are due at once; sockets have their turn before the others


class Deadlines:
    """Implements `controller.ports.Timers`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._queue: TimerQueue[object] = TimerQueue()
        self._alarm = Alarm(loop, self._queue, self._ring)

    def start(self, due: Callable[[Hashable, float], None]) -> None:
        """Call ``due(key, now)`` when the deadline of ``key`` has come."""
        self._due = due

    def set(self, key: Hashable, deadline: float | None) -> None:
        """Let ``key`` be due at ``deadline``; None cancels it."""
        self._queue.set(key, deadline)
        self._alarm.arm()

    def stop(self) -> None:
        """Let nothing be due any more."""
        self._alarm.stop()

    def _ring(self, now: float) -> None:
        for key in islice(self._queue.pop_due(now), _BATCH):
            self._due(key, now)
