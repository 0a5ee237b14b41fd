"""Sequence numbers of data messages (RFC 2661 §5.4)."""

from __future__ import annotations

from shared.l2tp.sequencing import DataSequence


def delivered(sequence: DataSequence, *numbers: int) -> list[int]:
    return [ns for ns in numbers if sequence.receive(ns)]


def test_old_and_repeated_messages_are_dropped_and_gaps_are_passed() -> None:
    assert delivered(DataSequence(), 0, 1, 1, 3, 2, 4) == [0, 1, 3, 4]


def test_numbers_wrap() -> None:
    assert delivered(DataSequence(), 65534, 65535, 0, 65535, 1) == [65534, 65535, 0, 1]


def test_messages_without_a_number_are_delivered() -> None:
    sequence = DataSequence(sending=True)
    assert sequence.receive(None)
    assert delivered(sequence, 9, 8) == [9]


def test_a_peer_that_begins_anew_is_heard_again_after_a_few_messages() -> None:
    sequence = DataSequence()
    sequence.receive(20_000)
    passed = delivered(sequence, *range(40))
    assert passed == list(range(4, 40))


def test_one_old_message_repeated_for_ever_is_never_taken_for_a_new_beginning() -> None:
    sequence = DataSequence()
    sequence.receive(20_000)
    assert delivered(sequence, *[5] * 100) == []


def test_our_numbers_count_up_and_wrap() -> None:
    sequence = DataSequence(sending=True)
    assert [sequence.next_ns() for _ in range(3)] == [0, 1, 2]
    for _ in range(65536 - 4):
        sequence.next_ns()
    assert [sequence.next_ns(), sequence.next_ns()] == [65535, 0]


def test_a_lac_numbers_its_messages_when_the_lns_does() -> None:
    sequence = DataSequence(follow=True)
    assert sequence.next_ns() is None
    sequence.receive(7)
    assert sequence.next_ns() == 0
    sequence.receive(None)
    assert sequence.next_ns() is None
