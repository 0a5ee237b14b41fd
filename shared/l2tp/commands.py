"""What a control connection asks its owner to do, in order: events precede the octets that confirm them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from shared.addresses import Address
from shared.l2tp.results import DisconnectCause, Result
from shared.l2tp.session import CallInfo


@dataclass(frozen=True, slots=True)
class Transmit:
    """Send ``datagram`` to ``to``."""

    datagram: bytes
    to: Address


@dataclass(frozen=True, slots=True)
class TunnelUp:
    """The control connection is established."""


@dataclass(frozen=True, slots=True)
class TunnelDown:
    """The tunnel is over, established or not; once, after a `SessionDown` for each of its sessions."""

    result: Result
    reason: str
    by_peer: bool


@dataclass(frozen=True, slots=True)
class CallOffered:
    """A LAC asks for a session: answer with `accept_call` or `reject_call`."""

    peer_session_id: int
    call: CallInfo


@dataclass(frozen=True, slots=True)
class SessionUp:
    """The session is established: PPP may begin."""

    local_session_id: int
    peer_session_id: int
    call: CallInfo


@dataclass(frozen=True, slots=True)
class SessionDown:
    """The session is over, established or not, whoever ended it; once for each local session ID."""

    local_session_id: int
    result: Result
    reason: str
    by_peer: bool
    cause: DisconnectCause | None = None


@dataclass(frozen=True, slots=True)
class PeerMoved:
    """The peer has proven that it now is at ``to``: send there from now on, data as well."""

    to: Address


@dataclass(frozen=True, slots=True)
class Released:
    """Nothing is sent or acknowledged any more: forget this connection, its IDs may be used again."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something that is worth a log line and has no other consequence."""

    text: str


Command: TypeAlias = (
    Transmit | TunnelUp | TunnelDown | CallOffered | SessionUp | SessionDown | PeerMoved | Released | Note
)
