"""What an owner decides about a control connection, and which side of it we are."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

FULL_CYCLE_S: Final = 31.0  # 1 + 2 + 4 + 8 + 16: a peer that retransmits has given up by then (RFC 2661 §5.8)


class Role(Enum):
    """Which side of the tunnel we are."""

    LAC = "LAC"
    LNS = "LNS"


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """Settings of one control connection; times are in seconds.

    A message is given up, and the tunnel with it, ``timeout_cap_s`` after its last transmission: with the
    defaults 63 seconds after its first. ``amplification`` bounds how many times the octets received we
    send to an address that has proven nothing. ``hello_interval_s`` of 0 sends no HELLO.
    """

    hostname: str
    vendor: str = "Culvert"
    secret: bytes | None = field(default=None, repr=False)
    receive_window: int = 16
    hello_interval_s: float = 60.0
    hide_avps: bool = False
    initial_timeout_s: float = 1.0
    timeout_cap_s: float = 8.0
    max_transmissions: int = 10
    setup_timeout_s: float = 60.0
    max_sessions: int = 65_535
    amplification: int = 3
    tie_breaker: bool = False  # whether a LAC's SCCRQ carries one (§4.4.3)
