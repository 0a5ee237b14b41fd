"""One run of the emulator of subscribers, without a socket or a clock: arrivals, hold, tear-down.

Subscribers arrive at an even rate, whether or not the earlier ones are up yet, round the tunnels in
turn; the first of a tunnel opens it. When all have come up or failed, those that are up are held, with
traffic; then sessions and tunnels are closed in order, paced as well, since a burst only fills queues.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from functools import partial
from typing import Final

from client.load_options import LoadOptions
from client.load_subscribers import LocalPort, Subscribers
from client.load_summary import Summary
from client.load_traffic import Traffic
from shared.addresses import Address, address_text

_BURST: Final = 64  # arrivals or hang-ups in one go
_PAUSE_S: Final = 0.001
_LEAST_CLOSING_RATE: Final = 200.0  # hang-ups a second
_REPLIES_S: Final = 2.0  # how long late replies are waited for after the hold
_CLOSING_S: Final = 35.0  # how long the last tear-downs are waited for: a cycle of retransmissions
_POLL_S: Final = 0.05
_END_OF_TEST: Final = "the end of the test"


class Phase(Enum):
    """What the run is at."""

    ARRIVALS = "setting up"
    HOLD = "holding"
    REPLIES = "waiting for replies"
    CLOSING = "tearing down"
    OVER = "done"


class Due(Enum):
    """Deadlines of the run itself, beside those of its tunnels."""

    ARRIVALS = 1
    TIMEOUTS = 2
    PHASE = 3
    TRAFFIC = 4
    CLOSING = 5


class LoadRun:
    """The phases of one run. Drive it by `receive` and `handle_timers`; it ends in `Phase.OVER`."""

    def __init__(
        self,
        options: LoadOptions,
        lns: Address,
        ports: Sequence[LocalPort],
        *,
        random: Callable[[int], bytes],
    ) -> None:
        run = int.from_bytes(random(8), "big")
        self.phase = Phase.ARRIVALS
        self.summary = Summary(address_text(lns), f"{run:016x}", options.subscribers, options.tunnels)
        self._options = options
        self._traffic = None if options.traffic is None else Traffic(options.traffic, run)
        if self._traffic is not None and options.traffic is not None:
            self.summary.traffic = self._traffic.figures
            self.summary.allow_loss = options.traffic.allow_loss
        self.subscribers = Subscribers(options, lns, ports, self.summary, self._traffic, random=random)
        self.timers = self.subscribers.timers
        self._expired = 0  # subscribers whose time for set-up is over
        self._steps: Iterator[Callable[[float], None]] = iter(())
        self._began_at = self._phase_ends_at = self._next_step_at = 0.0
        self._due: dict[object, Callable[[float], None]] = {
            Due.ARRIVALS: self._arrive,
            Due.TIMEOUTS: self._expire,
            Due.PHASE: self._check_phase,
            Due.TRAFFIC: self._send_traffic,
            Due.CLOSING: self._close_some,
        }

    def begin(self, now: float) -> None:
        """Let the first subscriber arrive."""
        self.subscribers.now = self._began_at = now
        self._arrive(now)
        self.timers.set(Due.PHASE, now)

    def receive(self, port: int, datagram: memoryview, source: Address, now: float) -> None:
        """Take a datagram that has come to the local port of this index; any octets at all."""
        self.subscribers.now = now
        self.subscribers.receive(port, datagram, source)

    def handle_timers(self, now: float) -> None:
        """Do all that is due."""
        self.subscribers.now = now
        for key in self.timers.pop_due(now):
            if (action := self._due.get(key)) is not None:
                action(now)
            else:
                self.subscribers.handle_timer(key)

    def interrupt(self, now: float) -> None:
        """Tear down what is there, at once."""
        self.subscribers.now = now
        if self.phase in {Phase.ARRIVALS, Phase.HOLD, Phase.REPLIES}:
            self.summary.interrupted = True
            self.timers.set(Due.ARRIVALS, None)
            self._begin_closing(now)

    # -------------------------------------------------------------------------------------- arrivals

    def _arrive(self, now: float) -> None:
        summary, rate = self.summary, self._options.rate_per_s
        due = min(int((now - self._began_at) * rate) + 1, summary.asked)
        for number in range(summary.attempted, min(due, summary.attempted + _BURST)):
            summary.attempted += 1
            self.subscribers.start(number)
        if self._expired < summary.attempted and self.phase is Phase.ARRIVALS:
            self._arm_expiry()
        if summary.attempted < summary.asked:
            on_time = self._began_at + summary.attempted / rate
            self.timers.set(Due.ARRIVALS, max(on_time, now + _PAUSE_S))

    def _expire(self, now: float) -> None:
        everyone = self.subscribers.all
        while self._expired < len(everyone):
            if everyone[self._expired].arrived_at + self._options.timeout_s > now:
                break
            self.subscribers.expire(self._expired)
            self._expired += 1
        self._arm_expiry()

    def _arm_expiry(self) -> None:
        """Wake up for the oldest arrival that still has time; all have as much, so they are in order."""
        everyone = self.subscribers.all
        oldest = everyone[self._expired].arrived_at if self._expired < len(everyone) else None
        self.timers.set(Due.TIMEOUTS, None if oldest is None else oldest + self._options.timeout_s)

    # ---------------------------------------------------------------------------------------- phases

    def _check_phase(self, now: float) -> None:
        """Look, every few hundredths of a second, whether the phase is over."""
        self._checks[self.phase](self, now)
        if self.phase is not Phase.OVER:
            self.timers.set(Due.PHASE, now + _POLL_S)

    def _check_arrivals(self, now: float) -> None:
        if self.summary.attempted < self.summary.asked or self.subscribers.in_progress:
            return
        self.phase = Phase.HOLD
        self._phase_ends_at = now + (self._options.hold_s if self.subscribers.established else 0)
        self._take_setup_time()
        if self._traffic is not None:
            self._traffic.start(self.subscribers.senders(self._traffic), now, self._phase_ends_at)
            self.timers.set(Due.TRAFFIC, now)

    def _take_setup_time(self) -> None:
        if self.summary.up:
            self.summary.setup_s = self.subscribers.last_up_at - self._began_at

    def _check_hold(self, now: float) -> None:
        if now >= self._phase_ends_at:
            self.phase = Phase.REPLIES
            self._phase_ends_at = now + _REPLIES_S

    def _check_replies(self, now: float) -> None:
        if self._traffic is None or not self._traffic.figures.lost or now >= self._phase_ends_at:
            self._begin_closing(now)

    def _check_closing(self, now: float) -> None:
        if self._next_step_at:
            self._phase_ends_at = now + _CLOSING_S
        elif not self.subscribers.unclosed or now >= self._phase_ends_at:
            self.subscribers.count_unclosed()
            self.summary.elapsed_s = now - self._began_at
            self.phase = Phase.OVER

    _checks: Final = {
        Phase.ARRIVALS: _check_arrivals,
        Phase.HOLD: _check_hold,
        Phase.REPLIES: _check_replies,
        Phase.CLOSING: _check_closing,
    }

    def _send_traffic(self, now: float) -> None:
        if self._traffic is not None and self.phase is Phase.HOLD:
            self.timers.set(Due.TRAFFIC, self._traffic.send_due(now))

    # -------------------------------------------------------------------------------------- tear-down

    def _begin_closing(self, now: float) -> None:
        self.phase = Phase.CLOSING
        self.subscribers.closing = True
        self._take_setup_time()
        self._steps = self._closing_steps()
        self._next_step_at = now
        self._close_some(now)

    def _closing_steps(self) -> Iterator[Callable[[float], None]]:
        """Yield what has to be done, one hang-up or StopCCN at a time."""
        for tunnel in self.subscribers.tunnels():
            for call in list(tunnel.calls.values()):
                yield partial(tunnel.hang_up, call, _END_OF_TEST)
            yield partial(tunnel.close, _END_OF_TEST)

    def _close_some(self, now: float) -> None:
        interval_s = 1 / max(self._options.rate_per_s, _LEAST_CLOSING_RATE)
        for _ in range(_BURST):
            if self._next_step_at > now:
                break
            step = next(self._steps, None)
            if step is None:
                self._next_step_at = 0.0
                return
            step(now)
            self._next_step_at += interval_s
        self.timers.set(Due.CLOSING, max(self._next_step_at, now + _PAUSE_S))
