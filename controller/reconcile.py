"""Keeping each worker's sessions and ours the same, whatever was lost on the way or has died meanwhile."""

from __future__ import annotations

import logging
import secrets
from typing import Final

from controller.ports import Workers
from controller.registry import Registry, Session, SessionState, Worker
from controller.sessions import Sessions
from controller.totals import Totals
from shared.ipc.messages import Counters, Hello, HelloWanted, SessionClosed, Welcome

log = logging.getLogger(__name__)

_PATIENCE: Final = 2  # heartbeats that may disagree: messages are on their way meanwhile


class Reconcile:
    """Answers `Hello` with the difference, and asks for it where a heartbeat disagrees with us."""

    def __init__(self, registry: Registry, sessions: Sessions, workers: Workers, totals: Totals) -> None:
        self._registry = registry
        self._sessions = sessions
        self._workers = workers
        self._totals = totals
        self._epoch = secrets.randbelow(1 << 30) + 1  # another one than a controller before us had

    def hello(self, worker: Worker, message: Hello, now: float) -> None:
        """Take what a worker runs, and make it run what we want."""
        if worker.pid != message.pid:
            log.info("worker here worker=%d pid=%d datapath=%s", worker.index, message.pid, message.datapath)
        self._epoch += 1
        self._totals.reconciliations += 1
        worker.pid, worker.datapath, worker.offloads = message.pid, message.datapath, message.offloads
        worker.epoch, worker.heard_at, worker.mismatches = self._epoch, now, 0
        self._workers.send(worker.index, Welcome(self._epoch))
        running = set(message.sessions)
        for tunnel_id, session_id in running - worker.desired.keys():
            closed = SessionClosed(tunnel_id, session_id, orderly=False, reason="not known to the controller")
            self._workers.send(worker.index, closed)
        for session in list(worker.desired.values()):
            self._settle(session, running=session.key in running, now=now)

    def counters(self, worker: Worker, message: Counters, now: float) -> None:
        """Take a heartbeat."""
        worker.heard_at = now
        worker.totals = dict(message.totals)
        for row in message.sessions:
            session = worker.desired.get((row.tunnel_id, row.session_id))
            if session is not None:
                session.traffic.update(row)
        agreed = message.epoch == worker.epoch and message.digest == worker.digest
        worker.mismatches = 0 if agreed else worker.mismatches + 1
        if worker.mismatches >= _PATIENCE or worker.epoch == 0:
            worker.mismatches = 0
            self._workers.send(worker.index, HelloWanted(worker.epoch))

    def _settle(self, session: Session, *, running: bool, now: float) -> None:
        """Bring one session of a worker that has said what it runs to where it should be."""
        if session.state is SessionState.FINISHING:
            if running:
                self._sessions.say_farewell(session)
            else:
                self._sessions.handle_timer(session, now)
        elif not running:  # the worker is a successor: PPP starts anew, with the same address
            session.traffic.restart()
            session.state = SessionState.STARTING
            session.request_id = session.decision = None
            self._sessions.assign(session)
