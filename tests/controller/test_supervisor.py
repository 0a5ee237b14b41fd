"""The supervisor's own part with real processes: shells in the place of controller and workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controller.supervisor import hold_runtime
from shared.errors import SystemRefused
from tests.support.wait import wait_for

_SERVE = """
import ctypes, sys
from controller.processes import Command
from controller.supervisor import serve, signal_pipe
from system import log
log.configure("INFO", "supervisor")
controller, worker = ("sh", "-c", sys.argv[1]), ("sh", "-c", sys.argv[2])
workers = [Command("worker-0", worker, (int(sys.argv[3]),))]
ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: orphans become its children, as those of PID 1 do
with signal_pipe() as signals:
    sys.exit(serve(Command("controller", controller, ()), workers, signals))
"""

WAITS = "trap 'exit 0' TERM; while :; do sleep 0.05; done"


class Service:
    """A supervisor in a process of its own, which writes its log to a file."""

    def __init__(self, log: Path, controller: str, worker: str, descriptor: int) -> None:
        self._log = log
        with log.open("w") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _SERVE, controller, worker, str(descriptor)],
                stderr=stream,
                pass_fds=(descriptor,),
            )

    def log(self) -> str:
        return self._log.read_text()

    def wait_for_log(self, text: str, times: int = 1) -> None:
        wait_for(lambda: self.log().count(text) >= times, f"{times} times {text!r} in the log", deadline_s=20)

    def pid_of(self, name: str) -> int:
        line = [line for line in self.log().splitlines() if f"{name} started pid=" in line][-1]
        return int(line.rpartition("=")[2])


Run = Callable[..., Service]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """``run(controller, worker)``: a supervisor of these two shell scripts."""
    services: list[Service] = []
    reading, writing = os.pipe()

    def start(controller: str = WAITS, worker: str = WAITS) -> Service:
        services.append(Service(tmp_path / "log", controller, worker, writing))
        return services[-1]

    yield start
    for service in services:
        service.process.kill()
        service.process.wait()
    os.close(reading)
    os.close(writing)


def test_a_killed_worker_is_back_and_the_controller_untouched(run: Run) -> None:
    service = run()
    service.wait_for_log("worker-0 started")
    controller = service.pid_of("controller")
    os.kill(service.pid_of("worker-0"), signal.SIGKILL)
    service.wait_for_log("worker-0 started", times=2)
    assert "worker-0 was ended by signal=SIGKILL restart_in_s=0.1" in service.log()
    assert service.pid_of("controller") == controller


def test_a_successor_has_the_same_descriptors_and_no_others(run: Run, tmp_path: Path) -> None:
    listing = tmp_path / "descriptors"
    service = run(worker=f"ls /proc/self/fd | tr '\\n' ' ' >> {listing}; echo >> {listing}; {WAITS}")
    service.wait_for_log("worker-0 started")
    wait_for(lambda: listing.exists() and listing.read_text().count("\n") == 1, "a listing", deadline_s=20)
    os.kill(service.pid_of("worker-0"), signal.SIGKILL)
    wait_for(lambda: listing.read_text().count("\n") == 2, "a second listing", deadline_s=20)
    first, second = (set(map(int, line.split())) for line in listing.read_text().splitlines())
    assert first == second
    assert len(first) == 5  # standard three, ours, and that of the folder which ls reads


def test_sigterm_ends_the_controller_then_the_workers(run: Run, tmp_path: Path) -> None:
    order = tmp_path / "order"
    script = "trap 'echo {0} >> {1}; exit 0' TERM; echo > {1}-{0}; while :; do sleep 0.05; done"
    service = run(script.format("controller", order), script.format("worker", order))
    ready = [tmp_path / "order-controller", tmp_path / "order-worker"]
    wait_for(lambda: all(file.exists() for file in ready), "both traps", deadline_s=20)
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(20) == 0
    assert order.read_text().split() == ["controller", "worker"]


def test_a_configuration_error_of_the_controller_ends_all_with_status_2(run: Run) -> None:
    service = run(controller="exit 2")
    assert service.process.wait(20) == 2


def test_sighup_is_passed_to_the_controller(run: Run, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    ready = tmp_path / "ready"
    service = run(controller=f"trap 'echo hup >> {seen}' HUP; echo > {ready}; while :; do sleep 0.05; done")
    wait_for(ready.exists, "the controller's trap", deadline_s=20)
    service.process.send_signal(signal.SIGHUP)
    wait_for(seen.exists, "SIGHUP at the controller", deadline_s=20)


def test_orphans_are_reaped(run: Run, tmp_path: Path) -> None:
    orphan, go = tmp_path / "orphan", tmp_path / "go"
    service = run(
        worker=f"(sh -c 'echo $$ > {orphan}; while [ ! -e {go} ]; do sleep 0.05; done' &) ; {WAITS}"
    )
    wait_for(lambda: orphan.exists() and orphan.read_text().strip(), "an orphan", deadline_s=20)
    status = Path(f"/proc/{orphan.read_text().strip()}/status")
    wait_for(lambda: f"PPid:\t{service.process.pid}\n" in status.read_text(), "its adoption", deadline_s=20)
    go.touch()
    wait_for(lambda: not status.exists(), "the orphan has been reaped", deadline_s=20)
    assert service.process.poll() is None


def test_children_end_when_the_supervisor_is_killed(run: Run) -> None:
    service = run()
    service.wait_for_log("worker-0 started")
    pids = [service.pid_of("controller"), service.pid_of("worker-0")]
    service.process.kill()
    service.process.wait()
    wait_for(lambda: not any(_runs(pid) for pid in pids), "the children have ended", deadline_s=20)


def _runs(pid: int) -> bool:
    """Whether ``pid`` exists and is no zombie that a careless init leaves unreaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_runtime_folder_is_made_for_us_alone(tmp_path: Path) -> None:
    lock = hold_runtime(tmp_path / "deep" / "run")
    assert (tmp_path / "deep" / "run").stat().st_mode & 0o777 == 0o700
    lock.close()


def test_a_second_instance_on_one_runtime_folder_is_refused(tmp_path: Path) -> None:
    lock = hold_runtime(tmp_path / "run")
    with pytest.raises(SystemRefused, match=r"another culvert runs with .*run; stop it"):
        hold_runtime(tmp_path / "run")
    lock.close()
    hold_runtime(tmp_path / "run").close()


def test_an_open_runtime_folder_is_closed_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    folder.chmod(0o777)
    hold_runtime(folder).close()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_serves_others_too_is_left_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "sshd.pid").write_text("1")
    with pytest.raises(SystemRefused, match=r"holds 'sshd.pid' and lets others in"):
        hold_runtime(folder)
    assert folder.stat().st_mode & 0o777 == 0o755


def test_a_runtime_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemRefused, match="too long for sockets"):
        hold_runtime(tmp_path / ("x" * 100))
