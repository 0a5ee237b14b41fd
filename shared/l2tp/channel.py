"""Reliable delivery of control messages: Ns and Nr, windows, retransmission (RFC 2661 §5.8, Appendix A)."""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Final

from shared.l2tp.header import ControlHeader
from shared.l2tp.settings import ConnectionSettings

ACK_DELAY_S: Final = 0.02  # how long an acknowledgement waits for a message of ours to ride on
_ACK_AT_ONCE: Final = 4  # messages after which it waits no longer
_EARLY_OCTETS: Final = 4096  # of a message kept after a gap; a longer one has to come again
DEFAULT_WINDOW: Final = 4  # of a peer that sends no Receive Window Size (§4.4.3)
_MODULUS: Final = 0x10000
_HALF: Final = 0x8000


class Arrival(Enum):
    """What a message's Ns says about it."""

    NEXT = "next"
    EARLY = "early"  # inside our window, after a gap
    DUPLICATE = "duplicate"
    OUTSIDE = "outside"  # or too long to be kept


class _Outgoing:
    __slots__ = ("body", "session_id", "transmissions")

    def __init__(self, session_id: int, body: bytes) -> None:
        self.session_id = session_id
        self.body = body
        self.transmissions = 0


class ReliableChannel:
    """Both directions of one control connection's sequence space; it knows octets, not messages.

    ``_queue`` holds what the peer has not acknowledged, oldest first; its first ``_in_flight`` messages
    count against the window. A timeout takes the window back to one message, so that whatever followed the
    lost one is sent again as acknowledgements come in, unless the peer had kept it and acknowledges it too.
    """

    __slots__ = (
        "_ack_deadline",
        "_early",
        "_in_flight",
        "_oldest_ns",
        "_queue",
        "_retransmit_deadline",
        "_settings",
        "_threshold",
        "_timeout_s",
        "_transmitted",
        "_unacknowledged",
        "_window",
        "nr",
        "peer_tunnel_id",
        "peer_window",
    )

    def __init__(self, settings: ConnectionSettings) -> None:
        self._settings = settings
        self.peer_tunnel_id = 0
        self.peer_window = DEFAULT_WINDOW
        self.nr = 0
        self._queue: deque[_Outgoing] = deque()
        self._in_flight = 0
        self._transmitted = 0  # how many at the queue's head were ever sent
        self._oldest_ns = 0
        self._window = 1.0  # the congestion window, in messages
        self._threshold = float(DEFAULT_WINDOW)  # where slow start ends
        self._timeout_s = settings.initial_timeout_s
        self._retransmit_deadline: float | None = None
        self._early: dict[int, tuple[ControlHeader, bytes]] = {}
        self._unacknowledged = 0  # messages received since we last said Nr
        self._ack_deadline: float | None = None

    # What the owner asks.

    @property
    def idle(self) -> bool:
        """Whether everything that we sent is acknowledged."""
        return not self._queue

    @property
    def backlog(self) -> int:
        """How many messages of ours are not acknowledged."""
        return len(self._queue)

    @property
    def oldest_ns(self) -> int:
        """The Ns of the oldest message that the peer has not acknowledged, or of our next one."""
        return self._oldest_ns

    @property
    def given_up(self) -> bool:
        """Whether the oldest message has been sent as often as it may be; true when its timer next rings."""
        return bool(self._queue) and self._queue[0].transmissions >= self._settings.max_transmissions

    def next_timeout(self) -> float | None:
        """When `handle_timer` has something to do."""
        if self._ack_deadline is None:
            return self._retransmit_deadline
        if self._retransmit_deadline is None:
            return self._ack_deadline
        return min(self._ack_deadline, self._retransmit_deadline)

    def set_peer_window(self, size: int | None) -> None:
        """Take the peer's Receive Window Size, None where it sent none."""
        self.peer_window = size or DEFAULT_WINDOW
        self._threshold = float(self.peer_window)

    # Receiving.

    def may_acknowledge(self, nr: int) -> bool:
        """Whether ``nr`` acknowledges nothing that we have not sent; older values come with reordering."""
        ahead = (nr - self._oldest_ns) % _MODULUS
        return ahead <= self._transmitted or ahead >= _HALF

    def near_window(self, ns: int) -> bool:
        """Whether ``ns`` is in our receive window or as near before it, as a retransmission is."""
        window = self._settings.receive_window
        return (ns - self.nr + window) % _MODULUS < 2 * window

    def acknowledge(self, nr: int, now: float) -> int:
        """Drop what ``nr`` acknowledges and return how many messages that were."""
        count = (nr - self._oldest_ns) % _MODULUS
        if not 0 < count <= self._transmitted:
            return 0
        for _ in range(count):
            self._queue.popleft()
        self._oldest_ns = nr
        self._transmitted -= count
        self._in_flight = max(0, self._in_flight - count)
        self._open_window(count)
        self._timeout_s = self._settings.initial_timeout_s
        self._retransmit_deadline = now + self._timeout_s if self._in_flight else None
        return count

    def receive(self, header: ControlHeader, body: memoryview, now: float) -> Arrival:
        """Note a message that is not a ZLB and say what to do: only `Arrival.NEXT` is to be acted on."""
        ahead = (header.ns - self.nr) % _MODULUS
        if ahead == 0:
            self._advance(now)
            return Arrival.NEXT
        if ahead >= _HALF:
            self._ack_deadline = now
            return Arrival.DUPLICATE
        if ahead >= self._settings.receive_window or len(body) > _EARLY_OCTETS:
            return Arrival.OUTSIDE
        self._early.setdefault(header.ns, (header, bytes(body)))
        self._ack_deadline = now
        return Arrival.EARLY

    def pop_early(self, now: float) -> tuple[ControlHeader, bytes] | None:
        """Return the next message in order where it came early; it now counts as received."""
        if not self._early:
            return None
        message = self._early.pop(self.nr, None)
        if message is not None:
            self._advance(now)
        return message

    def acknowledge_now(self, now: float) -> None:
        """Let the next `flush` acknowledge, by a ZLB if need be."""
        self._ack_deadline = now

    # Sending.

    def enqueue(self, session_id: int, body: bytes) -> None:
        """Append a message: ``session_id`` is the peer's, for the header; ``body`` its AVPs."""
        self._queue.append(_Outgoing(session_id, body))

    def drop_untransmitted(self) -> None:
        """Forget what was never sent, so that what is enqueued next goes out sooner."""
        while len(self._queue) > self._transmitted:
            self._queue.pop()

    def clear(self) -> None:
        """Stop sending; receiving and acknowledging go on."""
        self._oldest_ns = (self._oldest_ns + self._transmitted) % _MODULUS
        self._queue.clear()
        self._in_flight = self._transmitted = 0
        self._retransmit_deadline = None

    def flush(self, now: float) -> list[bytes]:
        """Return the datagrams that may go now: messages inside both windows, else a ZLB that is due."""
        datagrams = []
        limit = min(int(self._window), self.peer_window, len(self._queue))
        while self._in_flight < limit:
            self._in_flight += 1
            datagrams.append(self._transmit(self._in_flight - 1))
            if self._retransmit_deadline is None:
                self._retransmit_deadline = now + self._timeout_s
        if not datagrams and self._ack_deadline is not None and self._ack_deadline <= now:
            datagrams.append(self._zlb())
        return datagrams

    def retransmission_due(self, now: float) -> bool:
        """Whether the oldest message has waited long enough for its acknowledgement."""
        return self._retransmit_deadline is not None and self._retransmit_deadline <= now

    def retransmit(self, now: float) -> bytes:
        """Return the oldest message again, with a fresh Nr, and wait twice as long as before."""
        self._threshold = max(self._window / 2, 1.0)
        self._window = 1.0
        self._in_flight = 1
        self._timeout_s = min(self._timeout_s * 2, self._settings.timeout_cap_s)
        self._retransmit_deadline = now + self._timeout_s
        return self._transmit(0)

    def repeat(self) -> bytes | None:
        """Return the oldest message again outside of its turn, None where it was never sent."""
        return self._encode(0) if self._transmitted else None

    def _advance(self, now: float) -> None:
        self.nr = (self.nr + 1) % _MODULUS
        self._unacknowledged += 1
        if self._unacknowledged >= _ACK_AT_ONCE:
            self._ack_deadline = now
        elif self._ack_deadline is None:
            self._ack_deadline = now + ACK_DELAY_S

    def _open_window(self, count: int) -> None:
        """Slow start up to the threshold, then one message more for each window's worth (Appendix A)."""
        for _ in range(count):
            self._window += 1.0 if self._window < self._threshold else 1.0 / self._window
        self._window = min(self._window, float(self.peer_window))

    def _transmit(self, index: int) -> bytes:
        self._queue[index].transmissions += 1
        self._transmitted = max(self._transmitted, index + 1)
        return self._encode(index)

    def _encode(self, index: int) -> bytes:
        message = self._queue[index]
        self._acknowledged()
        ns = (self._oldest_ns + index) % _MODULUS
        return ControlHeader(self.peer_tunnel_id, message.session_id, ns, self.nr).encode(message.body)

    def _zlb(self) -> bytes:
        self._acknowledged()
        ns = (self._oldest_ns + self._transmitted) % _MODULUS
        return ControlHeader(self.peer_tunnel_id, 0, ns, self.nr).encode(b"")

    def _acknowledged(self) -> None:
        self._unacknowledged = 0
        self._ack_deadline = None
