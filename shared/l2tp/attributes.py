"""The attributes of RFC 2661 §4.4 and RFC 3145, one row each: number, name, type, M bit, may it be hidden.

Where an attribute may stand is told by the fields of the message classes in `messages`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from shared.errors import BadLength, BadValue
from shared.l2tp.avp import HIDDEN, MANDATORY, MAX_VALUE_OCTETS, encode_avp
from shared.l2tp.hiding import Hider
from shared.l2tp.results import DisconnectCause, Q931Cause, Result

_U16: Final = struct.Struct("!H")
_U32: Final = struct.Struct("!I")
_ERRORS: Final = struct.Struct("!HIIIIII")
_ACCM: Final = struct.Struct("!HII")


@dataclass(frozen=True, slots=True)
class CallErrors:
    """A Call Errors AVP (§4.4.6): what a LAC's asynchronous interface has counted."""

    crc_errors: int
    framing_errors: int
    hardware_overruns: int
    buffer_overruns: int
    timeout_errors: int
    alignment_errors: int


@dataclass(frozen=True, slots=True)
class ACCM:
    """An ACCM AVP (§4.4.6): the asynchronous control character maps that the LNS negotiated."""

    send: int
    receive: int


@dataclass(frozen=True, slots=True)
class Kind:
    """How a value is read from and written to octets; ``decode`` raises `ProtocolError`."""

    decode: Callable[[bytes], Any]
    encode: Callable[[Any], bytes]


@dataclass(frozen=True, slots=True)
class Attribute:
    """One row of the table; ``field`` is the attribute's name in the message classes."""

    number: int
    name: str
    field: str
    kind: Kind
    mandatory: bool
    hideable: bool

    def encode(self, value: Any, hider: Hider | None) -> bytes:
        """Return the whole AVP, hidden where ``hider`` is given and the attribute may be."""
        octets = self.kind.encode(value)
        flags = MANDATORY if self.mandatory else 0
        if hider is not None and self.hideable and len(octets) + 2 <= MAX_VALUE_OCTETS:
            return encode_avp(self.number, hider.hide(self.number, octets), flags | HIDDEN)
        return encode_avp(self.number, octets, flags)


def _exactly(layout: struct.Struct, value: bytes) -> tuple[Any, ...]:
    if len(value) != layout.size:
        raise BadLength(f"{len(value)} octets where {layout.size} belong")
    return layout.unpack(value)


def _integer(layout: struct.Struct) -> Kind:
    octets = layout.size

    def decode(value: bytes) -> int:
        if len(value) != octets:
            raise BadLength(f"{len(value)} octets where {octets} belong")
        return int.from_bytes(value, "big")

    return Kind(decode, layout.pack)


def _octets(least: int, most: int = MAX_VALUE_OCTETS) -> Kind:
    def decode(value: bytes) -> bytes:
        if not least <= len(value) <= most:
            raise BadLength(f"{len(value)} octets where {least} to {most} belong")
        return value

    return Kind(decode, bytes)


def _decode_flag(value: bytes) -> bool:
    if value:
        raise BadLength(f"{len(value)} octets in an AVP that has no value")
    return True


def _decode_window(value: bytes) -> int:
    size: int = _exactly(_U16, value)[0]
    if size == 0:
        raise BadValue("a receive window of 0 messages")
    return size


U16: Final = _integer(_U16)
U32: Final = _integer(_U32)
TEXT: Final = _octets(0)
OCTETS: Final = _octets(1)
TIE: Final = _octets(8, 8)
DIGEST: Final = _octets(16, 16)
FLAG: Final = Kind(_decode_flag, lambda _: b"")
WINDOW: Final = Kind(_decode_window, _U16.pack)
RESULT: Final = Kind(Result.decode, Result.encode)
Q931: Final = Kind(Q931Cause.decode, Q931Cause.encode)
CAUSE: Final = Kind(DisconnectCause.decode, DisconnectCause.encode)
ERRORS: Final = Kind(
    lambda value: CallErrors(*_exactly(_ERRORS, value)[1:]),
    lambda errors: _ERRORS.pack(
        0,
        errors.crc_errors,
        errors.framing_errors,
        errors.hardware_overruns,
        errors.buffer_overruns,
        errors.timeout_errors,
        errors.alignment_errors,
    ),
)
MAPS: Final = Kind(
    lambda value: ACCM(*_exactly(_ACCM, value)[1:]), lambda accm: _ACCM.pack(0, accm.send, accm.receive)
)

