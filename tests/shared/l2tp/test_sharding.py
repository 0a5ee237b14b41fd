"""The rule by which the kernel and the controller agree on a session's worker."""

from __future__ import annotations

import pytest

from shared.l2tp.sharding import SPREAD_BASE, worker_of


@pytest.mark.parametrize(
    ("tunnel_id", "session_id", "worker"),
    [
        (1, 9, 1),
        (4, 9, 0),
        (0xEFFF, 9, 3),  # the last tunnel ID before the spread range
        (0xF000, 9, 1),
        (0xFFFF, 8, 0),
    ],
)
def test_a_tunnel_belongs_to_its_residue_and_a_spread_one_to_its_sessions(
    tunnel_id: int, session_id: int, worker: int
) -> None:
    assert worker_of(tunnel_id, session_id, 4) == worker


def test_one_worker_has_everything() -> None:
    assert {worker_of(tunnel_id, 7, 1) for tunnel_id in range(0x10000)} == {0}


def test_the_spread_range_lies_inside_16_bits() -> None:
    assert 0 < SPREAD_BASE < 0xFFFF
