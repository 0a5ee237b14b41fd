"""Sequence numbers of one session's data messages (RFC 2661 §5.4): dropped when old, never resent."""

from __future__ import annotations

from typing import Final

_MODULUS: Final = 0x10000
_HALF: Final = 0x8000
_RESTART_AFTER: Final = 5  # as Linux; fewer than the Configure-Requests of a peer that begins anew


class DataSequence:
    """What Ns we send and which Ns we accept.

    The LNS decides whether data are numbered, unless the LAC asked by AVP 39: construct the LNS's side
    with ``sending`` as it has decided, and the LAC's with ``follow`` so that it does as the LNS does.

    Old means within half the number space behind the newest. Where `_RESTART_AFTER` old numbers in a row
    follow each other upwards, the peer has begun anew (or 32,768 messages were lost): we go on from there.
    """

    __slots__ = ("_expected", "_follow", "_next_ns", "_old_in_a_row", "_old_ns", "sending")

    def __init__(self, *, sending: bool = False, follow: bool = False) -> None:
        self.sending = sending
        self._follow = follow
        self._next_ns = 0
        self._expected: int | None = None
        self._old_ns = 0
        self._old_in_a_row = 0

    def next_ns(self) -> int | None:
        """Return the Ns of the next data message that we send; None where we send no numbers."""
        if not self.sending:
            return None
        ns = self._next_ns
        self._next_ns = (ns + 1) % _MODULUS
        return ns

    def receive(self, ns: int | None) -> bool:
        """Whether the message with this ``ns`` (None: no number) is to be delivered."""
        if self._follow:
            self.sending = ns is not None
        if ns is None:
            return True
        if self._expected is None or (ns - self._expected) % _MODULUS < _HALF or self._restarted(ns):
            self._expected = (ns + 1) % _MODULUS
            self._old_in_a_row = 0
            return True
        return False

    def _restarted(self, ns: int) -> bool:
        upwards = 0 < (ns - self._old_ns) % _MODULUS < _HALF
        self._old_in_a_row = self._old_in_a_row + 1 if upwards else 1
        self._old_ns = ns
        return self._old_in_a_row >= _RESTART_AFTER
