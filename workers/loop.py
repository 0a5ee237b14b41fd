"""A worker process's event loop: descriptors, timers and signals, wired to the machines."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import uvloop

from shared.ipc.codec import Message
from shared.ipc.messages import Counters, FromWorker, PeerMoved
from system.alarm import Alarm
from workers.controller_link import ControllerLink
from workers.datapath import Datapath
from workers.ports import TunPort, UdpPort
from workers.pump import Pump
from workers.worker import Worker

log = logging.getLogger(__name__)

HEARTBEAT_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Descriptors:
    """What the supervisor has opened. ``wildcard`` are indices of UDP sockets bound to all addresses."""

    udp: Sequence[int]
    tun: int
    wildcard: frozenset[int]


class WorkerLoop:
    """One worker: `run` returns after SIGTERM, with the exit status. SIGINT is the supervisor's to handle."""

    def __init__(self, index: int, runtime: Path, descriptors: Descriptors) -> None:
        self._loop = uvloop.new_event_loop()
        self._status = 0
        datapath = Datapath()
        self._pump = _pump(datapath, descriptors)
        self._controller = ControllerLink(
            self._loop, f"ipc://{runtime}/workers.sock", b"worker-%d" % index, self._message
        )
        self._worker = Worker(
            index,
            os.getpid(),
            len(descriptors.udp),
            datapath,
            transmit=self._pump.transmit,
            report=self._report,
            random=secrets.token_bytes,
        )
        self._alarm = Alarm(self._loop, self._worker.timers, self._worker.handle_timers)  # type: ignore[arg-type]  # only reads the queue
        self._next_heartbeat = 0.0

    def run(self) -> int:
        """Work until SIGTERM."""
        self._loop.add_signal_handler(signal.SIGTERM, self._stop, 0)
        for listen, port in enumerate(self._pump.udp):
            self._loop.add_reader(port.fileno(), partial(self._udp_readable, listen))
        self._loop.add_reader(self._pump.tun.fileno(), self._tun_readable)
        self._controller.send(self._worker.hello())
        self._next_heartbeat = self._loop.time()
        self._heartbeat()
        try:
            self._loop.run_forever()
        finally:
            self._alarm.stop()
            self._controller.close()
            self._loop.close()
        return self._status

    def _stop(self, status: int) -> None:
        self._status = status
        self._loop.stop()

    def _udp_readable(self, listen: int) -> None:
        now = self._loop.time()
        uplink = self._pump.from_udp(listen, now)
        self._worker.frames(uplink.frames, now)
        for tunnel_id, source in uplink.moved:
            self._controller.send(PeerMoved(tunnel_id, source))
        self._alarm.arm()

    def _tun_readable(self) -> None:
        try:
            self._pump.from_tun(self._loop.time())
        except OSError as error:
            log.error("the TUN device is gone: %s", error.strerror)
            self._stop(1)

    def _message(self, message: Message) -> None:
        self._worker.receive(message, self._loop.time())
        self._alarm.arm()

    def _report(self, message: FromWorker) -> bool:
        if isinstance(message, Counters):
            return self._controller.send_or_drop(message)
        return self._controller.send(message)

    def _heartbeat(self) -> None:
        self._next_heartbeat = max(self._next_heartbeat + HEARTBEAT_S, self._loop.time())
        self._loop.call_at(self._next_heartbeat, self._heartbeat)
        controller = self._controller
        self._worker.heartbeat((("ipc_refused", controller.refused), ("ipc_dropped", controller.dropped)))


def _pump(datapath: Datapath, descriptors: Descriptors) -> Pump:
    ports = []
    for index, descriptor in enumerate(descriptors.udp):
        endpoint = socket.socket(fileno=descriptor)
        endpoint.setblocking(False)
        ports.append(UdpPort(endpoint, datapath.counters, wildcard=index in descriptors.wildcard))
    os.set_blocking(descriptors.tun, False)
    return Pump(datapath, ports, TunPort(descriptors.tun, datapath.counters))


def run(index: int, runtime: Path, descriptors: Descriptors) -> int:
    """Run worker ``index`` until SIGTERM and return its exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log.info("worker %d started datapath=%s listens=%d", index, Datapath.NAME, len(descriptors.udp))
    return WorkerLoop(index, runtime, descriptors).run()
