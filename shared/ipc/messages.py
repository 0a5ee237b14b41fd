"""The messages between the controller and its workers, one dataclass each.

The relation is level-triggered: the controller holds the desired set of sessions, a worker that
(re)connects says what it has, and the controller sends the difference. Every message may be lost or
repeated without lasting harm; a heartbeat (`Counters`) carries a digest by which a difference is seen.

All tunnel and session IDs are the local ones, chosen by our controller, unless the name says ``peer``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from shared.addresses import Address
from shared.ppp.policy import Authorization, LinkEnd, LinkPolicy


@dataclass(frozen=True, slots=True)
class SessionAssigned:
    """Controller to worker: ICCN has arrived, run PPP and forward."""

    KIND: ClassVar[int] = 1
    tunnel_id: int
    session_id: int
    peer_tunnel_id: int
    peer_session_id: int
    listen: int  # index of the listen address, so of the worker's UDP socket
    peer: Address
    local_address: str | None  # the address the peer dialled, where the socket listens on all
    sequencing: bool  # AVP 39 asked for sequence numbers on data messages
    policy: LinkPolicy
    authorization: Authorization | None = None  # given again to a successor of the worker


@dataclass(frozen=True, slots=True)
class SessionClosed:
    """Controller to worker: this session is over.

    ``orderly`` asks for an LCP Terminate-Request first, answered by `LinkDown`; otherwise the session is
    dropped without a word, since the peer's CDN or StopCCN has ended it.
    """

    KIND: ClassVar[int] = 2
    tunnel_id: int
    session_id: int
    orderly: bool
    reason: str


@dataclass(frozen=True, slots=True)
class AuthDecision:
    """Controller to worker: the answer to the `AuthRequest` with the same ``request_id``."""

    KIND: ClassVar[int] = 3
    tunnel_id: int
    session_id: int
    request_id: int
    accepted: bool
    message: str  # to the peer: PAP's or CHAP's message, MS-CHAPv2's "S=..." or "E=691 ..."
    reason: str  # to the log: why it was refused
    authorization: Authorization | None


@dataclass(frozen=True, slots=True)
class AddressDecision:
    """Controller to worker: the answer to `AddressWish`; ``address`` is what the peer gets."""

    KIND: ClassVar[int] = 4
    tunnel_id: int
    session_id: int
    address: str


@dataclass(frozen=True, slots=True)
class PeerConfirmed:
    """Controller to worker: the tunnel's peer has proven that it is at ``peer`` now."""

    KIND: ClassVar[int] = 5
    tunnel_id: int
    peer: Address


@dataclass(frozen=True, slots=True)
class Welcome:
    """Controller to worker, in answer to `Hello`: the reconcile that follows is for this ``epoch``."""

    KIND: ClassVar[int] = 6
    epoch: int


@dataclass(frozen=True, slots=True)
class HelloWanted:
    """Controller to worker: say `Hello`, we do not know what you have."""

    KIND: ClassVar[int] = 7
    epoch: int


@dataclass(frozen=True, slots=True)
class Hello:
    """Worker to controller: which worker, and the (tunnel, session) IDs that it runs."""

    KIND: ClassVar[int] = 33
    index: int
    pid: int
    datapath: str  # "reference" or "compiled"
    offloads: tuple[str, ...]
    sessions: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class AuthRequest:
    """Worker to controller: a subscriber presents credentials.

    ``protocol`` is "pap", "chap" or "mschapv2". For PAP ``response`` is the password. Otherwise it is
    the Value of the CHAP Response and ``challenge`` the Value of our Challenge (RFC 1994 §4.1).
    """

    KIND: ClassVar[int] = 34
    tunnel_id: int
    session_id: int
    request_id: int
    protocol: str
    username: str
    identifier: int
    challenge: bytes = field(repr=False)
    response: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class AddressWish:
    """Worker to controller: in IPCP the peer asks for an address other than its own assigned one."""

    KIND: ClassVar[int] = 35
    tunnel_id: int
    session_id: int
    address: str


@dataclass(frozen=True, slots=True)
class LinkUp:
    """Worker to controller: a network protocol is open and forwarding has begun; repeated on change."""

    KIND: ClassVar[int] = 36
    tunnel_id: int
    session_id: int
    ipv4: str | None
    interface_id: int | None  # the peer's, once IPV6CP is open
    mtu_octets: int


@dataclass(frozen=True, slots=True)
class LinkDown:
    """Worker to controller: PPP is over. The controller sends CDN and frees what the session held.

    ``ppp_code``, ``ppp_protocol``, ``ppp_direction`` and ``ppp_message`` are for RFC 3145's AVP.
    """

    KIND: ClassVar[int] = 37
    tunnel_id: int
    session_id: int
    end: LinkEnd
    reason: str
    ppp_code: int = 0
    ppp_protocol: int = 0
    ppp_direction: int = 0
    ppp_message: str = ""


@dataclass(frozen=True, slots=True)
class SessionCounters:
    """Totals of one session since it was assigned; rx is from the subscriber, octets are PPP payload."""

    tunnel_id: int
    session_id: int
    rx_packets: int
    rx_octets: int
    tx_packets: int
    tx_octets: int


@dataclass(frozen=True, slots=True)
class Counters:
    """Worker to controller, once a second: heartbeat, totals by name, and sessions that have changed.

    ``digest`` is `session_digest` of what the worker runs.
    """

    KIND: ClassVar[int] = 38
    epoch: int
    digest: int
    totals: tuple[tuple[str, int], ...]
    sessions: tuple[SessionCounters, ...]


@dataclass(frozen=True, slots=True)
class PeerMoved:
    """Worker to controller: data for this tunnel arrive from ``source``, which is not its peer."""

    KIND: ClassVar[int] = 39
    tunnel_id: int
    source: Address


@dataclass(frozen=True, slots=True)
class Identified:
    """Worker to controller: the peer's LCP Identification (RFC 1570 §2.1), for the log."""

    KIND: ClassVar[int] = 40
    tunnel_id: int
    session_id: int
    text: str


FromController = (
    SessionAssigned | SessionClosed | AuthDecision | AddressDecision | PeerConfirmed | Welcome | HelloWanted
)
FromWorker = Hello | AuthRequest | AddressWish | LinkUp | LinkDown | Counters | PeerMoved | Identified


def session_digest(sessions: set[tuple[int, int]] | dict[tuple[int, int], object]) -> int:
    """Return a 64-bit digest of a set of (tunnel, session) IDs, the same in every process and order."""
    digest = len(sessions)
    for tunnel_id, session_id in sessions:
        mixed = (tunnel_id << 16 | session_id) * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
        digest ^= mixed ^ mixed >> 29
    return digest
