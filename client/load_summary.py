"""The figures of a run of the emulator, as they grow and as they are reported."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from client.latencies import Latencies


@dataclass(slots=True)
class TrafficFigures:
    """Echo requests and what became of them, counted in packets."""

    sent: int = 0
    delivered: int = 0
    misdelivered: int = 0  # another subscriber's reply
    corrupt: int = 0
    duplicated: int = 0  # a second reply, or one that came long after its time
    foreign: int = 0  # packets that are not ours at all
    round_trip: Latencies = field(default_factory=Latencies)

    @property
    def lost(self) -> int:
        """Requests without a good reply."""
        return self.sent - self.delivered

    def report(self) -> dict[str, object]:
        """Return the part of the JSON summary that tells of traffic."""
        counts = ("sent", "delivered", "lost", "misdelivered", "corrupt", "duplicated", "foreign")
        return {**{name: getattr(self, name) for name in counts}, "round_trip": self.round_trip.summary()}


@dataclass(slots=True)
class StageLatencies:
    """How long each stage of set-up took."""

    tunnel: Latencies = field(default_factory=Latencies)  # SCCRQ sent to SCCCN sent
    call: Latencies = field(default_factory=Latencies)  # ICRQ sent to ICCN sent
    ppp: Latencies = field(default_factory=Latencies)  # ICCN sent to the first network protocol open
    setup: Latencies = field(default_factory=Latencies)  # SCCRQ (a tunnel's first call) or ICRQ to the same


@dataclass(slots=True)
class Summary:
    """What was asked for, and what came of it."""

    lns: str
    run: str
    asked: int
    tunnels_asked: int
    allow_loss: float = 0.0
    attempted: int = 0
    up: int = 0  # that came up, whether or not they stayed
    failed: Counter[str] = field(default_factory=Counter)  # reason: sessions that did not come up
    lost: Counter[str] = field(default_factory=Counter)  # reason: sessions that came up and did not stay
    tunnels_up: int = 0
    tunnels_failed: Counter[str] = field(default_factory=Counter)
    tunnels_closed: Counter[str] = field(default_factory=Counter)  # outcome of the tear-down: tunnels
    latency: StageLatencies = field(default_factory=StageLatencies)
    traffic: TrafficFigures | None = None
    setup_s: float = 0.0  # from the first arrival to the last session up
    elapsed_s: float = 0.0
    datagrams_sent: int = 0
    datagrams_received: int = 0
    datagrams_dropped: int = 0  # that the local kernel did not take
    network_error: str | None = None  # what ICMP or the routing table said last
    interrupted: bool = False

    @property
    def setup_rate_per_s(self) -> float:
        """Sessions that came up, per second of set-up."""
        return self.up / self.setup_s if self.setup_s else 0.0

    @property
    def problems(self) -> list[str]:
        """Say, a line each, why this run is not a success; nothing when it is one."""
        found = [f"{_sessions(count)} failed, {reason}" for reason, count in self.failed.items()]
        found += [f"{_sessions(count)} lost, {reason}" for reason, count in self.lost.items()]
        if self.attempted < self.asked:
            found.append(f"{_sessions(self.asked - self.attempted)} not tried")
        return found + self._traffic_problems()

    def _traffic_problems(self) -> list[str]:
        if self.traffic is None:
            return []
        counts = ("misdelivered", "corrupt")
        wrong = {name: getattr(self.traffic, name) for name in counts}
        found = [f"{count} packets {name}" for name, count in wrong.items() if count]
        if self.traffic.lost > self.allow_loss * self.traffic.sent:
            found.append(f"{self.traffic.lost} of {self.traffic.sent} packets lost")
        return found

    @property
    def ok(self) -> bool:
        """Return whether everything asked for came up, stayed and carried its traffic."""
        return not self.problems

    def report(self) -> dict[str, object]:
        """Return the summary as it is written in JSON."""
        latency = {
            stage: getattr(self.latency, stage).summary() for stage in ("tunnel", "call", "ppp", "setup")
        }
        plain = {name: getattr(self, name) for name in _PLAIN}
        reasons = {name: dict(getattr(self, name)) for name in ("failed", "lost")}
        tunnels = {
            "asked": self.tunnels_asked,
            "up": self.tunnels_up,
            "failed": dict(self.tunnels_failed),
            "closed": dict(self.tunnels_closed),
        }
        return {
            "ok": self.ok,
            **plain,
            **reasons,
            "setup_rate_per_s": round(self.setup_rate_per_s, 1),
            "setup_s": round(self.setup_s, 3),
            "elapsed_s": round(self.elapsed_s, 3),
            "tunnels": tunnels,
            "latency": latency,
            "traffic": None if self.traffic is None else self.traffic.report(),
            "problems": self.problems,
        }


def _sessions(count: int) -> str:
    return f"{count} session{'' if count == 1 else 's'}"


_PLAIN = (
    "lns",
    "run",
    "interrupted",
    "asked",
    "attempted",
    "up",
    "datagrams_sent",
    "datagrams_received",
    "datagrams_dropped",
    "network_error",
)
