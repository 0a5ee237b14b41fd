"""The tables that describe the concentrator itself.

Each default stands here and nowhere else; those of control connections stand in `shared.l2tp.settings`.
"""

from __future__ import annotations

import os
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, SecretStr

from shared.config.values import (
    AbsolutePath,
    BlockSize,
    Count,
    CountOrUnlimited,
    Host,
    HostAndPort,
    LogLevel,
    Name,
    Port,
    Prefix,
    Seconds,
    SecondsOrNever,
    Section,
    Window,
)
from shared.l2tp.settings import ConnectionSettings

_CONNECTION: Final = ConnectionSettings(hostname="")


class Listen(Section):
    """A UDP address that peers dial. One ``SO_REUSEPORT`` group of sockets serves it."""

    address: Host
    port: Port = 1701

    @property
    def wildcard(self) -> bool:
        """Whether the socket serves every address, so that replies must name the one that was dialled."""
        return self.address in {"0.0.0.0", "::"}


def default_listens() -> tuple[Listen, ...]:
    """Give what is listened on where no ``[[listen]]`` stands: every address of the machine.

    IPv6 is left out on a machine that has none, where opening its socket would fail.
    """
    every = (Listen(address="0.0.0.0"),)
    return (*every, Listen(address="::")) if Path("/proc/net/if_inet6").exists() else every


class Workers(Section):
    """How many processes move packets; one for each CPU that this process may use by default."""

    count: Annotated[int, Field(ge=1, le=128)] = Field(default_factory=lambda: len(os.sched_getaffinity(0)))


class Pool(Section):
    """Addresses for subscribers. ``gateway`` is our end of every PPP link."""

    name: Name
    prefix: IPv4Network
    gateway: IPv4Address
    block_addresses: BlockSize | None = None  # what a worker takes at a time; by default fits the pool


class L2TP(Section):
    """Control connections: what holds for every peer, and what ``[[peer]]`` may change for some."""

    hostname: Name = "culvert"  # Host Name AVP, and our name in CHAP challenges
    hello_interval_s: SecondsOrNever = _CONNECTION.hello_interval_s
    receive_window: Window = _CONNECTION.receive_window
    hide_avps: bool = _CONNECTION.hide_avps
    setup_timeout_s: Seconds = _CONNECTION.setup_timeout_s  # from SCCRQ to SCCCN, and from ICRQ to ICCN
    half_open_limit: Count = 4096  # tunnels without SCCCN, all peers together
    max_tunnels: Count = 0xEFFF
    max_sessions: CountOrUnlimited = 0
    max_sessions_per_tunnel: Annotated[int, Field(ge=1, le=0xFFFF)] = _CONNECTION.max_sessions
    sccrq_per_second: Seconds = 2000.0
    sccrq_burst: Count = 4000
    sccrq_per_source_per_second: Seconds = 500.0  # a source is an IPv4 address or an IPv6 /64
    sccrq_per_source_burst: Count = 2000


class Peer(Section):
    """What differs for peers in ``prefix``; the longest match holds. None: as ``[l2tp]`` says."""

    prefix: Prefix
    secret: SecretStr | None = None
    secret_file: Path | None = None
    hello_interval_s: SecondsOrNever | None = None
    receive_window: Window | None = None
    hide_avps: bool | None = None
    spread: bool = False  # shard each session by itself: for a LAC with thousands in one tunnel
    sequencing: bool = False  # number data messages even where the peer does not ask for it
    profile: str = "default"
    max_tunnels: CountOrUnlimited = 0  # of all peers in the prefix together
    max_sessions: CountOrUnlimited = 0


class Names(Section):
    """How the names that subscribers present lead to users."""

    strip_domain: bool = False  # Windows sends DOMAIN\alice: she is alice, where that name is no user's


class NAT(Section):
    """Whether subscribers leave the machine behind its own addresses."""

    masquerade: bool = False


class HTTP(Section):
    """Metrics, health and the read-only API; None, written ``""``: no listener."""

    address: HostAndPort = "127.0.0.1:9170"


class Paths(Section):
    """Folders of the service."""

    runtime: AbsolutePath = Path("/run/culvert")
    state: AbsolutePath = Path("/var/lib/culvert")


class Log(Section):
    """What is logged to standard error."""

    level: LogLevel = "INFO"
