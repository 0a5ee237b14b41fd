"""The ZeroMQ socket to the controller, read when its descriptor says so; nothing here waits.

The descriptor is edge-triggered and every call on the socket may swallow its edge, so the socket is asked
again after each. (`zmq.asyncio` does the same with a future for each message and takes 1.4 to 1.8 times
the CPU time: ``benchmarks/worker_link.py``.)
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Final

import zmq

from shared.errors import IPCError
from shared.ipc.codec import MAX_OCTETS, Message, decode, encode
from shared.ipc.messages import FromWorker
from workers.rate import RateLimit

log = logging.getLogger(__name__)

HIGH_WATER_MARK: Final = 10_000
BACKLOG: Final = 10_000  # messages kept while there is no controller; then the oldest goes
MESSAGES_PER_WAKE_UP: Final = 64
_COMPLAINTS_PER_SECOND: Final = 0.1

_OPTIONS: Final[dict[int, int]] = {
    zmq.SNDHWM: HIGH_WATER_MARK,
    zmq.RCVHWM: HIGH_WATER_MARK,
    zmq.MAXMSGSIZE: MAX_OCTETS,
    zmq.IMMEDIATE: 1,
    zmq.LINGER: 0,
    zmq.RECONNECT_IVL: 50,  # milliseconds
    zmq.RECONNECT_IVL_MAX: 1000,
}


class ControllerLink:
    """A DEALER that reconnects by itself. ``receive`` is called with each message of the controller."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        endpoint: str,
        identity: bytes,
        receive: Callable[[Message], None],
    ) -> None:
        self.refused = 0  # messages that are none of ours
        self.dropped = 0
        self._loop = loop
        self._receive = receive
        self._backlog: deque[bytes] = deque(maxlen=BACKLOG)
        self._complaints = RateLimit(_COMPLAINTS_PER_SECOND, 3)
        self._scheduled: asyncio.Handle | None = None
        self._context = zmq.Context()
        self._socket = _connected(self._context, endpoint, identity)
        self._descriptor = self._socket.FD
        loop.add_reader(self._descriptor, self._ready)
        self._schedule()

    def send(self, message: FromWorker) -> bool:
        """Send ``message``, or keep it until there is a controller; False where that cost an older one."""
        octets = encode(message)
        if not self._backlog and self._send_now(octets):
            return True
        full = len(self._backlog) == BACKLOG
        self.dropped += full
        self._backlog.append(octets)
        self._schedule()
        return not full

    def send_or_drop(self, message: FromWorker) -> bool:
        """Send ``message`` if there is a controller to take it, and False if not: a newer one will do."""
        self.flush()
        return not self._backlog and self._send_now(encode(message))

    def flush(self) -> None:
        """Send what has been kept, as far as it goes."""
        while self._backlog and self._send_now(self._backlog[0]):
            self._backlog.popleft()

    def close(self) -> None:
        """Let go of the socket; what was not sent is dropped."""
        if self._scheduled is not None:
            self._scheduled.cancel()
        self._loop.remove_reader(self._descriptor)
        self._socket.close(linger=0)
        self._context.term()

    def _send_now(self, octets: bytes) -> bool:
        try:
            self._socket.send(octets, zmq.NOBLOCK)
        except zmq.Again:
            return False
        finally:
            self._schedule()
        return True

    def _schedule(self) -> None:
        """Look at the socket once more, soon: the call just made may have swallowed the edge.

        That of a controller that has come within reach too, where something is kept for it.
        """
        awaited = zmq.POLLIN | zmq.POLLOUT if self._backlog else zmq.POLLIN
        if self._scheduled is None and int(self._socket.getsockopt(zmq.EVENTS)) & awaited:
            self._scheduled = self._loop.call_soon(self._ready)

    def _ready(self) -> None:
        self._scheduled = None
        for _ in range(MESSAGES_PER_WAKE_UP):
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            self._take(frames)
        self.flush()
        self._schedule()

    def _take(self, frames: list[bytes]) -> None:
        try:
            message = decode(_only(frames))
        except IPCError as error:
            self.refused += 1
            if self._complaints.allows(self._loop.time()):
                log.error("ignored octets that are no message (%d times so far): %s", self.refused, error)
        else:
            self._receive(message)


def _only(frames: list[bytes]) -> bytes:
    if len(frames) != 1:
        raise IPCError(f"{len(frames)} frames where one belongs")
    return frames[0]


def _connected(context: zmq.Context[zmq.Socket[bytes]], endpoint: str, identity: bytes) -> zmq.Socket[bytes]:
    """Return a DEALER. IMMEDIATE: ZeroMQ keeps nothing for a controller that is away, we do."""
    dealer = context.socket(zmq.DEALER)
    for option, value in _OPTIONS.items():
        dealer.setsockopt(option, value)
    dealer.setsockopt(zmq.IDENTITY, identity)
    dealer.connect(endpoint)
    return dealer
