"""The control messages of RFC 2661 §6, one frozen dataclass each, to and from the octets of their AVPs.

A field without a default is an AVP that must be present (§6.1 to §6.14); the fields' order is the order
in which we send them. Names and numbers are octets as the peer wrote them.
"""

from __future__ import annotations

import struct
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, Final, TypeAlias

from shared.errors import BadLength, ProtocolError
from shared.l2tp.attributes import (
    ACCM,
    BY_FIELD,
    BY_NUMBER,
    MESSAGE_TYPE,
    RANDOM_VECTOR,
    Attribute,
    CallErrors,
)
from shared.l2tp.avp import AVP, HIDDEN, MANDATORY, RESERVED, decode_avps
from shared.l2tp.hiding import Hider, unhide
from shared.l2tp.results import DisconnectCause, GeneralError, Q931Cause, Result

PROTOCOL_VERSION: Final = 0x0100  # version 1, revision 0
_U16: Final = struct.Struct("!H")


@dataclass(frozen=True, slots=True, kw_only=True)
class SCCRQ:
    """Start-Control-Connection-Request."""

    TYPE: ClassVar[int] = 1
    protocol_version: int
    framing_capabilities: int
    bearer_capabilities: int | None = None
    tie_breaker: bytes | None = None
    firmware_revision: int | None = None
    host_name: bytes
    vendor_name: bytes | None = None
    assigned_tunnel_id: int
    receive_window_size: int | None = None
    challenge: bytes | None = None
    unknown: tuple[AVP, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SCCRP:
    """Start-Control-Connection-Reply."""

    TYPE: ClassVar[int] = 2
    protocol_version: int
    framing_capabilities: int
    bearer_capabilities: int | None = None
    firmware_revision: int | None = None
    host_name: bytes
    vendor_name: bytes | None = None
    assigned_tunnel_id: int
    receive_window_size: int | None = None
    challenge: bytes | None = None
    challenge_response: bytes | None = None
    unknown: tuple[AVP, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SCCCN:
    """Start-Control-Connection-Connected."""

    TYPE: ClassVar[int] = 3
    challenge_response: bytes | None = None
    unknown: tuple[AVP, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StopCCN:
    """Stop-Control-Connection-Notification."""

    TYPE: ClassVar[int] = 4
    assigned_tunnel_id: int
    result: Result
    unknown: tuple[AVP, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HELLO:
    """Hello, the keepalive."""

    TYPE: ClassVar[int] = 6
    unknown: tuple[AVP, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OCRQ:
    """Outgoing-Call-Request."""

    TYPE: ClassVar[int] = 7
    assigned_session_id: int
    call_serial_number: int
    minimum_bps: int
    maximum_bps: int
    bearer_type: int
    framing_type: int
    called_number: bytes
    calling_number: bytes | None = None  # not in §6.9, but freeRtr sends it
    sub_address: bytes | None = None
    unknown: tuple[AVP, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OCRP:
    """Outgoing-Call-Reply."""

    TYPE: ClassVar[int] = 8
    assigned_session_id: int
    physical_channel_id: int | None = None
    unknown: tuple[AVP, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OCCN:
    """Outgoing-Call-Connected."""

    TYPE: ClassVar[int] = 9
    tx_connect_speed: int
    framing_type: int
    rx_connect_speed: int | None = None
    sequencing_required: bool = False
    unknown: tuple[AVP, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ICRQ:
    """Incoming-Call-Request."""

    TYPE: ClassVar[int] = 10
    assigned_session_id: int
    call_serial_number: int
    bearer_type: int | None = None
    physical_channel_id: int | None = None
    called_number: bytes | None = None
    calling_number: bytes | None = None
    sub_address: bytes | None = None
    unknown: tuple[AVP, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ICRP:
    """Incoming-Call-Reply."""

    TYPE: ClassVar[int] = 11
    assigned_session_id: int
    unknown: tuple[AVP, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ICCN:
    """Incoming-Call-Connected."""

    TYPE: ClassVar[int] = 12
    tx_connect_speed: int
    framing_type: int
    initial_received_lcp_confreq: bytes | None = None
    last_sent_lcp_confreq: bytes | None = None
    last_received_lcp_confreq: bytes | None = None
    proxy_authen_type: int | None = None
    proxy_authen_name: bytes | None = None
    proxy_authen_challenge: bytes | None = field(default=None, repr=False)
    proxy_authen_id: int | None = None
    proxy_authen_response: bytes | None = field(default=None, repr=False)
    private_group_id: bytes | None = None
    rx_connect_speed: int | None = None
    sequencing_required: bool = False
    unknown: tuple[AVP, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CDN:
    """Call-Disconnect-Notify."""

    TYPE: ClassVar[int] = 14
    result: Result
    assigned_session_id: int
    q931_cause: Q931Cause | None = None
    disconnect_cause: DisconnectCause | None = None
    unknown: tuple[AVP, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WEN:
    """WAN-Error-Notify."""

    TYPE: ClassVar[int] = 15
    call_errors: CallErrors
    unknown: tuple[AVP, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SLI:
    """Set-Link-Info."""

    TYPE: ClassVar[int] = 16
    accm: ACCM
    unknown: tuple[AVP, ...] = ()


@dataclass(frozen=True, slots=True)
class UnknownMessage:
    """A message of a type that RFC 2661 does not have; its Message Type AVP has no M bit: ignore it."""

    message_type: int
    unknown: tuple[AVP, ...] = ()


SessionMessage: TypeAlias = OCRQ | OCRP | OCCN | ICRQ | ICRP | ICCN | CDN | WEN | SLI
Message: TypeAlias = SCCRQ | SCCRP | SCCCN | StopCCN | HELLO | SessionMessage
_CLASSES: Final[tuple[type[Message], ...]] = (
    *(SCCRQ, SCCRP, SCCCN, StopCCN, HELLO),
    *(OCRQ, OCRP, OCCN, ICRQ, ICRP, ICCN, CDN, WEN, SLI),
)
SESSION_TYPES: Final = frozenset(range(7, 17))


class BadMessage(ProtocolError):
    """A message that ends its session or its tunnel (RFC 2661 §4.1, §7.1).

    ``error`` is the Error Code to answer with; ``message_type`` is None where not even that can be read.
    """

    def __init__(self, text: str, error: int, scan: _Scan) -> None:
        super().__init__(text)
        self.error = error
        self.message_type = scan.message_type
        self._values = scan.values

    @property
    def assigned_session_id(self) -> int:
        """The peer's session ID, 0 where the message does not say it."""
        return int(self._values.get("assigned_session_id", 0))

    @property
    def assigned_tunnel_id(self) -> int:
        """The peer's tunnel ID, 0 where the message does not say it."""
        return int(self._values.get("assigned_tunnel_id", 0))

    @property
    def ends_session(self) -> bool:
        """Whether it stood in a session's message, so that it does not end the tunnel."""
        return self.message_type in SESSION_TYPES


@dataclass(slots=True)
class _Scan:
    """What the AVPs of one message say, and the first thing that is wrong with them."""

    message_type: int | None = None
    values: dict[str, Any] = field(default_factory=dict)
    unknown: list[AVP] = field(default_factory=list)
    problem: BadMessage | None = None

    def blame(self, text: str, error: int) -> None:
        if self.problem is None:
            self.problem = BadMessage(text, error, self)


_REQUIRED: Final[dict[int, tuple[str, ...]]] = {
    kind.TYPE: tuple(item.name for item in fields(kind) if item.default is MISSING) for kind in _CLASSES
}
_LAYOUT: Final[dict[int, tuple[tuple[str, Attribute], ...]]] = {
    kind.TYPE: tuple((item.name, BY_FIELD[item.name]) for item in fields(kind) if item.name != "unknown")
    for kind in _CLASSES
}
_ROWS: Final = {number: {row.number: row for _, row in layout} for number, layout in _LAYOUT.items()}
_BY_TYPE: Final = {kind.TYPE: kind for kind in _CLASSES}
_STAND_INS: Final[dict[int, dict[str, Any]]] = {
    SCCRQ.TYPE: {"protocol_version": 0, "framing_capabilities": 0, "host_name": b""},
    StopCCN.TYPE: {"result": Result(0)},
}
_TYPE_OCTETS: Final = {kind.TYPE: AVP(MESSAGE_TYPE, _U16.pack(kind.TYPE)).encode() for kind in _CLASSES}


def encode_message(message: Message, hider: Hider | None = None) -> bytes:
    """Return the AVPs of ``message``; ``hider`` hides those that may be, after its Random Vector."""
    parts = [_TYPE_OCTETS[message.TYPE]]
    if hider is not None:
        parts.append(AVP(RANDOM_VECTOR, hider.random_vector).encode())
    for name, attribute in _LAYOUT[message.TYPE]:
        value = getattr(message, name)
        if value is not None and value is not False:
            parts.append(attribute.encode(value, hider))
    parts.extend(avp.encode() for avp in message.unknown)
    return b"".join(parts)


def decode_message(body: memoryview, secret: bytes | None = None) -> Message | UnknownMessage:
    """Return the message whose AVPs are ``body``, which is not empty (that is a ZLB).

    AVPs that we do not know, and malformed ones without the M bit, are kept in ``unknown``. Raises
    `BadMessage` where the peer must be told with StopCCN or CDN.
    """
    scan = _scan(body, secret)
    if scan.problem is not None:
        raise scan.problem
    assert scan.message_type is not None
    kind = _BY_TYPE.get(scan.message_type)
    if kind is None:
        return UnknownMessage(scan.message_type, tuple(scan.unknown))
    return kind(**scan.values, unknown=tuple(scan.unknown))


def decode_leniently(body: memoryview, secret: bytes | None = None) -> Message | None:
    """Return the message as far as it can be read, None where a required AVP is missing or unreadable.

    For finding out whose message it is, before anything else is decided: of SCCRQ and StopCCN only the
    Assigned Tunnel ID is required, and what else is missing is zero or empty.
    """
    scan = _scan(body, secret)
    kind = _BY_TYPE.get(scan.message_type or 0)
    if kind is None:
        return None
    values = _STAND_INS.get(kind.TYPE, {}) | scan.values
    if any(name not in values for name in _REQUIRED[kind.TYPE]):
        return None
    return kind(**values, unknown=tuple(scan.unknown))


def _scan(body: memoryview, secret: bytes | None) -> _Scan:
    scan = _Scan()
    avps = decode_avps(body)
    random_vector: bytes | None = None
    try:
        first = next(avps, None)
        if first is None:
            scan.blame("a message without AVPs", GeneralError.BAD_VALUE)
        if first is None or not _start(scan, first):
            return scan
        rows = _ROWS.get(scan.message_type or 0, {})
        for avp in avps:
            row = rows.get(avp.attribute)
            if row is None or avp.vendor or avp.flags & RESERVED or row.field in scan.values:
                if avp.attribute == RANDOM_VECTOR and not avp.vendor and not avp.flags & RESERVED:
                    random_vector = avp.value
                else:
                    _set_aside(scan, avp)
            else:
                _take(scan, row, avp, secret, random_vector)
    except BadLength as error:
        scan.blame(str(error), GeneralError.BAD_LENGTH)
    _check_complete(scan)
    return scan


def _start(scan: _Scan, avp: AVP) -> bool:
    """Take the first AVP, which must be the Message Type (§4.4.1); False where it makes no message."""
    strange = avp.attribute != MESSAGE_TYPE or avp.vendor or avp.flags & (HIDDEN | RESERVED)
    if strange or len(avp.value) != _U16.size:
        scan.blame("the first AVP is not a Message Type", GeneralError.BAD_VALUE)
        return False
    (message_type,) = _U16.unpack(avp.value)
    if message_type not in _BY_TYPE and avp.mandatory:
        scan.blame(f"unknown mandatory message type {message_type}", GeneralError.UNKNOWN_MANDATORY_AVP)
        return False
    scan.message_type = message_type
    return True


def _set_aside(scan: _Scan, avp: AVP) -> None:
    """Keep an AVP that is unknown, means nothing in this message or repeats one: the first of two counts."""
    scan.unknown.append(avp)
    known = avp.attribute in BY_NUMBER and not avp.vendor and not avp.flags & RESERVED
    ignored = scan.message_type not in _BY_TYPE  # the message as a whole (§4.4.1)
    if avp.mandatory and not known and not ignored:
        text = f"unknown mandatory AVP {avp.attribute} of vendor {avp.vendor}"
        scan.blame(text, GeneralError.UNKNOWN_MANDATORY_AVP)


def _take(scan: _Scan, row: Attribute, avp: AVP, secret: bytes | None, random_vector: bytes | None) -> None:
    """Read the value of an AVP that belongs to this message."""
    try:
        value = _reveal(avp, secret, random_vector) if avp.flags & HIDDEN else avp.value
        scan.values[row.field] = row.kind.decode(value)
    except ProtocolError as error:
        scan.unknown.append(avp)
        if avp.flags & MANDATORY:
            code = GeneralError.BAD_LENGTH if isinstance(error, BadLength) else GeneralError.BAD_VALUE
            scan.blame(f"{row.name} AVP: {error}", code)


def _reveal(avp: AVP, secret: bytes | None, random_vector: bytes | None) -> bytes:
    if secret is None:
        raise ProtocolError("it is hidden, and this tunnel has no secret")
    return unhide(avp.attribute, avp.value, secret, random_vector)


def _check_complete(scan: _Scan) -> None:
    for name in _REQUIRED.get(scan.message_type or 0, ()):
        if name not in scan.values:
            scan.blame(f"{BY_FIELD[name].name} AVP is missing", GeneralError.BAD_VALUE)
