"""The emulator of subscribers on real sockets: `run` dials as many as asked and returns the `Summary`."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from time import monotonic
from typing import Any, Final

import uvloop

from client.load_options import LoadOptions
from client.load_run import LoadRun, Phase
from client.load_summary import Summary
from client.ports import Port, resolve
from shared.addresses import Address
from system.alarm import Alarm

__all__ = ["LoadOptions", "Progress", "Summary", "run", "run_in_loop"]

Progress = Callable[[LoadRun, float], None]  # called each second with the time since the first arrival
_PROGRESS_S: Final = 1.0


def run(options: LoadOptions, progress: Progress | None = None) -> Summary:
    """Do one run and return what came of it.

    Raises `ConfigError` on options that can't be, `SystemRefused` where there is no socket or no such LNS.
    SIGINT and SIGTERM begin the tear-down early; a second one ends the run at once.
    """
    options.check()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run_in_loop(options, progress))


async def run_in_loop(options: LoadOptions, progress: Progress | None = None) -> Summary:
    """Do what `run` does, in the running event loop."""
    family, lns = resolve(options.lns, options.port)
    with contextlib.ExitStack() as stack:
        ports: list[Port] = []
        for _ in range(options.ports):
            ports.append(Port(family, options.bind))
            stack.callback(ports[-1].close)
        return await _Driver(options, lns, ports, progress).until_over()


class _Driver:
    """Gives a `LoadRun` the time, the sockets' datagrams and the operator's signals.

    uvloop counts on the same monotonic clock, but in whole milliseconds, too coarse to measure with.
    """

    def __init__(
        self, options: LoadOptions, lns: Address, ports: Sequence[Port], progress: Progress | None
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._ports = ports
        self._progress = progress
        self._run = LoadRun(options, lns, ports, random=secrets.token_bytes)
        self._alarm = Alarm(self._loop, self._run.timers, self._ring)
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._loop.set_exception_handler(self._fail)
        self._began_at = 0.0
        self._interrupted = False

    async def until_over(self) -> Summary:
        """Begin, and return the summary at the end."""
        self._began_at = monotonic()
        with self._watching(), self._signals():
            self._run.begin(self._began_at)
            self._alarm.arm()
            progress = self._loop.create_task(self._report_each_second())
            try:
                await self._over
            finally:
                progress.cancel()
                self._alarm.stop()
        summary = self._run.summary
        summary.datagrams_dropped = sum(port.dropped for port in self._ports)
        summary.network_error = next((port.last_error for port in self._ports if port.last_error), None)
        return summary

    def _fail(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Let a bug in a callback end the run."""
        if not self._over.done():
            self._over.set_exception(context.get("exception") or RuntimeError(context["message"]))

    def _drain(self, index: int) -> None:
        receive = self._run.receive
        self._ports[index].drain(lambda datagram, source: receive(index, datagram, source, monotonic()))
        self._alarm.arm()

    def _ring(self, now: float) -> None:
        self._run.handle_timers(max(now, monotonic()))
        if self._run.phase is Phase.OVER and not self._over.done():
            self._over.set_result(None)

    def _interrupt(self) -> None:
        if self._interrupted and not self._over.done():
            self._over.set_result(None)
        self._interrupted = True
        self._run.interrupt(monotonic())
        self._alarm.arm()

    async def _report_each_second(self) -> None:
        while self._progress is not None:
            self._progress(self._run, monotonic() - self._began_at)
            await asyncio.sleep(_PROGRESS_S)

    @contextlib.contextmanager
    def _watching(self) -> Iterator[None]:
        for index, port in enumerate(self._ports):
            self._loop.add_reader(port.fileno(), partial(self._drain, index))
        try:
            yield
        finally:
            for port in self._ports:
                self._loop.remove_reader(port.fileno())

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread can have handlers
            return
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(number, self._interrupt)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                self._loop.remove_signal_handler(number)
