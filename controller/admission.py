"""Whether an SCCRQ is looked at at all: before any state, by source and in sum.

Refused ones are dropped without a reply: a genuine peer repeats its SCCRQ, a forged source learns nothing
and is sent nothing.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from typing import Final

from shared.addresses import Address
from shared.config.sections import L2TP

_SOURCES: Final = 65_536  # whose rate is remembered
HALF_OPEN_GRACE_S: Final = 2.0  # a peer on any sane path has answered our SCCRP by then


class TokenBucket:
    """Lets ``burst`` through at once and ``rate_per_second`` in the long run."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate_per_second: float, burst: float, now: float) -> None:
        self._rate = rate_per_second
        self._burst = burst
        self._tokens = float(burst)
        self._at = now

    def take(self, now: float) -> bool:
        """Take one token, if there is one."""
        there = self.has(now)
        if there:
            self._tokens -= 1.0
        return there

    def has(self, now: float) -> bool:
        """Whether there is a token to take."""
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        return self._tokens >= 1.0


class Admission:
    """Rates of SCCRQ. A source that has established a tunnel before competes with no forged ones."""

    def __init__(self, limits: L2TP, now: float) -> None:
        self._limits = limits
        self._all = TokenBucket(limits.sccrq_per_second, limits.sccrq_burst, now)
        self._by_source: OrderedDict[str, TokenBucket] = OrderedDict()
        self._proven: OrderedDict[str, None] = OrderedDict()

    def admit(self, source: Address, now: float) -> bool:
        """Whether an SCCRQ from ``source`` may make a tunnel now."""
        key = source_key(source)
        if not self._bucket(key, now).take(now):
            return False
        return key in self._proven or self._all.take(now)

    def worth_reading(self, source: Address, now: float) -> bool:
        """Whether anything for tunnel ID 0 from ``source`` may be let in now: cheap, before it is parsed.

        So a flood costs a fraction of what it would, and leaves time to find the genuine ones in it.
        """
        key = source_key(source)
        bucket = self._by_source.get(key)
        if bucket is not None and not bucket.has(now):
            return False
        return self._all.has(now) or key in self._proven

    def proven(self, source: Address) -> None:
        """Remember that ``source`` has answered from its address."""
        key = source_key(source)
        self._proven[key] = None
        self._proven.move_to_end(key)
        if len(self._proven) > _SOURCES:
            self._proven.popitem(last=False)

    def _bucket(self, key: str, now: float) -> TokenBucket:
        bucket = self._by_source.get(key)
        if bucket is None:
            limits = self._limits
            bucket = TokenBucket(limits.sccrq_per_source_per_second, limits.sccrq_per_source_burst, now)
            self._by_source[key] = bucket
            if len(self._by_source) > _SOURCES:
                self._by_source.popitem(last=False)
        self._by_source.move_to_end(key)
        return bucket


def source_key(source: Address) -> str:
    """Return what counts as one source: an IPv4 address, or the /64 that one IPv6 host may fill."""
    host = source[0].partition("%")[0]
    if ":" not in host:
        return host
    return str(ipaddress.IPv6Address(host).packed[:8].hex())
