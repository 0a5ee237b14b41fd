"""Incoming calls: what they are about, and their state machine in both roles (RFC 2661 §7.4)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final

from shared.l2tp.actions import Action, Refuse, Remark, Send, Up
from shared.l2tp.messages import ICCN, ICRP, ICRQ, SLI, WEN, SessionMessage
from shared.l2tp.results import CallResult, GeneralError, Result, readable

SYNC_FRAMING: Final = 1
DEFAULT_SPEED_BPS: Final = 100_000_000


@dataclass(frozen=True, slots=True)
class CallInfo:
    """What a LAC says of a call, in ICRQ and then in ICCN; speeds in bits per second.

    ``proxy`` holds the proxy LCP and authentication AVPs of ICCN by field name, as they came.
    """

    serial_number: int = 0
    bearer_type: int | None = 0
    calling_number: str | None = None
    called_number: str | None = None
    sub_address: str | None = None
    physical_channel_id: int | None = None
    tx_speed: int = DEFAULT_SPEED_BPS
    rx_speed: int | None = None
    framing_type: int = SYNC_FRAMING
    proxy: tuple[tuple[str, bytes | int], ...] = field(default=(), repr=False)
    private_group_id: str | None = None
    sequencing_required: bool = False


class CallPhase(Enum):
    """The states of §7.4.1 (LAC) and §7.4.2 (LNS); idle calls do not exist."""

    WAIT_TUNNEL = "wait-tunnel"
    WAIT_REPLY = "wait-reply"
    OFFERED = "offered"  # between ICRQ and our answer; the RFC decides at once
    WAIT_CONNECT = "wait-connect"
    ESTABLISHED = "established"


_PROXY_FIELDS: Final = (
    "initial_received_lcp_confreq",
    "last_sent_lcp_confreq",
    "last_received_lcp_confreq",
    "proxy_authen_type",
    "proxy_authen_name",
    "proxy_authen_challenge",
    "proxy_authen_id",
    "proxy_authen_response",
)


class CallState:
    """One call. ``local_session_id`` is 0 while it is only offered, ``peer_session_id`` until it is told."""

    __slots__ = ("call", "local_session_id", "peer_session_id", "phase")

    def __init__(
        self, phase: CallPhase, call: CallInfo, *, local_session_id: int = 0, peer_session_id: int = 0
    ) -> None:
        self.phase = phase
        self.call = call
        self.local_session_id = local_session_id
        self.peer_session_id = peer_session_id

    def request(self) -> ICRQ:
        """Leave wait-tunnel with the LAC's ICRQ."""
        self.phase = CallPhase.WAIT_REPLY
        return _request(self.local_session_id, self.call)

    def accept(self, local_session_id: int) -> ICRP:
        """Answer an offered call with the LNS's ICRP."""
        self.local_session_id = local_session_id
        self.phase = CallPhase.WAIT_CONNECT
        return ICRP(assigned_session_id=local_session_id)

    def receive(self, message: SessionMessage) -> tuple[Action, ...]:
        """Take a message of this call, ICRQ and CDN excepted, which make and end calls."""
        match self.phase, message:
            case CallPhase.WAIT_REPLY, ICRP(assigned_session_id=0):
                return (_refuse(GeneralError.BAD_VALUE, "Assigned Session ID 0 in ICRP"),)
            case CallPhase.WAIT_REPLY, ICRP(assigned_session_id=peer_session_id):
                self.peer_session_id = peer_session_id
                self.phase = CallPhase.ESTABLISHED
                return Send(_connected(self.call)), Up()
            case CallPhase.WAIT_CONNECT, ICCN():
                self.call = _with_connection(self.call, message)
                self.phase = CallPhase.ESTABLISHED
                return (Up(),)
            case _, WEN(call_errors=errors):
                return (Remark(f"session {self.local_session_id}: the LAC reports {errors}"),)
            case _, SLI(accm=accm):
                return (Remark(f"session {self.local_session_id}: the LNS has set {accm}"),)
            case _:
                text = f"{type(message).__name__} in {self.phase.value}"
                return (_refuse(GeneralError.VENDOR_SPECIFIC, text),)


def offered_call(request: ICRQ) -> CallInfo:
    """Return what an ICRQ says."""
    return CallInfo(
        serial_number=request.call_serial_number,
        bearer_type=request.bearer_type,
        calling_number=_text(request.calling_number),
        called_number=_text(request.called_number),
        sub_address=_text(request.sub_address),
        physical_channel_id=request.physical_channel_id,
    )


def _request(local_session_id: int, call: CallInfo) -> ICRQ:
    return ICRQ(
        assigned_session_id=local_session_id,
        call_serial_number=call.serial_number,
        bearer_type=call.bearer_type,
        physical_channel_id=call.physical_channel_id,
        called_number=_octets(call.called_number),
        calling_number=_octets(call.calling_number),
        sub_address=_octets(call.sub_address),
    )


def _connected(call: CallInfo) -> ICCN:
    message = ICCN(
        tx_connect_speed=call.tx_speed,
        framing_type=call.framing_type,
        private_group_id=_octets(call.private_group_id),
        rx_connect_speed=call.rx_speed,
        sequencing_required=call.sequencing_required,
    )
    return replace(message, **dict(call.proxy)) if call.proxy else message  # type: ignore[arg-type]


def _with_connection(call: CallInfo, connected: ICCN) -> CallInfo:
    proxy = tuple((name, value) for name in _PROXY_FIELDS if (value := getattr(connected, name)) is not None)
    return replace(
        call,
        tx_speed=connected.tx_connect_speed,
        rx_speed=connected.rx_connect_speed,
        framing_type=connected.framing_type,
        proxy=proxy,
        private_group_id=_text(connected.private_group_id),
        sequencing_required=connected.sequencing_required,
    )


def _text(octets: bytes | None) -> str | None:
    return None if octets is None else readable(octets)


def _octets(text: str | None) -> bytes | None:
    return None if text is None else text.encode()


def _refuse(error: GeneralError, text: str) -> Refuse:
    return Refuse(Result(CallResult.GENERAL_ERROR, error, text))
