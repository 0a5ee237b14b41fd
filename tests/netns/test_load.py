"""Sharding end to end, with four workers: each session at its worker, each payload at its subscriber."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from client import load
from client.load_options import LoadOptions, TrafficOptions
from client.load_summary import Summary
from deploy.lab.concentrator import Concentrator
from deploy.lab.topology import CLIENT_OUTER, CONCENTRATOR_OUTER, CONFIGURATION, PC2_ADDRESS, Topology
from tests.support.wait import wait_for

pytestmark = pytest.mark.netns

WORKERS = 4
SUBSCRIBERS = """
[[user]]
name = "sub-*"
password = "secret"
"""
SPREAD = f"""
[[peer]]
prefix = "{CLIENT_OUTER}/32"
spread = true
"""
Rows = list[dict[str, Any]]
RunConcentrator = Callable[..., Concentrator]


def configuration(*, spread: bool = False) -> str:
    return CONFIGURATION.replace("count = 2", f"count = {WORKERS}") + SUBSCRIBERS + (SPREAD if spread else "")


def options(tunnels: int, sessions: int, **changes: Any) -> LoadOptions:
    chosen: dict[str, Any] = {
        "lns": CONCENTRATOR_OUTER,
        "tunnels": tunnels,
        "sessions": sessions,
        "password": "secret",
        "authentication": ("pap",),
        "rate_per_s": 100.0,
        "hold_s": 3.0,
        "ports": 4,
        "timeout_s": 30.0,
        "traffic": TrafficOptions(PC2_ADDRESS, packets_per_s=5),
    }
    return LoadOptions(**(chosen | changes))


def run_and_look(topology: Topology, concentrator: Concentrator, wanted: LoadOptions) -> tuple[Summary, Rows]:
    """Return the run's summary, and the workers' rows from while all of its sessions were up."""

    def all_up() -> Rows:
        rows = concentrator.show("workers")
        return rows if sum(row["sessions"] for row in rows) == wanted.subscribers else []

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(topology.client.call, lambda: load.run(wanted))
        rows = wait_for(all_up, f"{wanted.subscribers} sessions at the workers", deadline_s=60, step_s=0.2)
        summary = running.result(180)
    return summary, rows


def check(
    topology: Topology, run_concentrator: RunConcentrator, wanted: LoadOptions, *, spread: bool
) -> None:
    concentrator = run_concentrator(topology.concentrator, configuration(spread=spread))
    summary, rows = run_and_look(topology, concentrator, wanted)
    assert summary.problems == []
    assert (summary.up, summary.tunnels_up) == (wanted.subscribers, wanted.tunnels)
    assert summary.tunnels_closed == {"acknowledged": wanted.tunnels}
    assert summary.traffic is not None
    assert summary.traffic.sent >= wanted.subscribers * 10
    assert summary.traffic.delivered == summary.traffic.sent
    check_shares(rows, wanted, spread=spread)
    assert len({tuple(row["sockets"]) for row in rows}) == len({row["pid"] for row in rows}) == WORKERS
    wait_for(lambda: not concentrator.show("sessions"), "no session is left")
    assert not [row for row in concentrator.show("tunnels") if row["state"] == "established"]


def check_shares(rows: Rows, wanted: LoadOptions, *, spread: bool) -> None:
    """Each worker's share is within 10 % of even, or of what whole tunnels allow."""
    assert len(rows) == WORKERS
    even = wanted.subscribers / WORKERS
    indivisible = 1 if spread else wanted.sessions
    for row in rows:
        assert abs(row["sessions"] - even) <= max(even / 10, indivisible), rows


SHAPES = [
    pytest.param(100, 1, False, id="100 tunnels of 1 session"),
    pytest.param(1, 100, True, id="1 spread tunnel of 100 sessions"),
    pytest.param(10, 10, False, id="10 tunnels of 10 sessions"),
]
LARGE_SHAPES = [
    pytest.param(1000, 1, False, id="1000 tunnels of 1 session"),
    pytest.param(1, 1000, True, id="1 spread tunnel of 1000 sessions"),
    pytest.param(10, 100, False, id="10 tunnels of 100 sessions"),
]


@pytest.mark.parametrize(("tunnels", "sessions", "spread"), SHAPES)
def test_sessions_are_shared_evenly_and_each_payload_reaches_its_subscriber(
    topology: Topology, run_concentrator: RunConcentrator, tunnels: int, sessions: int, spread: bool
) -> None:
    check(topology, run_concentrator, options(tunnels, sessions), spread=spread)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("tunnels", "sessions", "spread"), LARGE_SHAPES)
def test_a_thousand_sessions_are_shared_evenly_and_each_payload_reaches_its_subscriber(
    topology: Topology, run_concentrator: RunConcentrator, tunnels: int, sessions: int, spread: bool
) -> None:
    wanted = options(tunnels, sessions, rate_per_s=150.0, hold_s=10.0, timeout_s=60.0)
    check(topology, run_concentrator, wanted, spread=spread)


def test_one_tunnel_without_spread_stays_with_one_worker(
    topology: Topology, run_concentrator: RunConcentrator
) -> None:
    concentrator = run_concentrator(topology.concentrator, configuration())
    summary, rows = run_and_look(topology, concentrator, options(1, 8))
    assert summary.ok
    assert sorted(row["sessions"] for row in rows) == [0, 0, 0, 8]


def test_wrong_passwords_fail_with_the_reason_and_leave_nothing_behind(
    topology: Topology, run_concentrator: RunConcentrator
) -> None:
    concentrator = run_concentrator(topology.concentrator, configuration())
    wanted = options(3, 2, password="wrong", authentication=("mschapv2",))
    summary = topology.client.call(lambda: load.run(wanted))
    assert (summary.up, summary.failed.total(), summary.ok) == (0, 6, False)
    assert all("authentication refused" in reason for reason in summary.failed)
    assert summary.tunnels_closed == {"acknowledged": 3}
    assert concentrator.show("sessions") == []
