"""Which processes should run, which do, and when the next attempt or kill is due. Without a clock.

The table decides; a `Launcher` starts and signals. Deadlines are on the clock of the ``now`` passed in.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

log = logging.getLogger(__name__)

FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 10.0
HEALTHY_S: Final = 60.0  # whoever has run so long starts again with the first pause
CONTROLLER_GRACE_S: Final = 6.0  # for StopCCN and its acknowledgement on every tunnel
WORKER_GRACE_S: Final = 2.0
BAD_CONFIGURATION: Final = 2


@dataclass(frozen=True, slots=True)
class Command:
    """How one process is started: its name in the log, its arguments, the descriptors it inherits."""

    name: str
    arguments: tuple[str, ...]
    descriptors: tuple[int, ...]


class Launcher(Protocol):
    """What starts and signals processes."""

    def start(self, command: Command) -> int:
        """Start a process and return its ID; `OSError` where the kernel refuses."""

    def signal(self, pid: int, number: signal.Signals) -> None:
        """Send a signal; nothing where the process has gone."""


@dataclass(slots=True)
class _Slot:
    """One process that should run: ``pid`` while it does, else ``due`` when it is to be started."""

    command: Command
    pid: int | None = None
    due: float | None = None
    pause_s: float = FIRST_PAUSE_S
    started_at: float = 0.0
    starts: int = 0


@dataclass(slots=True)
class _Stage:
    """A step of the orderly end: these are told at once, and killed ``grace_s`` later."""

    slots: list[_Slot]
    grace_s: float


class ProcessTable:
    """Keeps one controller and N workers running, until `stop` or a configuration error ends them all.

    ``exit_status`` is None until all processes have ended, and then what the service ends with.
    """

    def __init__(self, controller: Command, workers: Sequence[Command], launcher: Launcher) -> None:
        self._launcher = launcher
        self._controller = _Slot(controller)
        self._workers = [_Slot(worker) for worker in workers]
        self._slots = [self._controller, *self._workers]
        self._stages: list[_Stage] | None = None  # of the end, the present one first; None: not ending
        self._kill_at: float | None = None
        self._status = 0
        self.exit_status: int | None = None

    def start(self, now: float) -> None:
        """Start every process."""
        for slot in self._slots:
            self._start(slot, now)

    def exited(self, pid: int, status: int, now: float) -> None:
        """Take note that ``pid`` ended, by ``status`` or by the signal -``status``; it may be a stranger."""
        slot = next((slot for slot in self._slots if slot.pid == pid), None)
        if slot is None:
            return
        slot.pid = None
        if self._stages is not None:
            self._proceed(now)
        elif slot is self._controller and slot.starts == 1 and status == BAD_CONFIGURATION:
            self._status = BAD_CONFIGURATION  # it has said why
            self._end([_Stage(self._workers, WORKER_GRACE_S)], now)
        else:
            self._schedule(slot, _reason(status), now)

    def stop(self, now: float) -> None:
        """End everything, the controller first: it needs the workers to end PPP. Said twice, end at once."""
        if self._stages is not None:
            self._kill(self._slots)
            return
        log.info("stopping")
        stages = [_Stage([self._controller], CONTROLLER_GRACE_S), _Stage(self._workers, WORKER_GRACE_S)]
        self._end(stages, now)

    def reload(self) -> None:
        """Have the controller read its configuration again."""
        if self._controller.pid is not None:
            self._launcher.signal(self._controller.pid, signal.SIGHUP)

    def next_timeout(self) -> float | None:
        """When `handle_timer` has something to do; None: nothing is due."""
        times = [slot.due for slot in self._slots if slot.due is not None]
        if self._kill_at is not None:
            times.append(self._kill_at)
        return min(times, default=None)

    def handle_timer(self, now: float) -> None:
        """Start and kill what is due."""
        for slot in self._slots:
            if slot.due is not None and slot.due <= now:
                self._start(slot, now)
        if self._stages and self._kill_at is not None and self._kill_at <= now:
            self._kill_at = None
            self._kill(self._stages[0].slots)

    def _start(self, slot: _Slot, now: float) -> None:
        slot.due = None
        slot.started_at = now
        slot.starts += 1
        try:
            slot.pid = self._launcher.start(slot.command)
        except OSError as error:  # no memory, no process IDs
            self._schedule(slot, f"could not be started: {error.strerror}", now)
            return
        log.info("%s started pid=%d", slot.command.name, slot.pid)

    def _schedule(self, slot: _Slot, reason: str, now: float) -> None:
        if now - slot.started_at >= HEALTHY_S:
            slot.pause_s = FIRST_PAUSE_S
        slot.due = now + slot.pause_s
        log.error("%s %s restart_in_s=%g", slot.command.name, reason, slot.pause_s)
        slot.pause_s = min(2 * slot.pause_s, LONGEST_PAUSE_S)

    def _end(self, stages: list[_Stage], now: float) -> None:
        self._stages = stages
        for slot in self._slots:
            slot.due = None
        self._begin_stage(now)
        self._proceed(now)

    def _begin_stage(self, now: float) -> None:
        assert self._stages
        self._kill_at = now + self._stages[0].grace_s
        self._each_running(self._stages[0].slots, signal.SIGTERM)

    def _proceed(self, now: float) -> None:
        """Go on to the next stage once all of this one have ended."""
        assert self._stages is not None
        while self._stages and not any(slot.pid is not None for slot in self._stages[0].slots):
            self._stages.pop(0)
            self._kill_at = None
            if self._stages:
                self._begin_stage(now)
        if not self._stages:
            self.exit_status = self._status

    def _kill(self, slots: Sequence[_Slot]) -> None:
        def report(slot: _Slot) -> None:
            log.error("%s has not ended in time, killed pid=%d", slot.command.name, slot.pid)

        self._each_running(slots, signal.SIGKILL, report)

    def _each_running(
        self, slots: Sequence[_Slot], number: signal.Signals, report: Callable[[_Slot], None] | None = None
    ) -> None:
        for slot in slots:
            if slot.pid is not None:
                if report is not None:
                    report(slot)
                self._launcher.signal(slot.pid, number)


def _reason(status: int) -> str:
    """Return how a process ended, for the log."""
    if status >= 0:
        return f"has ended by itself status={status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:  # a real-time signal has no name
        name = str(-status)
    return f"was ended by signal={name}"
