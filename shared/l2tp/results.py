"""Why a tunnel or a session ended: Result Code (RFC 2661 §4.4.2), Q.931 and PPP causes (RFC 3145)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

from shared.errors import BadLength

_ONE: Final = struct.Struct("!H")
_TWO: Final = struct.Struct("!HH")
_Q931: Final = struct.Struct("!HB")
_CAUSE: Final = struct.Struct("!HHB")
_MESSAGE_OCTETS: Final = 255  # of ours; the peer's may fill the AVP


class ResultKind(StrEnum):
    """Which message carries the Result Code; the same number means different things."""

    STOPCCN = "StopCCN"
    CDN = "CDN"


class StopResult(IntEnum):
    """Result codes of StopCCN."""

    CLEAR = 1
    GENERAL_ERROR = 2
    ALREADY_EXISTS = 3
    NOT_AUTHORIZED = 4
    BAD_VERSION = 5
    SHUTTING_DOWN = 6
    FSM_ERROR = 7


class CallResult(IntEnum):
    """Result codes of CDN."""

    LOST_CARRIER = 1
    GENERAL_ERROR = 2
    ADMINISTRATIVE = 3
    NO_FACILITIES_NOW = 4
    NO_FACILITIES = 5
    INVALID_DESTINATION = 6
    NO_CARRIER = 7
    BUSY = 8
    NO_DIAL_TONE = 9
    TIMED_OUT = 10
    NO_FRAMING = 11


class GeneralError(IntEnum):
    """Error codes, which say more about a result of 2."""

    NONE = 0
    NO_CONTROL_CONNECTION = 1
    BAD_LENGTH = 2
    BAD_VALUE = 3
    NO_RESOURCES = 4
    BAD_SESSION_ID = 5
    VENDOR_SPECIFIC = 6
    TRY_ANOTHER = 7
    UNKNOWN_MANDATORY_AVP = 8


_STOP_TEXT: Final[dict[int, str]] = {
    StopResult.CLEAR: "general request to clear control connection",
    StopResult.GENERAL_ERROR: "general error",
    StopResult.ALREADY_EXISTS: "control channel already exists",
    StopResult.NOT_AUTHORIZED: "requester is not authorized to establish a control channel",
    StopResult.BAD_VERSION: "the protocol version of the requester is not supported",
    StopResult.SHUTTING_DOWN: "requester is being shut down",
    StopResult.FSM_ERROR: "finite state machine error",
}
_CALL_TEXT: Final[dict[int, str]] = {
    CallResult.LOST_CARRIER: "call disconnected due to loss of carrier",
    CallResult.GENERAL_ERROR: "general error",
    CallResult.ADMINISTRATIVE: "call disconnected for administrative reasons",
    CallResult.NO_FACILITIES_NOW: "appropriate facilities are lacking (temporary)",
    CallResult.NO_FACILITIES: "appropriate facilities are lacking (permanent)",
    CallResult.INVALID_DESTINATION: "invalid destination",
    CallResult.NO_CARRIER: "call failed due to no carrier detected",
    CallResult.BUSY: "call failed due to detection of a busy signal",
    CallResult.NO_DIAL_TONE: "call failed due to lack of a dial tone",
    CallResult.TIMED_OUT: "call was not established within the time allotted",
    CallResult.NO_FRAMING: "call was connected but no appropriate framing was detected",
}
_ERROR_TEXT: Final[dict[int, str]] = {
    GeneralError.NONE: "no general error",
    GeneralError.NO_CONTROL_CONNECTION: "no control connection exists yet for this pair of LAC and LNS",
    GeneralError.BAD_LENGTH: "length is wrong",
    GeneralError.BAD_VALUE: "a field value is out of range or a reserved field is not zero",
    GeneralError.NO_RESOURCES: "insufficient resources to handle this operation now",
    GeneralError.BAD_SESSION_ID: "the session ID is invalid in this context",
    GeneralError.VENDOR_SPECIFIC: "a vendor-specific error occurred",
    GeneralError.TRY_ANOTHER: "try another LNS",
    GeneralError.UNKNOWN_MANDATORY_AVP: "an unknown AVP had the M bit set",
    9: "try another LNS, which the message names",  # 9 to 12 were registered after RFC 2661
    10: "next hop is unreachable",
    11: "next hop is busy",
    12: "tunnel switching aggregator is busy",
}


@dataclass(frozen=True, slots=True)
class Result:
    """A Result Code AVP: result, error and a message for people, both of which may be missing on the wire."""

    code: int
    error: int = 0
    message: str = ""

    def text(self, kind: ResultKind) -> str:
        """Return the codes and the message in words, for a log line."""
        return ": ".join(part for part in (self._codes(kind), self.message) if part)

    def _codes(self, kind: ResultKind) -> str:
        if kind is ResultKind.STOPCCN:
            result = _STOP_TEXT.get(self.code, "unknown result")
        else:
            result = _CALL_TEXT.get(self.code, "unknown result")
        codes = f"result {self.code}, {result}"
        if not self.error:
            return codes
        if kind is ResultKind.STOPCCN and self.code == StopResult.BAD_VERSION:
            return f"{codes}; highest version supported is {self.error >> 8}.{self.error & 0xFF}"
        error = _ERROR_TEXT.get(self.error, "unknown error")
        return f"{codes}; error {self.error}, {error}"

    def encode(self) -> bytes:
        """Return the AVP's value, always with an error code: receivers exist that want one."""
        return _TWO.pack(self.code, self.error) + _cut(self.message)

    @staticmethod
    def decode(value: bytes) -> Result:
        """Read a Result Code of 2 octets or more; raises `BadLength` on fewer or on half an error code."""
        if len(value) == _ONE.size:
            return Result(_ONE.unpack(value)[0])
        if len(value) < _TWO.size:
            raise BadLength(f"a Result Code of {len(value)} octets")
        code, error = _TWO.unpack_from(value)
        return Result(code, error, readable(value[_TWO.size :]))


