"""Establishment of a control connection in both roles (RFC 2661 §7.2.1), with authentication and ties."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from shared.l2tp.actions import Abandon, Action, Refuse, Remark, Send, Up
from shared.l2tp.authentication import CHALLENGE_OCTETS, answers, challenge_response
from shared.l2tp.messages import PROTOCOL_VERSION, SCCCN, SCCRP, SCCRQ, Message
from shared.l2tp.results import GeneralError, Result, StopResult, readable
from shared.l2tp.settings import ConnectionSettings

_FRAMING = 3  # synchronous and asynchronous
_BEARER = 0  # we place no outgoing calls
_FIRMWARE = 0x0100


class TunnelState(Enum):
    """The RFC's four states, and what is left of a tunnel after its StopCCN (§5.7)."""

    IDLE = "idle"
    WAIT_CTL_REPLY = "wait-ctl-reply"
    WAIT_CTL_CONN = "wait-ctl-conn"
    ESTABLISHED = "established"
    STOPPING = "stopping"  # our StopCCN is not acknowledged yet
    CLOSED = "closed"  # the peer's StopCCN has come; we acknowledge its retransmissions
    RELEASED = "released"


class Tie(Enum):
    """Whose tunnel lives on when both sides have sent SCCRQ (§4.4.3)."""

    NONE = "none"  # neither side minds: two tunnels
    OURS = "ours"
    THEIRS = "theirs"
    NEITHER = "neither"


def resolve_tie(ours: bytes | None, theirs: bytes | None) -> Tie:
    """Compare two Tie Breaker values, None where the AVP was absent: the lower one wins."""
    if ours is None or theirs is None:
        return Tie.NONE if ours is theirs else Tie.THEIRS if ours is None else Tie.OURS
    if ours == theirs:
        return Tie.NEITHER
    return Tie.OURS if ours < theirs else Tie.THEIRS


class Tunnel:
    """The machine of one control connection. `connection` sets the states after established."""

    __slots__ = (
        "_challenge",
        "_random",
        "_settings",
        "_tie_breaker",
        "local_tunnel_id",
        "peer_hostname",
        "peer_tunnel_id",
        "peer_vendor",
        "peer_window",
        "state",
    )

    def __init__(
        self, settings: ConnectionSettings, local_tunnel_id: int, random: Callable[[int], bytes]
    ) -> None:
        self._settings = settings
        self._random = random
        self._challenge = random(CHALLENGE_OCTETS) if settings.secret else None
        self._tie_breaker: bytes | None = None
        self.local_tunnel_id = local_tunnel_id
        self.peer_tunnel_id = 0
        self.peer_hostname = ""
        self.peer_vendor = ""
        self.peer_window: int | None = None
        self.state = TunnelState.IDLE

    def open(self) -> SCCRQ:
        """Begin as a LAC does."""
        self.state = TunnelState.WAIT_CTL_REPLY
        if self._settings.tie_breaker:
            self._tie_breaker = self._random(8)
        return SCCRQ(
            protocol_version=PROTOCOL_VERSION,
            framing_capabilities=_FRAMING,
            bearer_capabilities=_BEARER,
            tie_breaker=self._tie_breaker,
            firmware_revision=_FIRMWARE,
            host_name=self._settings.hostname.encode(),
            vendor_name=self._settings.vendor.encode(),
            assigned_tunnel_id=self.local_tunnel_id,
            receive_window_size=self._settings.receive_window,
            challenge=self._challenge,
        )

    def receive(self, message: Message) -> tuple[Action, ...]:
        """Take a message of the control connection, StopCCN and HELLO excepted."""
        match self.state, message:
            case TunnelState.IDLE, SCCRQ():
                return self._requested(message)
            case TunnelState.WAIT_CTL_REPLY, SCCRP():
                return self._replied(message)
            case TunnelState.WAIT_CTL_REPLY, SCCRQ(tie_breaker=theirs):
                return self._collided(theirs)
            case TunnelState.WAIT_CTL_CONN, SCCCN(challenge_response=response):
                return self._connected(response)
            case _:
                text = f"{type(message).__name__} in {self.state.value}"
                return (Refuse(Result(StopResult.FSM_ERROR, 0, text)),)

    def _requested(self, request: SCCRQ) -> tuple[Action, ...]:
        self._learn(request)
        problem = self._unacceptable(request)
        if problem is not None:
            return (Refuse(problem),)
        self.state = TunnelState.WAIT_CTL_CONN
        reply = SCCRP(
            protocol_version=PROTOCOL_VERSION,
            framing_capabilities=_FRAMING,
            bearer_capabilities=_BEARER,
            firmware_revision=_FIRMWARE,
            host_name=self._settings.hostname.encode(),
            vendor_name=self._settings.vendor.encode(),
            assigned_tunnel_id=self.local_tunnel_id,
            receive_window_size=self._settings.receive_window,
            challenge=self._challenge,
            challenge_response=self._answer(SCCRP.TYPE, request.challenge),
        )
        return (Send(reply),)

    def _replied(self, reply: SCCRP) -> tuple[Action, ...]:
        self._learn(reply)
        problem = self._unacceptable(reply) or self._unproven(SCCRP.TYPE, reply.challenge_response)
        if problem is not None:
            return (Refuse(problem),)
        self.state = TunnelState.ESTABLISHED
        return Send(SCCCN(challenge_response=self._answer(SCCCN.TYPE, reply.challenge))), Up()

    def _connected(self, response: bytes | None) -> tuple[Action, ...]:
        problem = self._unproven(SCCCN.TYPE, response)
        if problem is not None:
            return (Refuse(problem),)
        self.state = TunnelState.ESTABLISHED
        return (Up(),)

    def _collided(self, theirs: bytes | None) -> tuple[Action, ...]:
        """Decide between our SCCRQ and one of the peer's, which the owner has passed to both machines."""
        match resolve_tie(self._tie_breaker, theirs):
            case Tie.NONE:
                return (Remark("the peer requests a tunnel of its own"),)
            case Tie.OURS:
                return (Remark("the peer's SCCRQ lost the tie"),)
            case _:
                return (Abandon("our SCCRQ lost the tie"),)

    def _learn(self, message: SCCRQ | SCCRP) -> None:
        self.peer_tunnel_id = message.assigned_tunnel_id
        self.peer_hostname = readable(message.host_name)
        self.peer_vendor = readable(message.vendor_name or b"")
        self.peer_window = message.receive_window_size

    def _unacceptable(self, message: SCCRQ | SCCRP) -> Result | None:
        if message.protocol_version >> 8 != PROTOCOL_VERSION >> 8:
            return Result(StopResult.BAD_VERSION, PROTOCOL_VERSION)
        if message.assigned_tunnel_id == 0:
            return Result(StopResult.GENERAL_ERROR, GeneralError.BAD_VALUE, "Assigned Tunnel ID 0")
        if message.challenge is not None and self._settings.secret is None:
            return Result(StopResult.NOT_AUTHORIZED, 0, "a challenge, and there is no secret for this peer")
        return None

    def _unproven(self, message_type: int, response: bytes | None) -> Result | None:
        if self._challenge is None or self._settings.secret is None:
            return None
        if answers(message_type, self._settings.secret, self._challenge, response):
            return None
        text = "no Challenge Response" if response is None else "wrong Challenge Response"
        return Result(StopResult.NOT_AUTHORIZED, 0, text)

    def _answer(self, message_type: int, challenge: bytes | None) -> bytes | None:
        if challenge is None or self._settings.secret is None:
            return None
        return challenge_response(message_type, self._settings.secret, challenge)
