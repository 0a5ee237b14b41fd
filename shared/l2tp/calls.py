"""The calls of one control connection: who is meant by a message, limits, deadlines (RFC 2661 §7.4)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from shared.l2tp.actions import Action, Refuse, Remark, Send, Up
from shared.l2tp.commands import CallOffered, Command, Note, SessionDown, SessionUp
from shared.l2tp.header import ControlHeader
from shared.l2tp.messages import CDN, ICRQ, OCRQ, BadMessage, Message, SessionMessage
from shared.l2tp.results import CallResult, DisconnectCause, GeneralError, Result, ResultKind
from shared.l2tp.session import CallInfo, CallPhase, CallState, offered_call
from shared.l2tp.settings import ConnectionSettings, Role
from shared.l2tp.tunnel import TunnelState

_OPENING: Final = frozenset({TunnelState.IDLE, TunnelState.WAIT_CTL_REPLY, TunnelState.WAIT_CTL_CONN})


class Calls:
    """Finds the call of each message and ends calls; ``send`` takes the peer's session ID and a message."""

    __slots__ = ("_by_peer", "_deadlines", "_emit", "_offers", "_role", "_send", "_settings", "sessions")

    def __init__(
        self,
        settings: ConnectionSettings,
        role: Role,
        send: Callable[[int, Message], None],
        emit: Callable[[Command], None],
    ) -> None:
        self.sessions: dict[int, CallState] = {}  # by our session ID
        self._offers: dict[int, CallState] = {}  # by the peer's, until the owner has decided
        self._by_peer: dict[int, CallState] = {}  # by the peer's, once both are known
        self._deadlines: OrderedDict[CallState, float] = OrderedDict()  # all equally long: earliest first
        self._settings = settings
        self._role = role
        self._send = send
        self._emit = emit

    def next_deadline(self) -> float | None:
        """When the first call is due that is not established yet."""
        return next(iter(self._deadlines.values())) if self._deadlines else None

    def expire(self, now: float) -> None:
        """End the calls that were not established in time."""
        while self._deadlines and next(iter(self._deadlines.values())) <= now:
            call = next(iter(self._deadlines))
            self._end(
                call, Result(CallResult.TIMED_OUT, 0, f"not established in time, still in {call.phase.value}")
            )

    # The owner's side.

    def accept(self, peer_session_id: int, local_session_id: int) -> None:
        """Answer an offer with ICRP."""
        call = self._offers.pop(peer_session_id, None)
        if call is None:
            gone = Result(CallResult.LOST_CARRIER, 0, "the peer withdrew the call")
            self._emit(SessionDown(local_session_id, gone, gone.message, by_peer=True))
            return
        self.sessions[local_session_id] = self._by_peer[peer_session_id] = call
        self._send(peer_session_id, call.accept(local_session_id))

    def reject(self, peer_session_id: int, result: Result) -> None:
        """Answer an offer with CDN."""
        call = self._offers.get(peer_session_id)
        if call is not None:
            self._end(call, result)

    def place(self, local_session_id: int, info: CallInfo, state: TunnelState, now: float) -> None:
        """Begin a call as LAC, or let it wait for the tunnel."""
        if state is not TunnelState.ESTABLISHED and state not in _OPENING:
            gone = Result(CallResult.NO_FACILITIES_NOW, 0, f"the tunnel is {state.value}")
            self._emit(SessionDown(local_session_id, gone, gone.message, by_peer=False))
            return
        call = CallState(CallPhase.WAIT_TUNNEL, info, local_session_id=local_session_id)
        self.sessions[local_session_id] = call
        if state is TunnelState.ESTABLISHED:
            self._request(call, now)

    def request_waiting(self, now: float) -> None:
        """The tunnel is up: send ICRQ for each call that waits for it."""
        for call in self.sessions.values():
            if call.phase is CallPhase.WAIT_TUNNEL:
                self._request(call, now)

    def close(self, local_session_id: int, result: Result, cause: DisconnectCause | None) -> None:
        """End a call of ours with CDN."""
        call = self.sessions.get(local_session_id)
        if call is not None:
            self._end(call, result, cause)

    def end_all(self, tunnel_result: Result, reason: str, *, by_peer: bool) -> None:
        """The tunnel is over for ``tunnel_result``, and its calls with it; no CDN is needed (§5.7)."""
        result = Result(CallResult.LOST_CARRIER, 0, tunnel_result.message)
        for local_session_id in self.sessions:
            self._emit(SessionDown(local_session_id, result, f"the tunnel is down: {reason}", by_peer))
        for held in (self.sessions, self._offers, self._by_peer, self._deadlines):
            held.clear()

    # The peer's side.

    def receive(self, header: ControlHeader, message: SessionMessage, now: float) -> None:
        """Take a message of a session."""
        match message:
            case ICRQ():
                self._offered(message, now)
            case OCRQ(assigned_session_id=peer_session_id):
                text = "outgoing calls are not offered here"
                self._disconnect(peer_session_id, 0, Result(CallResult.NO_FACILITIES, 0, text))
            case CDN():
                self._disconnected(header.session_id, message)
            case _:
                call = self.sessions.get(header.session_id)
                if call is None:
                    self._unknown_session(header.session_id, type(message).__name__)
                else:
                    self._perform(call, call.receive(message))

    def violated(self, header: ControlHeader, error: BadMessage) -> None:
        """End the call in one of whose messages the peer went wrong (§4.1)."""
        result = Result(CallResult.GENERAL_ERROR, error.error, str(error))
        peer_session_id = error.assigned_session_id
        call = (
            self.sessions.get(header.session_id)
            or self._offers.get(peer_session_id)
            or self._by_peer.get(peer_session_id)
        )
        if call is not None:
            self._end(call, result)
            return
        self._emit(Note(f"refused a message for session {header.session_id}: {error}"))
        if peer_session_id and error.message_type in {ICRQ.TYPE, OCRQ.TYPE}:
            self._disconnect(peer_session_id, 0, result)

    def _offered(self, request: ICRQ, now: float) -> None:
        peer_session_id = request.assigned_session_id
        known = self._by_peer.get(peer_session_id) or self._offers.get(peer_session_id)
        if known is not None:
            text = "ICRQ with the ID of a session that exists"
            self._end(known, Result(CallResult.GENERAL_ERROR, GeneralError.BAD_SESSION_ID, text))
            return
        refusal = self._refusal(peer_session_id)
        if refusal is not None:
            self._disconnect(peer_session_id, 0, refusal)
            self._emit(Note(f"refused a call: {refusal.text(ResultKind.CDN)}"))
            return
        call = CallState(CallPhase.OFFERED, offered_call(request), peer_session_id=peer_session_id)
        self._offers[peer_session_id] = call
        self._deadlines[call] = now + self._settings.setup_timeout_s
        self._emit(CallOffered(peer_session_id, call.call))

    def _refusal(self, peer_session_id: int) -> Result | None:
        if self._role is not Role.LNS:
            return Result(CallResult.NO_FACILITIES, 0, "a LAC takes no incoming calls")
        if peer_session_id == 0:
            return Result(CallResult.GENERAL_ERROR, GeneralError.BAD_VALUE, "Assigned Session ID 0 in ICRQ")
        if len(self.sessions) + len(self._offers) >= self._settings.max_sessions:
            return Result(CallResult.NO_FACILITIES_NOW, 0, "too many sessions in this tunnel")
        return None

    def _disconnected(self, session_id: int, message: CDN) -> None:
        """The peer ends a call: found by our ID in the header, else by its own in the AVP."""
        peer_session_id = message.assigned_session_id
        call = self.sessions.get(session_id) if session_id else self._by_peer.get(peer_session_id)
        if call is None and session_id == 0:
            call = self._offers.get(peer_session_id)
        if call is not None:
            self._forget(call)
            self._report(call, message.result, message.disconnect_cause, by_peer=True)

    def _unknown_session(self, session_id: int, name: str) -> None:
        """Tell the peer, which takes a session for alive, that we have none; it knows the ID as ours."""
        self._emit(Note(f"{name} for session {session_id}, which does not exist"))
        if session_id:
            result = Result(CallResult.GENERAL_ERROR, GeneralError.BAD_SESSION_ID, "no such session")
            self._disconnect(0, session_id, result)

    def _perform(self, call: CallState, actions: tuple[Action, ...]) -> None:
        for action in actions:
            match action:
                case Send(message):
                    self._send(call.peer_session_id, message)
                case Up():
                    self._by_peer[call.peer_session_id] = call
                    self._deadlines.pop(call, None)
                    self._emit(SessionUp(call.local_session_id, call.peer_session_id, call.call))
                case Refuse(result):
                    self._end(call, result)
                case Remark(text):
                    self._emit(Note(text))

    def _request(self, call: CallState, now: float) -> None:
        self._deadlines[call] = now + self._settings.setup_timeout_s
        self._send(0, call.request())

    def _end(self, call: CallState, result: Result, cause: DisconnectCause | None = None) -> None:
        """End a call from our side: CDN, unless the peer has not heard of it."""
        self._forget(call)
        if call.phase is not CallPhase.WAIT_TUNNEL:
            self._disconnect(call.peer_session_id, call.local_session_id, result, cause)
        self._report(call, result, cause, by_peer=False)

    def _disconnect(
        self,
        peer_session_id: int,
        local_session_id: int,
        result: Result,
        cause: DisconnectCause | None = None,
    ) -> None:
        message = CDN(assigned_session_id=local_session_id, result=result, disconnect_cause=cause)
        self._send(peer_session_id, message)

    def _forget(self, call: CallState) -> None:
        self._deadlines.pop(call, None)
        for held, key in (
            (self.sessions, call.local_session_id),
            (self._offers, call.peer_session_id),
            (self._by_peer, call.peer_session_id),
        ):
            if held.get(key) is call:
                del held[key]

    def _report(
        self, call: CallState, result: Result, cause: DisconnectCause | None, *, by_peer: bool
    ) -> None:
        if not call.local_session_id:
            return  # only offered: the owner has nothing to clean up, and learns it if it accepts
        reason = result.text(ResultKind.CDN) + (f"; {cause.text()}" if cause is not None else "")
        self._emit(SessionDown(call.local_session_id, result, reason, by_peer, cause))
