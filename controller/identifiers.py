"""Local tunnel and session IDs: unguessable, never in use twice, not used again too soon."""

from __future__ import annotations

import secrets
from collections import Counter, OrderedDict
from typing import Final

_REST_S: Final = 120.0  # longer than any message for the former owner can be on its way
_TRIES: Final = 16


class IdentifierSpace:
    """The IDs from ``first`` to ``last``, which workers share out by their residue modulo ``modulus``."""

    def __init__(self, first: int, last: int, modulus: int) -> None:
        self._first = first
        self._last = last
        self._modulus = modulus
        self._used: set[int] = set()
        self._resting: OrderedDict[int, float] = OrderedDict()
        self._not_free: Counter[int] = Counter()  # by residue: how many are used or rest

    def take(self, residue: int, now: float) -> int | None:
        """Return an unused ID with this residue; None when there is none.

        A random one (RFC 2661 §9 fears that IDs are guessed). Those given back of late come last. A flood of
        requests makes all IDs rest, so that nothing is searched for where nothing can be free.
        """
        self._wake(now)
        chosen = self._unused(residue) if self._not_free[residue] < self._members(residue) else None
        if chosen is not None:
            self._not_free[residue] += 1
        else:
            chosen = next((number for number in self._resting if number % self._modulus == residue), None)
        if chosen is not None:
            self._resting.pop(chosen, None)
            self._used.add(chosen)
        return chosen

    def release(self, number: int, now: float) -> None:
        """Give ``number`` back, to rest for a while."""
        if number in self._used:
            self._used.remove(number)
            self._resting[number] = now + _REST_S

    def _wake(self, now: float) -> None:
        while self._resting:
            number, rested = next(iter(self._resting.items()))
            if rested > now:
                return
            del self._resting[number]
            self._not_free[number % self._modulus] -= 1

    def _unused(self, residue: int) -> int | None:
        chosen = self._by_chance(residue)
        return self._by_search(residue) if chosen is None else chosen

    def _by_chance(self, residue: int) -> int | None:
        for _ in range(_TRIES):
            number = self._random(residue)
            if self._is_free(number):
                return number
        return None

    def _by_search(self, residue: int) -> int | None:
        """Look at every ID of the residue once, from a random one on: only a space nearly full gets here."""
        start = self._random(residue)
        upwards = range(start, self._last + 1, self._modulus)
        from_below = range(self._lowest(residue), start, self._modulus)
        return next(
            (number for part in (upwards, from_below) for number in part if self._is_free(number)), None
        )

    def _is_free(self, number: int) -> bool:
        return (
            self._first <= number <= self._last and number not in self._used and number not in self._resting
        )

    def _lowest(self, residue: int) -> int:
        return self._first + (residue - self._first) % self._modulus

    def _members(self, residue: int) -> int:
        return max(0, (self._last - self._lowest(residue)) // self._modulus + 1)

    def _random(self, residue: int) -> int:
        return self._lowest(residue) + self._modulus * secrets.randbelow(self._members(residue))
