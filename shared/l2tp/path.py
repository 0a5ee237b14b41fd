"""Where the peer is: how much an unproven address may get, and how a peer proves that it has moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shared.addresses import Address

PROBE_INTERVAL_S: Final = 5.0
_LEAST_CREDIT: Final = 20  # octets of a HELLO: what a data message is taken for, whose size we don't know


@dataclass(slots=True)
class _Candidate:
    address: Address
    received: int
    sent: int = 0
    ns: int | None = None  # of the message that it may acknowledge to prove itself


class Path:
    """The address of a peer that may be forged at first, and may change behind a NAT later.

    Before proof (`proven`) at most ``amplification`` times the octets received are sent. A message from
    another address makes that one the candidate: retransmissions go there too, and an acknowledgement from
    there of what was sent there moves the peer, while one from the present address dismisses the candidate.
    """

    __slots__ = ("_amplification", "_candidate", "_next_probe", "_received", "_sent", "peer", "proven")

    def __init__(self, peer: Address, amplification: int, *, proven: bool) -> None:
        self.peer = peer
        self.proven = proven
        self._amplification = amplification
        self._received = 0
        self._sent = 0
        self._candidate: _Candidate | None = None
        self._next_probe = float("-inf")

    def count_received(self, octets: int) -> None:
        """Give an unproven peer credit for what it has sent."""
        if not self.proven:
            self._received += octets

    def may_send(self, octets: int) -> bool:
        """Whether the peer may get ``octets`` more; they count as sent if so."""
        if self.proven:
            return True
        if self._sent + octets > self._amplification * self._received:
            return False
        self._sent += octets
        return True

    def nominate(self, source: Address, octets: int, now: float) -> bool:
        """Make ``source`` the candidate; False where it is that already or another became it just now.

        A candidate that has had its time without proof gives way: a peer may move twice.
        """
        if self._candidate is not None and self._candidate.address == source:
            self._candidate.received += max(octets, _LEAST_CREDIT)
            return False
        if now < self._next_probe:
            return False
        self._next_probe = now + PROBE_INTERVAL_S
        self._candidate = _Candidate(source, max(octets, _LEAST_CREDIT))
        return True

    def also_to(self, ns: int, octets: int) -> Address | None:
        """Return the candidate that a retransmission of the message ``ns`` goes to as well."""
        candidate = self._candidate
        if candidate is None or candidate.sent + octets > self._amplification * candidate.received:
            return None
        candidate.sent += octets
        candidate.ns = ns
        return candidate.address

    def proves(self, source: Address, oldest_ns: int, nr: int) -> bool:
        """Whether ``nr`` from ``source`` acknowledges the oldest message, which was sent there."""
        candidate = self._candidate
        return (
            candidate is not None
            and candidate.address == source
            and candidate.ns == oldest_ns
            and 0 < (nr - oldest_ns) % 0x10000 < 0x8000
        )

    def move(self, source: Address) -> None:
        """Take ``source``, which has proven itself, as the peer's address."""
        self.peer = source
        self._candidate = None

    def dismiss(self) -> None:
        """Forget the candidate: the peer has answered from where it was."""
        self._candidate = None
