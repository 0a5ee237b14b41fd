"""Deadlines of many machines in one queue. The clock is a number."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from shared.timers import TimerQueue


def test_what_is_due_comes_earliest_first_and_once() -> None:
    queue: TimerQueue[str] = TimerQueue()
    queue.set("late", 3.0)
    queue.set("early", 1.0)
    queue.set("later", 9.0)
    assert queue.next_deadline() == 1.0
    assert list(queue.pop_due(3.0)) == ["early", "late"]
    assert list(queue.pop_due(3.0)) == []
    assert queue.next_deadline() == 9.0
    assert len(queue) == 1


def test_a_deadline_is_replaced_and_cancelled() -> None:
    queue: TimerQueue[str] = TimerQueue()
    queue.set("moved", 1.0)
    queue.set("moved", 5.0)
    queue.set("cancelled", 2.0)
    queue.set("cancelled", None)
    queue.set("never set", None)
    assert list(queue.pop_due(4.0)) == []
    assert queue.next_deadline() == 5.0
    queue.set("moved", 0.5)
    assert list(queue.pop_due(1.0)) == ["moved"]
    assert queue.next_deadline() is None


def test_a_deadline_set_back_to_an_earlier_value_is_due_once() -> None:
    queue: TimerQueue[str] = TimerQueue()
    for deadline in (1.0, 2.0, 1.0):
        queue.set("key", deadline)
    assert list(queue.pop_due(5.0)) == ["key"]


def test_equal_deadlines_come_in_the_order_of_setting() -> None:
    queue: TimerQueue[int] = TimerQueue()
    for key in (3, 1, 2):
        queue.set(key, 1.0)
    assert list(queue.pop_due(1.0)) == [3, 1, 2]


def test_a_key_set_while_others_are_popped_is_found() -> None:
    queue: TimerQueue[str] = TimerQueue()
    queue.set("first", 1.0)
    due = queue.pop_due(2.0)
    assert next(due) == "first"
    queue.set("second", 1.5)
    queue.set("first", 7.0)
    assert list(due) == ["second"]
    assert queue.next_deadline() == 7.0


def test_a_deadline_that_moves_for_ever_takes_no_memory() -> None:
    queue: TimerQueue[int] = TimerQueue()
    for now in range(100_000):
        queue.set(now % 10, float(now))
    assert len(queue) == 10
    assert len(queue._heap) < 200


class Model(RuleBasedStateMachine):
    """The queue beside a dictionary that does the same slowly."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: TimerQueue[int] = TimerQueue()
        self.deadlines: dict[int, float] = {}

    @rule(key=st.integers(0, 5), deadline=st.none() | st.integers(0, 20).map(float))
    def set(self, key: int, deadline: float | None) -> None:
        self.queue.set(key, deadline)
        if deadline is None:
            self.deadlines.pop(key, None)
        else:
            self.deadlines[key] = deadline

    @rule(now=st.integers(0, 20).map(float))
    def pop(self, now: float) -> None:
        expected = {key: deadline for key, deadline in self.deadlines.items() if deadline <= now}
        popped = list(self.queue.pop_due(now))
        assert sorted(popped) == sorted(expected)
        assert [expected[key] for key in popped] == sorted(expected.values())
        for key in expected:
            del self.deadlines[key]

    @invariant()
    def same_next(self) -> None:
        assert self.queue.next_deadline() == min(self.deadlines.values(), default=None)
        assert len(self.queue) == len(self.deadlines)


TestModel = Model.TestCase


@given(st.lists(st.tuples(st.integers(0, 3), st.none() | st.floats(0, 1e9)), max_size=300))
def test_the_heap_stays_in_proportion(changes: list[tuple[int, float | None]]) -> None:
    queue: TimerQueue[int] = TimerQueue()
    for key, deadline in changes:
        queue.set(key, deadline)
    assert len(queue._heap) <= 2 * 4 + 66
