"""A bad network delays a tunnel but does not prevent it (RFC 2661 §5.8): virtual time, seeded."""

from __future__ import annotations

import pytest

from shared.l2tp.connection import (
    Released,
    Result,
    SessionDown,
    SessionUp,
    TunnelDown,
    TunnelState,
    TunnelUp,
)
from tests.support.l2tp import Pair
from tests.support.lossy import Wire

TUNNELS = 200
IMPAIRMENT = {"drop": 0.2, "duplicate": 0.05, "delay_s": 0.0, "jitter_s": 2.0}


@pytest.mark.parametrize("secret", [None, b"tunnel-secret"])
def test_200_of_200_impaired_tunnels_come_up_with_a_call_and_go_down_again(secret: bytes | None) -> None:
    for seed in range(TUNNELS):
        pair = Pair(Wire(seed=seed, **IMPAIRMENT), lac={"secret": secret}, lns={"secret": secret})
        pair.dial()
        pair.run(120.0)
        for side in (pair.lac, pair.lns):
            assert side.state is TunnelState.ESTABLISHED, seed
            assert [len(pair.of(side, TunnelUp)), len(pair.of(side, SessionUp))] == [1, 1], seed
        leaver = pair.lac if seed % 2 else pair.lns
        pair.perform(leaver, leaver.close(Result(1), pair.now))
        pair.run(300.0)
        for side in (pair.lac, pair.lns):
            assert side.state is TunnelState.RELEASED, seed
            for kind in (SessionDown, TunnelDown, Released):
                assert len(pair.of(side, kind)) == 1, (seed, kind)


def test_a_hundred_calls_come_up_in_one_impaired_tunnel_and_each_is_reported_once() -> None:
    pair = Pair(Wire(seed=5, **IMPAIRMENT), lac={"setup_timeout_s": 3600.0}, lns={"setup_timeout_s": 3600.0})
    pair.dial(calls=100)
    pair.run(3000.0)
    for side in (pair.lac, pair.lns):
        assert len(pair.of(side, SessionUp)) == 100
        assert not pair.of(side, SessionDown)


def test_keepalives_hold_an_idle_impaired_tunnel_for_a_day() -> None:
    pair = Pair(Wire(seed=1, **IMPAIRMENT))
    pair.dial()
    pair.run(86_400.0)
    assert pair.lac.state is pair.lns.state is TunnelState.ESTABLISHED
