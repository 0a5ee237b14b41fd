"""What an AVP says in words. Numbers, names and types stand in `shared.l2tp.attributes`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from shared.errors import ProtocolError
from shared.l2tp.attributes import BY_NUMBER
from shared.l2tp.avp import AVP
from shared.l2tp.results import DisconnectCause, Q931Cause, Result, ResultKind, readable

# RFC 2661 §3.2
_NAMES: Final = (
    *("", "SCCRQ", "SCCRP", "SCCCN", "StopCCN", "", "HELLO", "OCRQ", "OCRP"),
    *("OCCN", "ICRQ", "ICRP", "ICCN", "", "CDN", "WEN", "SLI"),
)
_MESSAGES: Final = {number: name for number, name in enumerate(_NAMES) if name}
_MASKED: Final = {"proxy_authen_challenge", "proxy_authen_response"}
_AUTHENTICATION_TYPES: Final = {1: "text", 2: "CHAP", 3: "PAP", 4: "none", 5: "MS-CHAPv1"}

# What an impatient reader wants of a message, in its one-line form.
_BRIEF: Final = {
    "host_name": "host {}",
    "assigned_tunnel_id": "my tunnel ID {}",
    "assigned_session_id": "my session ID {}",
    "calling_number": "calling {}",
    "challenge": "challenge",
    "challenge_response": "challenge response",
    "result": "{}",
    "disconnect_cause": "{}",
    "proxy_authen_response": "proxy response ***",
    "proxy_authen_challenge": "proxy challenge ***",
}


def message_name(value: bytes) -> str:
    """Return the name of the message whose Message Type AVP has ``value``."""
    number = int.from_bytes(value, "big")
    return _MESSAGES.get(number, f"message type {number}")


def describe_avp(avp: AVP, message: str) -> tuple[str, str]:
    """Return what ``avp`` says in full, and for the summary in brief (or nothing)."""
    row = None if avp.vendor else BY_NUMBER.get(avp.attribute)
    mark = "M" if avp.mandatory else "-"
    if row is None:
        vendor = f" of vendor {avp.vendor}" if avp.vendor else ""
        return f"AVP {avp.attribute}{vendor} [{mark}]: unknown to us", ""
    head = f"{row.name} [{mark}{'H' if avp.hidden else ''}]"
    brief = _BRIEF.get(row.field, "")
    if row.field in _MASKED:
        return f"{head}:", brief
    if avp.hidden:
        return f"{head}: hidden with the tunnel's secret", ""
    try:
        said = _text(row.field, row.kind.decode(avp.value), message)
    except ProtocolError as error:
        return f"{head}: malformed: {error}", f"malformed {row.name}"
    return f"{head}: {said}" if said else head, brief.format(said)


def _text(field: str, value: Any, message: str) -> str:
    if field in _FORMATS:
        return _FORMATS[field](value)
    match value:
        case Result():
            return value.text(ResultKind.CDN if message == "CDN" else ResultKind.STOPCCN)
        case DisconnectCause():
            return value.text()
        case Q931Cause():
            return f"cause {value.cause}, message {value.message}"
        case bytes():
            return value.hex()
    return "" if value is True else str(value)


def _framing(value: int) -> str:
    return _bits(value, ((1, "synchronous"), (2, "asynchronous")))


def _bearer(value: int) -> str:
    return _bits(value, ((1, "digital"), (2, "analogue")))


def _bits(value: int, names: tuple[tuple[int, str], ...]) -> str:
    return ", ".join(name for bit, name in names if value & bit) or "none"


_FORMATS: Final[dict[str, Callable[[Any], str]]] = {
    "message_type": lambda value: f"{value}, {_MESSAGES.get(value, 'unknown')}",
    "protocol_version": lambda value: f"{value >> 8}.{value & 0xFF}",
    "framing_capabilities": _framing,
    "framing_type": _framing,
    "bearer_capabilities": _bearer,
    "bearer_type": _bearer,
    "receive_window_size": lambda value: f"{value} messages",
    "tx_connect_speed": lambda value: f"{value} bit/s",
    "rx_connect_speed": lambda value: f"{value} bit/s",
    "minimum_bps": lambda value: f"{value} bit/s",
    "maximum_bps": lambda value: f"{value} bit/s",
    "proxy_authen_type": lambda value: _AUTHENTICATION_TYPES.get(value, str(value)),
    "host_name": readable,
    "vendor_name": readable,
    "called_number": readable,
    "calling_number": readable,
    "sub_address": readable,
    "private_group_id": readable,
    "proxy_authen_name": readable,
}
