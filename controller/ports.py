"""What the controller's parts need of the world: interfaces that sockets implement, and lists in tests."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Protocol

from shared.addresses import Address
from shared.ipc.messages import FromController


@dataclass(frozen=True, slots=True)
class Datagram:
    """A datagram that has come in. ``local_address`` is set where the socket listens on all of them."""

    octets: bytes
    source: Address
    listen: int
    local_address: str | None = None


class Network(Protocol):
    """The UDP sockets, one for each listen address."""

    def send(self, listen: int, octets: bytes, to: Address, local_address: str | None) -> bool:
        """Send a datagram from ``local_address``; False where the kernel refuses, which loss covers."""


class Workers(Protocol):
    """The way to the workers."""

    def send(self, worker: int, message: FromController) -> None:
        """Send ``message``, or drop it where the worker is away or behind: the reconcile makes up for it."""


class Timers(Protocol):
    """Deadlines; each key has one at most."""

    def set(self, key: Hashable, deadline: float | None) -> None:
        """Let ``key`` be due at ``deadline``; None cancels it."""
