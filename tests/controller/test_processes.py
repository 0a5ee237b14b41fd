"""Who is started, restarted and ended, and when. Time is an argument and processes are a list."""

from __future__ import annotations

from collections.abc import Sequence
from signal import SIGHUP, SIGKILL, SIGTERM, Signals

import pytest

from controller import processes
from controller.processes import Command, ProcessTable

Event = tuple[str | Signals, str]


class Processes:
    """A launcher whose processes are numbers. ``events`` are ("start", name) and (signal, name)."""

    def __init__(self, *, refusals: int = 0) -> None:
        self.events: list[Event] = []
        self.pids: dict[str, int] = {}
        self.refusals = refusals

    def start(self, command: Command) -> int:
        if self.refusals:
            self.refusals -= 1
            raise OSError(12, "Cannot allocate memory")
        self.events.append(("start", command.name))
        self.pids[command.name] = 100 + len(self.events)
        return self.pids[command.name]

    def signal(self, pid: int, number: Signals) -> None:
        [name] = [name for name, known in self.pids.items() if known == pid]
        self.events.append((number, name))

    def take(self) -> list[Event]:
        events, self.events = self.events, []
        return events


def started(launcher: Processes, workers: int = 2) -> ProcessTable:
    commands = [Command(f"worker-{index}", (), ()) for index in range(workers)]
    table = ProcessTable(Command("controller", (), ()), commands, launcher)
    table.start(0.0)
    return table


def ends(table: ProcessTable, launcher: Processes, name: str) -> int | None:
    """Let ``name`` end in order and return the status of the service, None while that goes on."""
    table.exited(launcher.pids[name], 0, 2.1)
    return table.exit_status


def pauses(table: ProcessTable, launcher: Processes, name: str, lifetimes: Sequence[float]) -> list[float]:
    """Let ``name`` die after each of ``lifetimes`` and return how long it was away each time."""
    now, away = 0.0, []
    for lifetime in lifetimes:
        now += lifetime
        table.exited(launcher.pids[name], -11, now)
        due = table.next_timeout()
        assert due is not None
        away.append(round(due - now, 6))
        table.handle_timer(due)
        now = due
    return away


def test_the_controller_and_every_worker_are_started() -> None:
    launcher = Processes()
    table = started(launcher)
    assert launcher.take() == [("start", "controller"), ("start", "worker-0"), ("start", "worker-1")]
    assert table.next_timeout() is None
    assert table.exit_status is None


def test_only_what_died_is_started_again() -> None:
    launcher = Processes()
    table = started(launcher)
    launcher.take()
    table.exited(launcher.pids["worker-1"], -9, 5.0)
    assert table.next_timeout() == 5.1
    table.handle_timer(5.05)
    assert launcher.take() == []
    table.handle_timer(5.1)
    assert launcher.take() == [("start", "worker-1")]
    assert table.next_timeout() is None


@pytest.mark.parametrize("name", ["controller", "worker-0"])
def test_a_crash_loop_backs_off_to_ten_seconds(name: str) -> None:
    launcher = Processes()
    table = started(launcher)
    expected = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
    assert pauses(table, launcher, name, [0.01] * 9) == expected


def test_a_healthy_minute_ends_the_back_off() -> None:
    launcher = Processes()
    table = started(launcher)
    assert pauses(table, launcher, "worker-0", [1, 1, 59, 61, 1]) == [0.1, 0.2, 0.4, 0.1, 0.2]


def test_a_process_that_can_not_be_started_is_tried_again() -> None:
    launcher = Processes(refusals=1)
    table = started(launcher)
    assert launcher.take() == [("start", "worker-0"), ("start", "worker-1")]
    table.handle_timer(0.1)
    assert launcher.take() == [("start", "controller")]


def test_the_end_of_a_strangers_process_changes_nothing() -> None:
    launcher = Processes()
    table = started(launcher)
    launcher.take()
    table.exited(1, 0, 1.0)  # an orphan that PID 1 has adopted
    assert launcher.take() == []
    assert table.next_timeout() is None


