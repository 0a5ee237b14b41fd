"""Calls from ICRQ to CDN: placed on a worker, given to it, taken back, and freed of what they held."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from controller.causes import verdict_of, verdict_of_link
from controller.driver import Driver
from controller.placement import Placement
from controller.ports import Timers, Workers
from controller.quiet import QuietLog, shown, told
from controller.registry import Registry, Session, SessionState, Tunnel
from controller.totals import Totals
from shared.addresses import address_text
from shared.config.sections import L2TP
from shared.ipc.messages import LinkDown, LinkUp, SessionAssigned, SessionClosed
from shared.l2tp.connection import (
    CallOffered,
    CallResult,
    Command,
    Result,
    SessionDown,
    SessionUp,
    StopResult,
)
from shared.ppp.policy import LinkEnd

log = logging.getLogger(__name__)

FAREWELL_S: Final = 5.0  # for LCP Terminate-Request and its answer, before CDN comes in any case
_NOTHING: Final[tuple[Command, ...]] = ()


class Sessions:
    """All sessions. Implements `controller.driver.Calls`."""

    def __init__(
        self,
        limits: L2TP,
        registry: Registry,
        placement: Placement,
        driver: Driver,
        workers: Workers,
        timers: Timers,
        free: Callable[[Session], None],
        totals: Totals,
        quiet: QuietLog,
    ) -> None:
        self._limits = limits
        self._registry = registry
        self._placement = placement
        self._driver = driver
        self._workers = workers
        self._timers = timers
        self._free = free  # give back the addresses and routes of a session
        self._totals = totals
        self._quiet = quiet
        self._closing: dict[int, str] = {}  # tunnels to close with their last session, and why

    # What the tunnel's machine says.

    def offered(self, tunnel: Tunnel, offer: CallOffered, now: float) -> Sequence[Command]:
        """Accept the call if there is room, or reject it with the reason."""
        self._totals.calls_offered += 1
        connection = tunnel.connection
        refusal = self._refusal(tunnel)
        place = None if refusal else self._placement.session(tunnel, now)
        if place is None:
            result = refusal or Result(CallResult.NO_FACILITIES_NOW, message="no worker is there")
            self._report_rejection(tunnel, result)
            return connection.reject_call(offer.peer_session_id, result, now)
        session_id, worker = place
        session = Session(tunnel, session_id, offer.peer_session_id, offer.call, worker, created_at=now)
        self._registry.add_session(session)
        return connection.accept_call(offer.peer_session_id, session_id, now)

    def up(self, tunnel: Tunnel, event: SessionUp, now: float) -> Sequence[Command]:  # noqa: ARG002
        """Give the session to its worker."""
        session = tunnel.sessions[event.local_session_id]
        session.call = event.call
        self._totals.sessions_assigned += 1
        self.assign(session)
        return _NOTHING

    def down(self, tunnel: Tunnel, event: SessionDown, now: float) -> Sequence[Command]:
        """Forget the session, and close the tunnel with the last one where that was asked for."""
        session = tunnel.sessions.get(event.local_session_id)
        if session is not None:
            self._forget(session, session.ending or event.reason, now)
        return self._close_if_empty(tunnel, now)

    def lost(self, tunnel: Tunnel, reason: str, now: float) -> None:
        """Forget every session of a tunnel that is over."""
        self._closing.pop(tunnel.tunnel_id, None)
        for session in list(tunnel.sessions.values()):
            self._forget(session, reason, now)

    # What the worker says.

    def assign(self, session: Session) -> None:
        """Tell the worker to run the session; with what it was authorized for, where that is known."""
        session.assigned = True
        connection = session.tunnel.connection
        policy = session.tunnel.rule.policy
        self._registry.workers[session.worker].want(session)
        self._workers.send(
            session.worker,
            SessionAssigned(
                tunnel_id=session.tunnel.tunnel_id,
                session_id=session.session_id,
                peer_tunnel_id=connection.peer_tunnel_id,
                peer_session_id=session.peer_session_id,
                listen=session.tunnel.listen,
                peer=connection.peer,
                local_address=session.tunnel.local_address,
                sequencing=session.sequenced,
                policy=replace(policy, mru_octets=session.less_numbers(policy.mru_octets)),
                authorization=session.authorization,
            ),
        )

    def link_up(self, session: Session, message: LinkUp, now: float) -> None:
        """Packets flow."""
        session.ip = message.ipv4 or session.ip
        if session.state is SessionState.STARTING:
            session.state = SessionState.ACTIVE
        if session.up_at is not None:
            return
        session.up_at = now
        self._totals.sessions_established += 1
        log.info(
            "session up tunnel=%d session=%d username=%s ip=%s worker=%d mtu=%d peer=%s",
            *session.key,
            shown(session.username),
            session.ip or "-",
            session.worker,
            message.mtu_octets,
            address_text(session.tunnel.connection.peer),
        )

    def link_down(self, session: Session, message: LinkDown, now: float) -> None:
        """PPP is over: end the call with CDN."""
        self._registry.workers[session.worker].unwant(session)
        session.assigned = False
        session.verdict = session.verdict or verdict_of_link(message)
        session.ending = session.ending or message.reason
        self._hang_up(session, now)

    # What operators and limits want.

    def terminate(self, session: Session, reason: str, now: float) -> None:
        """End a session in an orderly way: LCP Terminate-Request first, then CDN."""
        if session.state is SessionState.FINISHING:
            return
        session.state = SessionState.FINISHING
        session.ending = reason
        session.verdict = verdict_of(LinkEnd.ADMINISTRATIVE, reason)
        if not session.assigned:
            self._hang_up(session, now)
            return
        self._timers.set(session, now + FAREWELL_S)
        self.say_farewell(session)

    def say_farewell(self, session: Session) -> None:
        """Ask the worker to end PPP; `link_down` or the deadline goes on from there."""
        self._workers.send(session.worker, SessionClosed(*session.key, orderly=True, reason=session.ending))

    def replace(self, session: Session, reason: str, now: float) -> None:
        """End a session at once, since another one takes its place."""
        session.ending = reason
        session.verdict = verdict_of(LinkEnd.ADMINISTRATIVE, reason)
        self._hang_up(session, now)

    def handle_timer(self, session: Session, now: float) -> None:
        """PPP's farewell has taken too long."""
        self._hang_up(session, now)

    def close_when_empty(self, tunnel: Tunnel, reason: str, now: float) -> None:
        """Send StopCCN as soon as the tunnel has no session left."""
        self._closing[tunnel.tunnel_id] = reason
        self._driver.run(tunnel, lambda: self._close_if_empty(tunnel, now), now)

    # Inside.

    def _refusal(self, tunnel: Tunnel) -> Result | None:
        limit = self._limits.max_sessions
        if tunnel.tunnel_id in self._closing:
            return Result(CallResult.ADMINISTRATIVE, message="the tunnel is being closed")
        if tunnel.rule.full_of_sessions or 0 < limit <= self._registry.session_count:
            return Result(CallResult.NO_FACILITIES_NOW, message="too many sessions")
        return None

    def _report_rejection(self, tunnel: Tunnel, result: Result) -> None:
        self._totals.calls_rejected += 1
        peer = address_text(tunnel.connection.peer)
        self._quiet.warning(
            "call rejected",
            "call rejected tunnel=%d peer=%s reason=%s",
            tunnel.tunnel_id,
            peer,
            result.message,
        )

    def _close_if_empty(self, tunnel: Tunnel, now: float) -> Sequence[Command]:
        if tunnel.sessions or tunnel.tunnel_id not in self._closing:
            return _NOTHING
        reason = self._closing.pop(tunnel.tunnel_id)
        return tunnel.connection.close(Result(StopResult.CLEAR, message=reason), now)

    def _hang_up(self, session: Session, now: float) -> None:
        result, cause = session.verdict or verdict_of(LinkEnd.ADMINISTRATIVE, session.ending)
        connection = session.tunnel.connection
        self._driver.run(
            session.tunnel, lambda: connection.close_session(session.session_id, result, now, cause), now
        )

    def _forget(self, session: Session, reason: str, now: float) -> None:
        self._totals.sessions_closed += 1
        self._timers.set(session, None)
        if session.assigned:
            self._workers.send(session.worker, SessionClosed(*session.key, orderly=False, reason=reason))
        self._free(session)
        self._registry.remove_session(session)
        session.tunnel.session_ids.release(session.session_id, now)
        self._report_end(session, reason, now)

    def _report_end(self, session: Session, reason: str, now: float) -> None:
        """Log the end; of sessions that never were up only so many, since anybody can cause them."""
        rx_packets, rx_octets, tx_packets, tx_octets = session.traffic.total
        values = (*session.key, shown(session.username), session.ip or "-", told(reason))
        if session.up_at is None:
            text = "session failed tunnel=%d session=%d username=%s ip=%s reason=%s"
            self._quiet.warning("session failed", text, *values)
            return
        log.info(
            "session down tunnel=%d session=%d username=%s ip=%s reason=%s uptime_s=%d"
            " rx_packets=%d rx_octets=%d tx_packets=%d tx_octets=%d",
            *values,
            now - session.up_at,
            rx_packets,
            rx_octets,
            tx_packets,
            tx_octets,
        )
