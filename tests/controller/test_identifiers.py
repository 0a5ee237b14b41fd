"""Local IDs: of the right residue, never twice at a time, not again too soon."""

from __future__ import annotations

from itertools import pairwise

import pytest

from controller.identifiers import IdentifierSpace
from shared.l2tp.sharding import SPREAD_BASE, worker_of


def test_an_id_leads_to_the_worker_it_was_taken_for() -> None:
    space = IdentifierSpace(1, SPREAD_BASE - 1, 3)
    for worker in (0, 1, 2):
        number = space.take(worker, now=0.0)
        assert number is not None
        assert 0 < number < SPREAD_BASE
        assert worker_of(number, 0, 3) == worker


@pytest.mark.parametrize(("first", "last", "modulus"), [(1, 200, 7), (SPREAD_BASE, SPREAD_BASE + 40, 1)])
def test_the_range_is_used_to_its_end_without_collision(first: int, last: int, modulus: int) -> None:
    space = IdentifierSpace(first, last, modulus)
    taken = []
    for residue in range(modulus):
        while (number := space.take(residue, now=0.0)) is not None:
            taken.append(number)
    assert sorted(taken) == list(range(first, last + 1))


def test_an_id_rests_after_use_until_nothing_else_is_left() -> None:
    space = IdentifierSpace(1, 4, 1)
    first = space.take(0, now=0.0)
    assert first is not None
    space.release(first, now=0.0)
    others = {space.take(0, now=1.0) for _ in range(3)}
    assert first not in others
    assert space.take(0, now=1.0) == first
    assert space.take(0, now=1.0) is None


def test_a_rested_id_is_like_any_other() -> None:
    space = IdentifierSpace(1, 2, 1)
    first = space.take(0, now=0.0)
    assert first is not None
    space.release(first, now=0.0)
    drawn = set()
    for _ in range(64):
        number = space.take(0, now=1000.0)
        assert number is not None
        drawn.add(number)
        space = IdentifierSpace(1, 2, 1)
    assert drawn == {1, 2}


class Watched(IdentifierSpace):
    """Counts the IDs that are looked at."""

    looks = 0

    def _is_free(self, number: int) -> bool:
        self.looks += 1
        return super()._is_free(number)


def test_a_flood_that_makes_all_ids_rest_costs_no_search_for_each_request() -> None:
    space = Watched(1, 2000, 2)
    requests = 20_000
    for number in range(requests):
        taken = space.take(number % 2, now=0.0)
        assert taken is not None
        assert taken % 2 == number % 2
        space.release(taken, now=0.0)
    assert space.looks < 10 * requests
    drawn = {space.take(0, now=1000.0) for _ in range(1000)}
    assert (len(drawn), None in drawn) == (1000, False)  # and with time all are free again


def test_ids_can_not_be_guessed_from_those_before() -> None:
    space = IdentifierSpace(1, 0xEFFF, 4)
    taken = [space.take(1, now=0.0) or 0 for _ in range(50)]
    steps = {b - a for a, b in pairwise(taken)}
    assert len(steps) > 40
