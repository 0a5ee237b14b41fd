"""All sessions of one worker: messages and frames in, messages and datagrams out, no descriptor."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Address
from typing import Final

from shared.ipc.codec import Message
from shared.ipc.messages import (
    AddressDecision,
    AuthDecision,
    Counters,
    FromWorker,
    Hello,
    HelloWanted,
    LinkDown,
    PeerConfirmed,
    SessionAssigned,
    SessionClosed,
    SessionCounters,
    Welcome,
    session_digest,
)
from shared.ppp.policy import LinkEnd
from shared.timers import TimerQueue
from workers.datapath import Datagram, Datapath, Frame
from workers.interface_ids import InterfaceIds
from workers.session import Key, Session, checked_address
from workers.subscriber import Subscriber

log = logging.getLogger(__name__)

ROWS_PER_HEARTBEAT: Final = 2_000  # sessions; the others' turn comes with the next one
TIMERS_PER_WAKE_UP: Final = 256


class Worker:
    """Runs a `Subscriber` for each session that the controller assigns.

    ``report`` returns False where a message had to be dropped. A bug in one session's machine ends that
    session, with a traceback in the log, and no other.
    """

    def __init__(
        self,
        index: int,
        pid: int,
        listens: int,
        datapath: Datapath,
        *,
        transmit: Callable[[Datagram], None],
        report: Callable[[FromWorker], bool],
        random: Callable[[int], bytes],
    ) -> None:
        self.subscribers: dict[Key, Subscriber] = {}
        self.timers: TimerQueue[Key] = TimerQueue()
        self.epoch = 0  # of the controller that we have last heard of; 0 before the first
        self._index = index
        self._pid = pid
        self._listens = listens
        self._datapath = datapath
        self._transmit = transmit
        self._report = report
        self._random = random
        self._interface_ids = InterfaceIds()
        self._reported: dict[Key, int] = {}  # packets of each session in the controller's books
        self._scan_from = 0
        self._lost = False  # a message was dropped: the controller may be wrong about our sessions

    # ------------------------------------------------------------------- from the controller

    def receive(self, message: Message, now: float) -> None:
        """Take one message of the controller; what makes no sense is logged and changes nothing else."""
        try:
            self._handle(message, now)
        except Exception:
            log.exception("a message made no sense: %s", type(message).__name__)

    def _handle(self, message: Message, now: float) -> None:
        match message:
            case SessionAssigned():
                self._assign(message, now)
            case SessionClosed():
                self._close(message, now)
            case Welcome(epoch):
                self._welcome(epoch)
            case HelloWanted():
                self._tell(self.hello())
            case PeerConfirmed(tunnel_id, peer):
                self._datapath.move_tunnel(tunnel_id, peer)
            case AuthDecision() | AddressDecision():
                self._decide(message, now)
            case _:
                log.warning("ignored %s, which is not the controller's to say", type(message).__name__)

    def _assign(self, message: SessionAssigned, now: float) -> None:
        key = message.tunnel_id, message.session_id
        if not 0 <= message.listen < self._listens:
            raise ValueError(f"there is no listen address {message.listen}")
        checked_address(message.peer)
        if (old := self.subscribers.get(key)) is not None:
            if _same_call(old, message):
                return  # said twice
            self._forget(old)  # the IDs were given to another call
        subscriber = Subscriber(
            message,
            self._datapath,
            transmit=self._transmit,
            report=self._tell,
            random=self._random,
            claim_interface_id=partial(self._interface_ids.claim, key),
        )
        self.subscribers[key] = subscriber
        self._run(subscriber, lambda: subscriber.open(now))

    def _close(self, message: SessionClosed, now: float) -> None:
        subscriber = self.subscribers.get((message.tunnel_id, message.session_id))
        if subscriber is None:
            if message.orderly:  # the controller waits for an answer, whoever has lost the first one
                self._tell(
                    LinkDown(message.tunnel_id, message.session_id, LinkEnd.ADMINISTRATIVE, message.reason)
                )
        elif message.orderly:
            self._run(subscriber, lambda: subscriber.close(LinkEnd.ADMINISTRATIVE, message.reason, now))
        else:
            self._forget(subscriber)

    def _decide(self, message: AuthDecision | AddressDecision, now: float) -> None:
        subscriber = self.subscribers.get((message.tunnel_id, message.session_id))
        if subscriber is None:
            return
        if isinstance(message, AuthDecision):
            self._run(subscriber, partial(subscriber.decide, message, now))
        else:
            IPv4Address(message.address)  # raises, while nothing has happened to the session
            self._run(subscriber, partial(subscriber.decide_address, message, now))

    def _welcome(self, epoch: int) -> None:
        """Tell the controller, perhaps a new one, about each session; all counters are news to it."""
        self.epoch = epoch
        self._reported.clear()
        for subscriber in self.subscribers.values():
            subscriber.announce()

    # ------------------------------------------------------------ from the peers and the clock

    def frames(self, frames: Iterable[Frame], now: float) -> None:
        """Give each frame to its session's machine."""
        for session, octets in frames:
            subscriber = self.subscribers.get(session.key)
            if subscriber is not None and subscriber.session is session:
                self._run(subscriber, partial(subscriber.receive, octets, now))

    def handle_timers(self, now: float) -> None:
        """Do what is due at ``now``, in bounded portions: what is left is due again at once."""
        for _, key in zip(range(TIMERS_PER_WAKE_UP), self.timers.pop_due(now), strict=False):
            if (subscriber := self.subscribers.get(key)) is not None:
                self._run(subscriber, partial(subscriber.handle_timer, now))

    # ------------------------------------------------------------------------- to the controller

    def hello(self) -> Hello:
        """Return who we are and what we run."""
        return Hello(self._index, self._pid, self._datapath.NAME, (), tuple(self.subscribers))

    def heartbeat(self, more_totals: tuple[tuple[str, int], ...] = ()) -> None:
        """Report totals, the digest, and the sessions that have moved packets since the last time.

        The digest does not show that a `LinkUp` was lost, so after any loss we introduce ourselves anew.
        """
        rows = tuple(self._changed_sessions())
        totals = self._datapath.counters.totals() + more_totals
        message = Counters(self.epoch, session_digest(set(self.subscribers)), totals, rows)
        if self._report(message):
            for row in rows:
                self._reported[row.tunnel_id, row.session_id] = row.rx_packets + row.tx_packets
            if self._lost:
                self._lost = False
                self._tell(self.hello())

    def _tell(self, message: FromWorker) -> None:
        if not self._report(message):
            self._lost = True

    def _changed_sessions(self) -> Iterable[SessionCounters]:
        sessions = list(self._datapath.sessions.values())
        start, self._scan_from = self._scan_from, 0
        found = 0
        for index in range(start, start + len(sessions)):
            session = sessions[index % len(sessions)]
            if session.rx_packets + session.tx_packets == self._reported.get(session.key, 0):
                continue
            yield _row(session)
            found += 1
            if found == ROWS_PER_HEARTBEAT:
                self._scan_from = index + 1
                return

    # ------------------------------------------------------------------------------------------

    def _run(self, subscriber: Subscriber, call: Callable[[], None]) -> None:
        """Do ``call``, which concerns ``subscriber``, and settle what follows from it."""
        try:
            call()
            deadline = None if subscriber.ended else subscriber.next_timeout()
        except Exception:
            key = subscriber.session.key
            log.exception("session ended by a bug of ours tunnel=%d session=%d", *key)
            self._forget(subscriber)
            self._tell(LinkDown(*key, LinkEnd.NEGOTIATION_FAILED, "internal error"))
            return
        if subscriber.ended:
            self._forget(subscriber)
        else:
            self.timers.set(subscriber.session.key, deadline)

    def _forget(self, subscriber: Subscriber) -> None:
        key = subscriber.session.key
        if self.subscribers.get(key) is subscriber:
            del self.subscribers[key]
            self.timers.set(key, None)
            self._interface_ids.release(key)
            self._reported.pop(key, None)
        subscriber.abandon()


def _same_call(subscriber: Subscriber, message: SessionAssigned) -> bool:
    """Whether ``message`` is about the call that ``subscriber`` runs, whose peer may have moved since.

    Any other difference counts, the peer's address above all: many clients call themselves 1 and 1, and
    none may inherit the link that another has authenticated.
    """
    known = replace(subscriber.assigned, peer=subscriber.session.peer, authorization=message.authorization)
    return known == message


def _row(session: Session) -> SessionCounters:
    return SessionCounters(
        session.tunnel_id,
        session.session_id,
        session.rx_packets,
        session.rx_octets,
        session.tx_packets,
        session.tx_octets,
    )
