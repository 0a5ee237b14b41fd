"""The controller's process: sockets, signals and the event loop around `controller.service.Controller`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

from controller.api.server import serve as serve_api
from controller.deadlines import Deadlines
from controller.service import Controller
from controller.totals import Totals
from controller.udp import UdpSockets
from controller.workers_link import WorkersLink
from shared.addresses import address_text
from shared.config.model import Config
from system.routes import Routes

log = logging.getLogger(__name__)

_GOODBYE_S: Final = 3.0  # for the acknowledgements of StopCCN
_LOOK_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Inherited:
    """What the supervisor passes on: two UDP sockets for each listen address, and the workers' inodes."""

    udp: Sequence[socket.socket]
    strangers: Sequence[socket.socket]  # where what names no tunnel arrives
    inodes: Sequence[Sequence[int]]  # by worker, by listen address

    def of_workers(self) -> list[list[str]]:
        """Return the sockets of each worker as "inode address"."""
        addresses = [address_text(each.getsockname()) for each in self.udp]
        rows = [zip(row, addresses, strict=False) for row in self.inodes]
        return [[f"{inode} {address}" for inode, address in row] for row in rows]


async def run(config: Config, inherited: Inherited) -> None:
    """Serve until SIGTERM or SIGINT, then close every tunnel in order. Raises `SystemRefused`."""
    loop = asyncio.get_running_loop()
    stop = _stop_signal(loop)
    totals = Totals()
    async with contextlib.AsyncExitStack() as cleanup:
        routes = Routes(loop)
        cleanup.push_async_callback(routes.close)
        await routes.clear()  # of a controller before us, whose sessions are gone with it
        udp = UdpSockets(loop, inherited.udp, inherited.strangers)
        cleanup.callback(udp.close)
        workers = WorkersLink(loop, f"ipc://{config.paths.runtime}/workers.sock", totals)
        cleanup.callback(workers.close)
        deadlines = Deadlines(loop)
        cleanup.callback(deadlines.stop)
        controller = Controller(
            config, udp, workers, routes, deadlines, loop.time, totals, inherited.of_workers()
        )
        deadlines.start(controller.due)
        workers.start(controller.message)
        udp.start(controller.datagram)
        info = {"version": version("culvert")}
        api = await serve_api(controller, config.http.address, config.paths.runtime / "admin.sock", info)
        cleanup.push_async_callback(api.close)
        for each in inherited.udp:
            log.info("listening on %s", address_text(each.getsockname()))
        await stop.wait()
        await _say_goodbye(controller, loop)


async def _say_goodbye(controller: Controller, loop: asyncio.AbstractEventLoop) -> None:
    log.info("shutting down")
    deadline = loop.time() + _GOODBYE_S
    controller.shut_down()
    while controller.unacknowledged() and loop.time() < deadline:  # noqa: ASYNC110  # thousands may wait
        await asyncio.sleep(_LOOK_S)
    if left := controller.unacknowledged():
        log.warning("shut down with StopCCN unacknowledged tunnels=%d", left)


def _stop_signal(loop: asyncio.AbstractEventLoop) -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, _hang_up)
    return stop


def _hang_up() -> None:
    log.warning("SIGHUP ignored: the configuration is read at the start only")
