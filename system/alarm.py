"""One timer of the event loop for all deadlines of a process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.timers import TimerQueue


class Alarm:
    """Calls ``ring(now)`` when the earliest deadline of ``queue`` has come.

    Deadlines are on the clock of ``loop.time()``. Call `arm` after changing the queue; it costs nothing
    where the earliest deadline is unchanged or later than the one armed.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, queue: TimerQueue[object], ring: Callable[[float], None]
    ) -> None:
        self._loop = loop
        self._queue = queue
        self._ring = ring
        self._handle: asyncio.TimerHandle | None = None
        self._armed_for = float("inf")

    def arm(self) -> None:
        """Make sure that the loop wakes for the earliest deadline."""
        deadline = self._queue.next_deadline()
        if deadline is None or deadline >= self._armed_for:
            return
        if self._handle is not None:
            self._handle.cancel()
        self._armed_for = deadline
        self._handle = self._loop.call_at(deadline, self._wake)

    def stop(self) -> None:
        """Forget the armed deadline."""
        if self._handle is not None:
            self._handle.cancel()
        self._handle = None
        self._armed_for = float("inf")

    def _wake(self) -> None:
        self.stop()
        self._ring(self._loop.time())
        self.arm()