MESSAGE_TYPE: Final = 0
RANDOM_VECTOR: Final = 36

M, _ = True, False  # the table's two marks: the M bit that we send, and whether the value may be hidden

TABLE: Final = (
    #                                                                          M  hide
    Attribute(0, "Message Type", "message_type", U16, M, _),
    Attribute(1, "Result Code", "result", RESULT, M, _),
    Attribute(2, "Protocol Version", "protocol_version", U16, M, _),
    Attribute(3, "Framing Capabilities", "framing_capabilities", U32, M, M),
    Attribute(4, "Bearer Capabilities", "bearer_capabilities", U32, M, M),
    Attribute(5, "Tie Breaker", "tie_breaker", TIE, _, _),
    Attribute(6, "Firmware Revision", "firmware_revision", U16, _, M),
    Attribute(7, "Host Name", "host_name", TEXT, M, _),  # §4.4.3 wants an octet; clients without a name exist
    Attribute(8, "Vendor Name", "vendor_name", TEXT, _, M),
    Attribute(9, "Assigned Tunnel ID", "assigned_tunnel_id", U16, M, M),
    Attribute(10, "Receive Window Size", "receive_window_size", WINDOW, M, _),
    Attribute(11, "Challenge", "challenge", OCTETS, M, M),
    Attribute(12, "Q.931 Cause Code", "q931_cause", Q931, M, _),
    Attribute(13, "Challenge Response", "challenge_response", DIGEST, M, M),
    Attribute(14, "Assigned Session ID", "assigned_session_id", U16, M, M),
    Attribute(15, "Call Serial Number", "call_serial_number", U32, M, M),
    Attribute(16, "Minimum BPS", "minimum_bps", U32, M, M),
    Attribute(17, "Maximum BPS", "maximum_bps", U32, M, M),
    Attribute(18, "Bearer Type", "bearer_type", U32, M, M),
    Attribute(19, "Framing Type", "framing_type", U32, M, M),
    Attribute(21, "Called Number", "called_number", TEXT, M, M),
    Attribute(22, "Calling Number", "calling_number", TEXT, M, M),
    Attribute(23, "Sub-Address", "sub_address", TEXT, M, M),
    Attribute(24, "Tx Connect Speed", "tx_connect_speed", U32, M, M),
    Attribute(25, "Physical Channel ID", "physical_channel_id", U32, _, M),
    Attribute(26, "Initial Received LCP CONFREQ", "initial_received_lcp_confreq", TEXT, _, M),
    Attribute(27, "Last Sent LCP CONFREQ", "last_sent_lcp_confreq", TEXT, _, M),
    Attribute(28, "Last Received LCP CONFREQ", "last_received_lcp_confreq", TEXT, _, M),
    Attribute(29, "Proxy Authen Type", "proxy_authen_type", U16, _, M),
    Attribute(30, "Proxy Authen Name", "proxy_authen_name", TEXT, _, M),
    Attribute(31, "Proxy Authen Challenge", "proxy_authen_challenge", TEXT, _, M),
    Attribute(32, "Proxy Authen ID", "proxy_authen_id", U16, _, M),
    Attribute(33, "Proxy Authen Response", "proxy_authen_response", TEXT, _, M),
    Attribute(34, "Call Errors", "call_errors", ERRORS, M, M),
    Attribute(35, "ACCM", "accm", MAPS, M, M),
    Attribute(36, "Random Vector", "random_vector", OCTETS, M, _),
    Attribute(37, "Private Group ID", "private_group_id", TEXT, _, M),
    Attribute(38, "Rx Connect Speed", "rx_connect_speed", U32, _, M),
    Attribute(39, "Sequencing Required", "sequencing_required", FLAG, M, _),
    Attribute(46, "PPP Disconnect Cause Code", "disconnect_cause", CAUSE, _, M),
)

BY_NUMBER: Final = {row.number: row for row in TABLE}
BY_FIELD: Final = {row.field: row for row in TABLE}
