"""What decides how one PPP link runs: the settings before authentication, the grant after it, the end.

These values travel between controller and worker (`shared.ipc`); the machines of this package obey them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class LinkEnd(IntEnum):
    """Why a PPP link is down, as far as the worker can tell."""

    PEER_TERMINATED = 1
    ADMINISTRATIVE = 2
    AUTHENTICATION_FAILED = 3
    NO_COMMON_AUTHENTICATION = 4
    LCP_TIMEOUT = 5
    AUTHENTICATION_TIMEOUT = 6
    NETWORK_TIMEOUT = 7
    NEGOTIATION_FAILED = 8
    ECHO_LOST = 9
    SESSION_TIMEOUT = 10
    IDLE_TIMEOUT = 11
    LOOPED_BACK = 12
    NO_ADDRESS = 13
    NO_NETWORK_PROTOCOL = 14


@dataclass(frozen=True, slots=True)
class LinkPolicy:
    """How to run LCP and authentication on one link, before it is known who dials in."""

    mru_octets: int = 1462
    authentication: tuple[str, ...] = ("mschapv2", "chap", "pap")  # offered in this order
    local_name: str = "culvert"  # our name in CHAP challenges
    send_acfc: bool = False  # compress what we send, where the peer agreed; and offer to receive it
    send_pfc: bool = False
    restart_interval_s: float = 3.0  # these four: RFC 1661 §4.6
    max_configure: int = 10
    max_terminate: int = 2
    max_failure: int = 5
    establish_timeout_s: float = 30.0
    authenticate_timeout_s: float = 30.0
    network_timeout_s: float = 30.0
    echo_interval_s: float = 30.0  # 0: no echo
    echo_failures: int = 3
    rechallenge_interval_s: float = 0.0  # 0: CHAP once


@dataclass(frozen=True, slots=True)
class IPv4Service:
    """What IPCP may agree to. Addresses are dotted quads."""

    local_address: str
    peer_address: str
    dns: tuple[str, ...] = ()
    nbns: tuple[str, ...] = ()
    honour_wish: bool = False  # ask the controller (`AddressWish`) before refusing the peer's own choice


@dataclass(frozen=True, slots=True)
class Authorization:
    """What an authenticated subscriber gets."""

    username: str
    ipv4: IPv4Service | None = None
    ipv6: bool = False  # IPV6CP, link-local reachability
    routes: tuple[str, ...] = ()  # prefixes behind the subscriber, both families
    mtu_octets: int = 1462  # upper bound for IP packets to the subscriber
    mss_clamp: bool = True
    session_timeout_s: float = 0.0  # 0: none
    idle_timeout_s: float = 0.0
