"""What the emulator of subscribers is asked to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address

from client.echo import LARGEST_OCTETS, SMALLEST_OCTETS
from shared.errors import ConfigError

_MOST_TUNNELS_PER_PORT = 65535
_MOST_SESSIONS_PER_TUNNEL = 65535


@dataclass(frozen=True, slots=True)
class TrafficOptions:
    """Echo requests from every subscriber to ``target``, a host behind the concentrator, during the hold."""

    target: str
    packets_per_s: float = 1.0  # of each session
    size_octets: int = 100  # of the IPv4 packet
    allow_loss: float = 0.0  # the share of packets that may go missing


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How many subscribers, who they are, how fast they arrive and how long they stay."""

    lns: str
    port: int = 1701
    tunnels: int = 1
    sessions: int = 1  # of each tunnel
    user: str = "sub-%d"  # %d is the subscriber's number, from 0
    password: str = field(default="", repr=False)
    authentication: tuple[str, ...] = ("mschapv2", "chap", "pap")
    secret: bytes | None = field(default=None, repr=False)
    rate_per_s: float = 100.0
    hold_s: float = 10.0
    traffic: TrafficOptions | None = None
    ports: int = 1  # local UDP sockets, shared by the tunnels
    bind: str | None = None
    timeout_s: float = 30.0  # for one subscriber, from its arrival to an open network protocol
    hello_interval_s: float = 60.0
    echo_interval_s: float = 30.0  # LCP echo; 0: none

    @property
    def subscribers(self) -> int:
        """How many sessions are asked for in all."""
        return self.tunnels * self.sessions

    def username(self, subscriber: int) -> str:
        """Return the user name of one subscriber."""
        return self.user.replace("%d", str(subscriber))

    def check(self) -> None:
        """Raise `ConfigError` with everything that can't be done."""
        rules = (
            ("tunnels", self.tunnels >= 1, "at least one"),
            ("sessions", 1 <= self.sessions <= _MOST_SESSIONS_PER_TUNNEL, "1 to 65535 in a tunnel"),
            ("ports", 1 <= self.ports <= 1024, "1 to 1024"),
            ("tunnels", self.tunnels <= _MOST_TUNNELS_PER_PORT * self.ports, "65535 for each of --ports"),
            ("rate", self.rate_per_s > 0, "more than 0 sessions a second"),
            ("hold", self.hold_s >= 0, "0 or more seconds"),
            ("timeout", self.timeout_s > 0, "more than 0 seconds"),
            ("auth", bool(self.authentication), "at least one protocol"),
        )
        problems = [f"--{name}: must be {wanted}" for name, holds, wanted in rules if not holds]
        if self.traffic is not None:
            problems += _traffic_problems(self.traffic)
        if problems:
            raise ConfigError(problems)


def _traffic_problems(traffic: TrafficOptions) -> list[str]:
    size = f"must be {SMALLEST_OCTETS} to {LARGEST_OCTETS} octets, the IPv4 header included"
    rules = (
        ("traffic", _is_ipv4(traffic.target), f"{traffic.target!r} is not an IPv4 address"),
        ("pps", 0 < traffic.packets_per_s <= 10000, "must be more than 0 and at most 10000"),
        ("size", SMALLEST_OCTETS <= traffic.size_octets <= LARGEST_OCTETS, size),
        ("allow-loss", 0 <= traffic.allow_loss <= 1, "is a share, 0 to 1"),
    )
    return [f"--{name}: {wanted}" for name, holds, wanted in rules if not holds]


def _is_ipv4(text: str) -> bool:
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True
