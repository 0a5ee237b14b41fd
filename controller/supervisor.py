"""``culvert run``: opens what must outlive a crash, starts controller and workers, and starts them again.

No protocol in here: it never reads a packet. As PID 1 of a container it also reaps orphans.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import logging
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Final

from controller.descriptors import forwarding_is_off, open_descriptors
from controller.processes import Command, ProcessTable
from shared.config.model import Config
from shared.errors import SystemRefused
from system import nftables

log = logging.getLogger(__name__)

_SIGNALS: Final = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_SOCKET_PATH_OCTETS: Final = 107  # of struct sockaddr_un (unix(7))
_SOCKETS: Final = ("workers.sock", "admin.sock")
_LOCK: Final = "lock"
_PR_SET_PDEATHSIG: Final = 1


def run(config_file: Path, config: Config, overrides: Mapping[str, str]) -> int:
    """Serve until told to stop, and return the exit status. Raises `SystemRefused` before anything runs.

    ``config`` is what stands in ``config_file``, changed by ``overrides`` (keys such as "paths.runtime"); the
    controller reads it by itself.
    """
    with contextlib.ExitStack() as cleanup:
        cleanup.callback(hold_runtime(config.paths.runtime).close)
        cleanup.callback(_remove_sockets, config.paths.runtime)
        signals = cleanup.enter_context(signal_pipe())
        opened = open_descriptors(config, cleanup)
        if config.nat.masquerade:
            nftables.install_masquerade(str(pool.prefix) for pool in config.pool)
            cleanup.callback(_remove_masquerade)
        if forwarding_is_off():
            log.warning("this machine routes no IPv4: sysctl -w net.ipv4.ip_forward=1")
        said = json.dumps(opened.describe(), separators=(",", ":"))
        options = [part for key, value in overrides.items() for part in (f"--{key}", value)]
        controller = opened.controller(
            ("--config", str(config_file.resolve()), "--descriptors", said, *options)
        )
        workers = [opened.worker(index, config) for index in range(config.workers.count)]
        return serve(controller, workers, signals)


def serve(controller: Command, workers: Sequence[Command], signals: int) -> int:
    """Keep the processes running; ``signals`` gives one octet, its number, for each signal."""
    launcher = Children()
    table = ProcessTable(controller, workers, launcher)
    table.start(time.monotonic())
    while table.exit_status is None:
        deadline = table.next_timeout()
        pause = None if deadline is None else max(0.0, deadline - time.monotonic())
        readable, _, _ = select.select([signals], [], [], pause)
        received = set(os.read(signals, 4096)) if readable else set()
        now = time.monotonic()
        for pid, status in launcher.reap():
            table.exited(pid, status, now)
        if signal.SIGHUP in received:
            table.reload()
        if received & {signal.SIGTERM, signal.SIGINT}:
            table.stop(now)
        table.handle_timer(now)
    log.info("stopped status=%d", table.exit_status)
    return table.exit_status


class Children:
    """Our child processes. Each leads a process group, so that ^C reaches the supervisor alone."""

    def __init__(self) -> None:
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._parent = os.getpid()
        self._libc = ctypes.CDLL(None)

    def start(self, command: Command) -> int:
        """Start ``command`` with no other descriptors than its own and standard output and error."""
        child = subprocess.Popen(
            command.arguments,
            stdin=subprocess.DEVNULL,
            pass_fds=command.descriptors,
            process_group=0,
            preexec_fn=self._end_with_parent,  # noqa: PLW1509  # there are no threads here
        )
        self._running[child.pid] = child
        return child.pid

    def signal(self, pid: int, number: signal.Signals) -> None:
        """Send a signal; `reap` has not seen the end of ``pid``, so it can't be somebody else's by now."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    def reap(self) -> Iterator[tuple[int, int]]:
        """Yield (pid, exit status or minus signal) of each that has ended, adopted orphans too."""
        while True:
            try:
                pid, waited = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            status = os.waitstatus_to_exitcode(waited)
            if (child := self._running.pop(pid, None)) is not None:
                child.returncode = status  # so that it does not wait for the process itself
            yield pid, status

    def _end_with_parent(self) -> None:
        """In the child: ask for SIGTERM when the supervisor is killed; it would hold the ports for ever."""
        self._libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != self._parent:
            os._exit(1)


@contextlib.contextmanager
def signal_pipe() -> Iterator[int]:
    """Give a descriptor that is readable when one of our signals has come; restore all at the end."""
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    previous = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    handlers = {number: signal.signal(number, _ignore) for number in _SIGNALS}
    try:
        yield reading
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(previous)
        os.close(reading)
        os.close(writing)


def _ignore(number: int, frame: FrameType | None) -> None:
    """Let the wake-up descriptor tell; a handler must be there for that."""


def hold_runtime(folder: Path) -> Lock:
    """Make the runtime folder, ours alone, and lock it for as long as this process lives."""
    for name in _SOCKETS:
        if len(str(folder / name).encode()) > _SOCKET_PATH_OCTETS:
            raise SystemRefused(f"{folder}: too long for sockets in it; set a shorter runtime under [paths]")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_mode & 0o077:
            _close_to_others(folder)
        return Lock(folder / _LOCK)
    except BlockingIOError as error:
        raise SystemRefused(
            f"another culvert runs with {folder}; stop it, or set another runtime under [paths]"
        ) from error
    except OSError as error:
        raise SystemRefused(
            f"{folder}: {error.strerror}; run as root, or set another runtime under [paths]"
        ) from error


def _close_to_others(folder: Path) -> None:
    """Give ``folder`` mode 0700, unless it is plainly there for other things too, as /run and /tmp are."""
    if strangers := sorted(entry.name for entry in folder.iterdir() if entry.name not in {*_SOCKETS, _LOCK}):
        raise SystemRefused(
            f"{folder}: holds {strangers[0]!r} and lets others in; set a runtime of its own under [paths]"
        )
    folder.chmod(0o700)


class Lock:
    """An exclusive lock on a file, gone with the process; the file stays, since removing it would race."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._descriptor)
            raise

    def close(self) -> None:
        """Give it up."""
        os.close(self._descriptor)


def _remove_sockets(folder: Path) -> None:
    """Remove what a killed controller has left, so that `culvert show` says that nothing runs."""
    for name in _SOCKETS:
        (folder / name).unlink(missing_ok=True)


def _remove_masquerade() -> None:
    try:
        nftables.remove_masquerade()
    except SystemRefused as refusal:
        log.error("%s", refusal)
