"""One timer of the loop for many deadlines; the loop is one that we move by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from shared.timers import TimerQueue
from system.alarm import Alarm


class Handle:
    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """The part of an event loop that `Alarm` uses."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[tuple[float, Callable[[], Any], Handle]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], Any]) -> Handle:
        self.calls.append((when, callback, handle := Handle()))
        return handle

    def pending(self) -> list[float]:
        return [when for when, _, handle in self.calls if not handle.cancelled]

    def advance(self, now: float) -> None:
        self.now = now
        due = [call for call in self.calls if call[0] <= now and not call[2].cancelled]
        self.calls = [call for call in self.calls if call not in due]
        for _, callback, _ in due:
            callback()


def made() -> tuple[Loop, TimerQueue[object], Alarm, list[tuple[float, list[object]]]]:
    loop, queue, rung = Loop(), TimerQueue[object](), list[tuple[float, list[object]]]()
    alarm = Alarm(
        cast("asyncio.AbstractEventLoop", loop),
        queue,
        lambda now: rung.append((now, list(queue.pop_due(now)))),
    )
    return loop, queue, alarm, rung


def test_the_alarm_rings_when_the_earliest_is_due_and_arms_itself_again() -> None:
    loop, queue, alarm, rung = made()
    queue.set("a", 1.0)
    queue.set("b", 2.0)
    alarm.arm()
    assert loop.pending() == [1.0]
    loop.advance(1.0)
    assert loop.pending() == [2.0]
    loop.advance(5.0)
    assert rung == [(1.0, ["a"]), (5.0, ["b"])]
    assert loop.pending() == []


def test_a_later_deadline_costs_no_timer_and_an_earlier_one_replaces_it() -> None:
    loop, queue, alarm, _ = made()
    queue.set("a", 5.0)
    alarm.arm()
    queue.set("b", 9.0)
    alarm.arm()
    assert loop.pending() == [5.0]
    queue.set("c", 1.0)
    alarm.arm()
    assert loop.pending() == [1.0]


def test_a_cancelled_deadline_wakes_once_for_nothing_and_no_more() -> None:
    loop, queue, alarm, rung = made()
    queue.set("a", 1.0)
    alarm.arm()
    queue.set("a", 8.0)
    loop.advance(1.0)
    assert rung == [(1.0, [])]
    assert loop.pending() == [8.0]
    alarm.stop()
    assert loop.pending() == []
