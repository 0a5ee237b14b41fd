"""What the client is asked to dial."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Final

from shared.errors import ConfigError

EVERYTHING: Final = ("0.0.0.0/1", "128.0.0.0/1")  # wins over a default route and leaves it in place


@dataclass(frozen=True, slots=True)
class DialOptions:
    """One LNS, one user, and what the TUN device shall look like."""

    lns: str
    user: str
    password: str = field(default="", repr=False)
    secret: bytes | None = field(default=None, repr=False)
    port: int = 1701
    bind: str | None = None
    authentication: tuple[str, ...] = ("mschapv2", "chap", "pap")
    tun: str = "culvert-dial"
    routes: tuple[str, ...] = ()  # prefixes behind the LNS, both families
    default_route: bool = False
    mtu_octets: int = 1462
    ipv6: bool = False
    redial_s: float = 0.0  # 0: end with the session
    hello_interval_s: float = 60.0
    echo_interval_s: float = 30.0
    timeout_s: float = 30.0  # for each of tunnel, call and PPP
    hostname: str = "culvert"

    def all_routes(self) -> tuple[str, ...]:
        """Return the prefixes that lead into the tunnel, in their usual form."""
        prefixes = self.routes + (EVERYTHING if self.default_route else ())
        return tuple(str(ip_network(prefix)) for prefix in prefixes)

    def check(self) -> None:
        """Raise `ConfigError` with everything that can't be done."""
        rules = (
            ("user", bool(self.user), "is empty"),
            ("auth", bool(self.authentication), "names no protocol"),
            ("mtu", 576 <= self.mtu_octets <= 1500, "must be 576 to 1500 octets"),
            ("redial", self.redial_s >= 0, "must be 0 or more seconds"),
            ("timeout", self.timeout_s > 0, "must be more than 0 seconds"),
        )
        problems = [f"--{name}: {wanted}" for name, holds, wanted in rules if not holds]
        for prefix in self.routes:
            try:
                network = ip_network(prefix)
            except ValueError as error:
                problems.append(f"--route: {error}")
                continue
            if network.version == 6 and not self.ipv6:
                problems.append(f"--route: {prefix} needs --ipv6")
        if problems:
            raise ConfigError(problems)