@dataclass(frozen=True, slots=True)
class Q931Cause:
    """A Q.931 Cause Code AVP (RFC 2661 §4.4.2), which only a switched call has."""

    cause: int
    message: int
    advisory: bytes = b""

    def encode(self) -> bytes:
        """Return the AVP's value."""
        return _Q931.pack(self.cause, self.message) + self.advisory

    @staticmethod
    def decode(value: bytes) -> Q931Cause:
        """Read an AVP's value; raises `BadLength` under three octets."""
        if len(value) < _Q931.size:
            raise BadLength(f"a Q.931 Cause Code of {len(value)} octets")
        cause, message = _Q931.unpack_from(value)
        return Q931Cause(cause, message, value[_Q931.size :])


class Direction(IntEnum):
    """Which side a PPP disconnect cause speaks of (RFC 3145 §2)."""

    GLOBAL = 0
    AT_PEER = 1
    AT_LOCAL = 2


_CAUSE_TEXT: Final = (  # RFC 3145 §3, by code
    "no information available",
    "administrative disconnect",
    "LCP renegotiation at the LNS is disabled and the LAC sent no proxy LCP information",
    "normal disconnection, LCP Terminate-Request sent",
    "compulsory encryption required by one PPP peer was refused by the other",
    "LCP: timeout (TO-)",
    "no recognizable LCP packets were received",
    "LCP: magic number error, link possibly looped back",
    "LCP: echo request timeout",
    "peer has an unexpected endpoint discriminator for an existing multilink bundle",
    "peer has an unexpected MRRU for an existing multilink bundle",
    "peer has an unexpected short sequence number option for an existing multilink bundle",
    "compulsory call-back required by one PPP peer was refused by the other",
    "authentication: timeout (TO-)",
    "peer has an unexpected authenticated name for an existing multilink bundle",
    "authentication protocol required by one PPP peer was rejected by the other",
    "authentication failed: bad name, password or secret",
    "NCP: timeout (TO-)",
    "no NCPs available",
    "NCP failed to converge on acceptable addresses",
    "user is not permitted to use any of the addresses available",
)


@dataclass(frozen=True, slots=True)
class DisconnectCause:
    """A PPP Disconnect Cause Code AVP (RFC 3145 §2): why PPP ended, in a CDN.

    ``protocol`` is the PPP protocol number of the control protocol concerned, 0 where there is none.
    """

    code: int
    protocol: int = 0
    direction: int = Direction.GLOBAL
    message: str = ""

    def text(self) -> str:
        """Return the cause in words, for a log line."""
        known = _CAUSE_TEXT[self.code] if self.code < len(_CAUSE_TEXT) else f"unknown cause {self.code}"
        where = f" (protocol {self.protocol:#06x})" if self.protocol else ""
        return known + where + (f": {self.message}" if self.message else "")

    def encode(self) -> bytes:
        """Return the AVP's value."""
        return _CAUSE.pack(self.code, self.protocol, self.direction) + _cut(self.message)

    @staticmethod
    def decode(value: bytes) -> DisconnectCause:
        """Read an AVP's value; raises `BadLength` under five octets."""
        if len(value) < _CAUSE.size:
            raise BadLength(f"a PPP Disconnect Cause Code of {len(value)} octets")
        code, protocol, direction = _CAUSE.unpack_from(value)
        return DisconnectCause(code, protocol, direction, readable(value[_CAUSE.size :]))


def readable(octets: bytes) -> str:
    """Return the peer's text as UTF-8 that is safe on one line of a log: nothing unprintable stays."""
    decoded = octets.decode("utf-8", "replace")
    if decoded.isprintable():
        return decoded
    return "".join(character if character.isprintable() else "?" for character in decoded)


def _cut(message: str) -> bytes:
    octets = message.encode("utf-8", "replace")
    return (
        octets
        if len(octets) <= _MESSAGE_OCTETS
        else octets[:_MESSAGE_OCTETS].decode("utf-8", "ignore").encode()
    )
