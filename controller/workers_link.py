"""The ZeroMQ socket to the workers, read when its descriptor says so; nothing here waits.

The descriptor is edge-triggered, and any call on the socket may swallow an edge: after each the socket is
asked again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import zmq

from controller.totals import Totals
from shared.ipc.codec import MAX_OCTETS, encode
from shared.ipc.messages import FromController

_HIGH_WATER_MARK: Final = 10_000
_BATCH: Final = 64


class WorkersLink:
    """A ROUTER; worker k is "worker-<k>". A successor of a worker takes over its name."""

    def __init__(self, loop: asyncio.AbstractEventLoop, endpoint: str, totals: Totals) -> None:
        self._loop = loop
        self._totals = totals
        self._scheduled: asyncio.Handle | None = None
        self._context = zmq.Context()
        self._socket = _bound(self._context, endpoint)
        self._descriptor = int(self._socket.FD)

    def start(self, take: Callable[[bytes, list[bytes]], None]) -> None:
        """Give each message, the sender's name and its frames, to ``take`` from now on."""
        self._take = take
        self._loop.add_reader(self._descriptor, self._ready)
        self._schedule()

    def send(self, worker: int, message: FromController) -> None:
        """Send ``message``; dropped and counted where the worker is away or far behind."""
        try:
            self._socket.send_multipart([b"worker-%d" % worker, encode(message)], zmq.NOBLOCK)
        except zmq.ZMQError as error:
            if error.errno not in {zmq.EHOSTUNREACH, zmq.EAGAIN}:
                raise
            self._totals.worker_messages_dropped += 1
        self._schedule()

    def close(self) -> None:
        """Let go of the socket, once what was sent has had a moment to leave."""
        if self._scheduled is not None:
            self._scheduled.cancel()
        self._loop.remove_reader(self._descriptor)
        self._socket.close(linger=100)
        self._context.term()

    def _schedule(self) -> None:
        if self._scheduled is None and int(self._socket.EVENTS) & zmq.POLLIN:
            self._scheduled = self._loop.call_soon(self._ready)

    def _ready(self) -> None:
        self._scheduled = None
        for _ in range(_BATCH):
            try:
                identity, *frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            self._take(identity, frames)
        self._schedule()


def _bound(context: zmq.Context[zmq.Socket[bytes]], endpoint: str) -> zmq.Socket[bytes]:
    """Return a ROUTER. MANDATORY: sending to a worker that is away fails, instead of succeeding silently."""
    router = context.socket(zmq.ROUTER)
    for option, value in (
        (zmq.ROUTER_HANDOVER, 1),
        (zmq.ROUTER_MANDATORY, 1),
        (zmq.SNDHWM, _HIGH_WATER_MARK),
        (zmq.RCVHWM, _HIGH_WATER_MARK),
    ):
        router.setsockopt(option, value)
    router.setsockopt(zmq.MAXMSGSIZE, MAX_OCTETS)
    router.bind(endpoint)
    return router
