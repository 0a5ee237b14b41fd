"""The path between two machines in virtual time: what is sent may be lost, repeated or overtaken."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass
class Wire:
    """What happens to one datagram, or one PPP frame in its data message; by default it takes 1 ms."""

    drop: float = 0.0
    duplicate: float = 0.0
    delay_s: float = 0.001
    jitter_s: float = 0.0  # more than nothing reorders
    seed: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def delays(self) -> list[float]:
        """Return how long each copy of the next one takes; different delays reorder."""
        if self._random.random() < self.drop:
            return []
        copies = 2 if self._random.random() < self.duplicate else 1
        return [self.delay_s + self._random.uniform(0.0, self.jitter_s) for _ in range(copies)]
