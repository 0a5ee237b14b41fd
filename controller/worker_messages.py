"""What workers say, each message to whom it concerns; stray ones change nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from controller.authentication import Authentication
from controller.driver import Driver
from controller.quiet import QuietLog, shown
from controller.reconcile import Reconcile
from controller.registry import Registry, Session, Worker
from controller.sessions import Sessions
from controller.totals import Totals
from shared.errors import IPCError
from shared.ipc.codec import Message, decode
from shared.ipc.messages import (
    AddressWish,
    AuthRequest,
    Counters,
    Hello,
    Identified,
    LinkDown,
    LinkUp,
    PeerMoved,
)

log = logging.getLogger(__name__)

_Handler = Callable[[Worker, Any, float], None]


class WorkerMessages:
    """The receiving end of the socket to the workers."""

    def __init__(
        self,
        registry: Registry,
        sessions: Sessions,
        authentication: Authentication,
        reconcile: Reconcile,
        driver: Driver,
        totals: Totals,
        quiet: QuietLog,
    ) -> None:
        self._registry = registry
        self._sessions = sessions
        self._authentication = authentication
        self._reconcile = reconcile
        self._driver = driver
        self._totals = totals
        self._quiet = quiet
        self._handlers: dict[type, _Handler] = {
            Hello: self._hello,
            Counters: reconcile.counters,
            PeerMoved: self._peer_moved,
            AuthRequest: self._of_session(authentication.request),
            AddressWish: self._of_session(authentication.wish),
            LinkUp: self._of_session(sessions.link_up),
            LinkDown: self._of_session(sessions.link_down),
            Identified: self._of_session(_identified),
        }

    def receive(self, identity: bytes, frames: list[bytes], now: float) -> None:
        """Take one message from whoever calls itself ``identity``. Never raises."""
        self._totals.worker_messages += 1
        try:
            worker = self._worker(identity)
            message, handler = self._read(frames)
        except IPCError as error:
            self._totals.worker_messages_refused += 1
            self._quiet.warning("worker message", "worker message refused from=%r reason=%s", identity, error)
            return
        try:
            handler(worker, message, now)
        except Exception as error:  # noqa: BLE001  # a bug with one session: the others must not notice
            text = "worker message failed by a bug of ours worker=%d message=%s"
            self._quiet.error("bug", text, worker.index, type(message).__name__, error=error)

    def _read(self, frames: list[bytes]) -> tuple[Message, _Handler]:
        if len(frames) != 1:
            raise IPCError(f"{len(frames)} frames where one belongs")
        message = decode(frames[0])
        handler = self._handlers.get(type(message))
        if handler is None:
            raise IPCError(f"{type(message).__name__} is not a worker's to say")
        return message, handler

    def _worker(self, identity: bytes) -> Worker:
        name, _, index = identity.partition(b"-")
        if name != b"worker" or not index.isdigit() or not int(index) < len(self._registry.workers):
            raise IPCError("not a worker's name")
        return self._registry.workers[int(index)]

    def _hello(self, worker: Worker, message: Hello, now: float) -> None:
        if message.index == worker.index:
            self._reconcile.hello(worker, message, now)

    def _peer_moved(self, worker: Worker, message: PeerMoved, now: float) -> None:
        tunnel = self._registry.tunnels.get(message.tunnel_id)
        if tunnel is None or tunnel.worker not in {None, worker.index}:
            return
        connection = tunnel.connection
        if message.source == connection.peer:
            self._driver.confirm_peer(tunnel, worker.index)
        else:
            self._driver.run(tunnel, lambda: connection.probe(message.source, now), now)

    def _of_session(self, handle: Callable[[Session, Any, float], None]) -> _Handler:
        """Return a handler that finds the session of a message; ignored where the worker has no such one."""

        def handler(worker: Worker, message: Any, now: float) -> None:
            session = worker.desired.get((message.tunnel_id, message.session_id))
            if session is not None:
                handle(session, message, now)

        return handler


def _identified(session: Session, message: Identified, _: float) -> None:
    log.info("session identified tunnel=%d session=%d as=%s", *session.key, shown(message.text))