def test_workers_are_told_to_end_after_the_controller_has() -> None:
    launcher = Processes()
    table = started(launcher)
    launcher.take()
    table.stop(1.0)
    assert launcher.take() == [(SIGTERM, "controller")]
    table.exited(launcher.pids["controller"], 0, 2.0)
    assert launcher.take() == [(SIGTERM, "worker-0"), (SIGTERM, "worker-1")]
    assert ends(table, launcher, "worker-1") is None
    assert ends(table, launcher, "worker-0") == 0
    assert launcher.take() == []


def test_whoever_does_not_end_in_time_is_killed() -> None:
    launcher = Processes()
    table = started(launcher, workers=1)
    launcher.take()
    table.stop(1.0)
    assert table.next_timeout() == 1.0 + processes.CONTROLLER_GRACE_S
    table.handle_timer(1.0 + processes.CONTROLLER_GRACE_S)
    table.exited(launcher.pids["controller"], -9, 8.0)
    table.handle_timer(8.0 + processes.WORKER_GRACE_S)
    table.exited(launcher.pids["worker-0"], -9, 11.0)
    expected = [
        (SIGTERM, "controller"),
        (SIGKILL, "controller"),
        (SIGTERM, "worker-0"),
        (SIGKILL, "worker-0"),
    ]
    assert launcher.take() == expected
    assert table.exit_status == 0


def test_a_second_request_to_stop_kills_at_once() -> None:
    launcher = Processes()
    table = started(launcher, workers=1)
    table.stop(1.0)
    launcher.take()
    table.stop(1.1)
    assert launcher.take() == [(SIGKILL, "controller"), (SIGKILL, "worker-0")]


def test_nothing_is_started_while_stopping() -> None:
    launcher = Processes()
    table = started(launcher)
    table.exited(launcher.pids["worker-0"], -9, 1.0)
    launcher.take()
    table.stop(1.05)
    table.exited(launcher.pids["worker-1"], -9, 1.06)
    table.handle_timer(1.2)
    assert launcher.take() == [(SIGTERM, "controller")]
    table.exited(launcher.pids["controller"], 0, 1.3)
    assert table.exit_status == 0


def test_stopping_while_the_controller_is_away_ends_the_workers() -> None:
    launcher = Processes()
    table = started(launcher, workers=1)
    table.exited(launcher.pids["controller"], -9, 1.0)
    launcher.take()
    table.stop(1.05)
    assert launcher.take() == [(SIGTERM, "worker-0")]


def test_a_bad_configuration_at_the_start_ends_the_service_with_status_2() -> None:
    launcher = Processes()
    table = started(launcher, workers=1)
    launcher.take()
    table.exited(launcher.pids["controller"], 2, 0.5)
    assert launcher.take() == [(SIGTERM, "worker-0")]
    table.exited(launcher.pids["worker-0"], -15, 0.6)
    assert table.exit_status == 2


def test_a_bad_configuration_later_leaves_the_workers_forwarding() -> None:
    launcher = Processes()
    table = started(launcher, workers=1)
    assert pauses(table, launcher, "controller", [1]) == [0.1]
    launcher.take()
    table.exited(launcher.pids["controller"], 2, 2.0)
    assert launcher.take() == []
    assert table.exit_status is None
    assert table.next_timeout() == 2.2


def test_a_reload_is_for_the_controller_alone() -> None:
    launcher = Processes()
    table = started(launcher)
    launcher.take()
    table.reload()
    assert launcher.take() == [(SIGHUP, "controller")]
    table.exited(launcher.pids["controller"], -9, 1.0)
    table.reload()
    assert launcher.take() == []


def test_the_log_says_who_ended_and_why(caplog: pytest.LogCaptureFixture) -> None:
    launcher = Processes()
    table = started(launcher)
    table.exited(launcher.pids["worker-0"], -11, 1.0)
    table.exited(launcher.pids["controller"], 1, 1.0)
    assert "worker-0 was ended by signal=SIGSEGV restart_in_s=0.1" in caplog.messages
    assert "controller has ended by itself status=1 restart_in_s=0.1" in caplog.messages
