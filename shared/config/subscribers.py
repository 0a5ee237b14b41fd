"""The tables of the configuration that describe subscribers: profiles and users.

How PPP is run has its defaults in `shared.ppp.policy`, where the machines that obey them live.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, SecretStr, model_validator

from shared.config.values import (
    Count,
    CountOrUnlimited,
    Name,
    PacketOctets,
    RoutedPrefix,
    Seconds,
    SecondsOrNever,
    Section,
    Servers,
)
from shared.ppp.policy import Authorization, IPv4Service, LinkPolicy

_LINK: Final = LinkPolicy()
_GRANT: Final = Authorization(username="")
_IPV4: Final = IPv4Service(local_address="", peer_address="")


def _served(service: str) -> str:
    if service != "routed":
        raise ValueError(f'{service!r} is not served by this version, only "routed" is')
    return service


def _offered_once(protocols: tuple[str, ...]) -> tuple[str, ...]:
    if not protocols:
        raise ValueError("offers no protocol")
    if len(set(protocols)) != len(protocols):
        raise ValueError("offers a protocol twice")
    return protocols


def _hash(secret: SecretStr) -> SecretStr:
    value = secret.get_secret_value()
    if len(value) != 32 or set(value) - set("0123456789abcdefABCDEF"):
        raise ValueError("must be 32 hexadecimal digits")
    return secret


_Protocol = Literal["mschapv2", "chap", "pap"]


class Profile(Section):
    """How sessions of one kind are run.

    Everything up to authentication follows the profile of the ``[[peer]]`` they come through, since the
    subscriber is not known before; everything after it (marked *) follows the user's profile.
    """

    service: Annotated[str, AfterValidator(_served)] = "routed"
    authentication: Annotated[tuple[_Protocol, ...], AfterValidator(_offered_once)] = (
        "mschapv2",
        "chap",
        "pap",
    )
    mru_octets: PacketOctets = _LINK.mru_octets
    acfc: bool = _LINK.send_acfc
    pfc: bool = _LINK.send_pfc
    echo_interval_s: SecondsOrNever = _LINK.echo_interval_s
    echo_failures: Count = _LINK.echo_failures
    rechallenge_interval_s: SecondsOrNever = _LINK.rechallenge_interval_s
    restart_interval_s: Seconds = _LINK.restart_interval_s
    max_configure: Count = _LINK.max_configure
    max_terminate: Count = _LINK.max_terminate
    max_failure: Count = _LINK.max_failure
    establish_timeout_s: Seconds = _LINK.establish_timeout_s
    authenticate_timeout_s: Seconds = _LINK.authenticate_timeout_s
    network_timeout_s: Seconds = _LINK.network_timeout_s
    pool: str | None = None  # * for users without an address of their own
    gateway: IPv4Address | None = None  # * our end of links whose address is in no pool
    dns: Servers = ()  # *
    nbns: Servers = ()  # *
    ipv6: bool = _GRANT.ipv6  # * link-local reachability
    honour_requested_address: bool = _IPV4.honour_wish  # * a free one of the pool
    mtu_octets: PacketOctets = _GRANT.mtu_octets  # *
    mss_clamp: bool = _GRANT.mss_clamp  # *
    session_timeout_s: SecondsOrNever = _GRANT.session_timeout_s  # *
    idle_timeout_s: SecondsOrNever = _GRANT.idle_timeout_s  # *


class User(Section):
    """A subscriber, or all whose names match a pattern such as ``sub-*``; an exact name comes first."""

    name: Name
    password: SecretStr | None = None
    password_file: Path | None = None
    nt_hash: Annotated[SecretStr, AfterValidator(_hash)] | None = None  # serves PAP and MS-CHAPv2, not CHAP
    address: IPv4Address | None = None
    profile: str | None = None  # default: that of the peer the session comes through
    max_sessions: CountOrUnlimited = 0  # of one name at a time
    when_full: Literal["refuse", "replace"] = "refuse"  # the newcomer, or the oldest session
    routes: tuple[RoutedPrefix, ...] = ()  # prefixes behind the subscriber

    @property
    def is_pattern(self) -> bool:
        """Whether the name stands for many."""
        return "*" in self.name

    @model_validator(mode="after")
    def _one_credential(self) -> User:
        if (self.password is None) == (self.nt_hash is None):
            raise ValueError("needs exactly one of password, password_file and nt_hash")
        if self.is_pattern and (self.address is not None or self.routes):
            raise ValueError(f"the pattern {self.name!r} stands for many users: no address or routes of one")
        return self
