"""What comes to the control socket: before any state, around a tunnel's life, and when things go wrong."""

from __future__ import annotations

import logging
import secrets
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.addresses import Address
from shared.l2tp.connection import ConnectionSettings, ControlConnection, Result, Role, Transmit
from shared.l2tp.header import ControlHeader
from shared.l2tp.messages import StopCCN, decode_message, encode_message
from shared.l2tp.sharding import SPREAD_BASE
from tests.controller.harness import CONFIG, LNS, World

PEER = ("198.51.100.7", 1701)
STRANGER = ("203.0.113.9", 1701)


def sccrq(tunnel_id: int = 7) -> bytes:
    """An SCCRQ as our LAC machine sends it."""
    connection = ControlConnection(
        ConnectionSettings("lac"), Role.LAC, tunnel_id, LNS, random=secrets.token_bytes
    )
    [request] = [command for command in connection.open(0.0) if isinstance(command, Transmit)]
    return request.datagram


def test_a_tunnel_comes_up_and_is_shown(world: World) -> None:
    lac = world.lac()
    world.settle()
    [row] = world.tunnels()
    assert row.peer_tunnel_id == lac.connection.local_tunnel_id
    assert (row.peer, row.hostname, row.state) == ("198.51.100.7:1701", "lac", "established")
    assert row.tunnel_id < SPREAD_BASE
    assert row.tunnel_id % 2 == row.worker


def test_a_repeated_sccrq_makes_no_second_tunnel(world: World) -> None:
    request = sccrq()
    for _ in range(5):
        world.inject(request, PEER)
    assert len(world.tunnels()) == 1
    assert (world.totals.sccrq_received, world.totals.sccrq_repeated) == (5, 4)


def test_peers_behind_one_address_differ_by_port_or_by_tunnel_id(world: World) -> None:
    world.inject(sccrq(7), PEER)
    world.inject(sccrq(7), (PEER[0], 2345))
    world.inject(sccrq(8), PEER)
    assert len(world.tunnels()) == 3


@pytest.mark.parametrize(("octets", "counter"), [
    ("", "other_version"),
    ("c8", "other_version"),
    ("c803 000c 0000 0000 0000 0000", "other_version"),  # L2TPv3
    ("0002 0001 0001 ff03 c021", "not_control"),
    ("c802 0014 0000 0000 0000 0000", "malformed"),  # Length past the end
    ("c802 000c 0001 0000 0000 0000", "unknown_tunnel"),
    ("c802 000c 0000 0000 0000 0000", "unknown_tunnel"),  # a ZLB for nobody
    ("c802 0014 0000 0000 0000 0000 8008 0000 0000 0006", "unknown_tunnel"),  # HELLO
])  # fmt: skip
def test_what_is_not_for_us_is_counted_and_not_answered(world: World, octets: str, counter: str) -> None:
    world.inject(bytes.fromhex(octets), STRANGER)
    assert getattr(world.totals, counter) == 1
    assert world.tunnels() == []
    assert world.sent == []


def test_a_stopccn_that_does_not_know_our_id_ends_its_tunnel(world: World) -> None:  # RFC 2661 §6.4
    world.inject(sccrq(7), PEER)
    stop = encode_message(StopCCN(assigned_tunnel_id=7, result=Result(1)))
    world.inject(ControlHeader(0, 0, ns=1, nr=0).encode(stop), STRANGER)
    assert [row.state for row in world.tunnels()] == ["starting"]
    world.inject(ControlHeader(0, 0, ns=1, nr=0).encode(stop), PEER)
    assert [row.state for row in world.tunnels()] == ["closing"]


def test_after_the_end_of_a_tunnel_the_same_peer_gets_a_new_one_at_once(world: World) -> None:
    lac = world.lac(tunnel_id=7)
    world.dial(lac)
    world.perform(lac, lac.connection.close(Result(1), world.now))
    world.settle()
    assert [row.state for row in world.tunnels()] == ["closing"]
    assert world.sessions() == []
    world.dial(world.lac(tunnel_id=7))
    assert sorted(row.state for row in world.tunnels()) == ["closing", "established"]
    world.advance(40.0)
    assert [row.state for row in world.tunnels()] == ["established"]


def test_a_tunnel_whose_peer_falls_silent_is_given_up_with_its_sessions(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    lac = world.lac()
    world.dial(lac)
    world.log_in(world.sessions()[0], "alice", "secret")
    lac.deaf = True
    world.lac_timers.set(lac, None)
    world.advance(240.0)
    assert world.sessions() == []
    assert world.tunnels() == []
    assert world.table.routes == {}
    assert all(worker.sessions == {} for worker in world.crew)
    assert "tunnel down" in caplog.text


def test_a_peer_is_authenticated_by_the_secret_of_its_prefix(tmp_path: Path) -> None:
    text = CONFIG + (
        '[[peer]]\nprefix = "198.51.100.0/24"\nsecret = "wide"\n'
        '[[peer]]\nprefix = "198.51.100.7/32"\nsecret = "narrow"\n'
    )
    world = World(tmp_path, text)
    good = world.lac(PEER, secret=b"narrow")
    bad = world.lac(("198.51.100.8", 1701), secret=b"narrow")
    free = world.lac(("192.0.2.99", 1701))
    world.settle()
    assert (good.down(), free.down()) == (None, None)
    assert bad.down() is not None
    assert sorted(row.peer for row in world.tunnels() if row.state == "established") == [
        "192.0.2.99:1701",
        "198.51.100.7:1701",
    ]


def test_too_many_tunnels_are_refused_by_one_message_no_larger_than_the_request(tmp_path: Path) -> None:
    world = World(tmp_path, CONFIG + '[[peer]]\nprefix = "198.51.100.0/24"\nmax_tunnels = 1\n')
    world.inject(sccrq(7), PEER)
    world.sent.clear()
    request = sccrq(8)
    world.inject(request, ("198.51.100.8", 1701))
    [(to, reply, _)] = world.sent
    assert to == ("198.51.100.8", 1701)
    assert len(reply) <= len(request)
    stop = decode_message(memoryview(reply)[12:])
    assert isinstance(stop, StopCCN)
    assert (stop.result.code, stop.result.error) == (2, 4)
    assert len(world.tunnels()) == 1


def test_an_incomplete_sccrq_is_refused_and_the_log_says_what_is_missing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    body = bytes.fromhex("80080000 00000001 80080000 00020100 80080000 00090007")
    world.inject(ControlHeader(0, 0, ns=0, nr=0).encode(body), STRANGER)
    [(_, reply, _)] = world.sent
    assert isinstance(decode_message(memoryview(reply)[12:]), StopCCN)
    assert len(reply) <= 3 * (12 + len(body))
    assert "Framing Capabilities AVP is missing" in caplog.text
    assert world.tunnels() == []


def test_replies_leave_from_the_address_that_was_dialled(world: World) -> None:
    world.inject(sccrq(), PEER, local_address="192.0.2.77")
    assert {local for _, _, local in world.sent} == {"192.0.2.77"}


HALF_OPEN = CONFIG + "[l2tp]\nhalf_open_limit = 3\n"


def test_a_flood_of_half_open_tunnels_displaces_the_oldest_and_never_established_ones(tmp_path: Path) -> None:
    world = World(tmp_path, HALF_OPEN)
    genuine = world.lac()
    world.settle()
    for n in range(3):
        world.inject(sccrq(n + 1), STRANGER)
    world.inject(sccrq(50), STRANGER)
    assert world.totals.sccrq_no_room == 1  # those before are too young to be given up
    world.advance(2.5)
    world.inject(sccrq(51), STRANGER)
    assert world.totals.half_open_evicted == 1
    assert len(world.tunnels()) == 4
    assert genuine.down() is None


def test_an_unproven_source_never_gets_more_than_three_times_what_it_sent(world: World) -> None:
    request = sccrq()
    world.inject(request, STRANGER)
    world.advance(120.0)
    assert 0 < sum(len(octets) for to, octets, _ in world.sent) <= 3 * len(request)
    assert world.tunnels() == []


def test_ids_of_tunnels_come_back_into_use(world: World) -> None:
    for _ in range(3):
        lac = world.lac()
        world.settle()
        world.perform(lac, lac.connection.close(Result(1), world.now))
        world.advance(40.0)
    assert world.tunnels() == []
    assert world.totals.tunnels_closed == 3


def test_without_workers_no_tunnel_is_taken(tmp_path: Path) -> None:
    world = World(tmp_path, workers_present=False)
    assert world.controller.missing() == ["worker 0 has not reported", "worker 1 has not reported"]
    world.inject(sccrq(), PEER)
    assert world.tunnels() == []
    assert world.totals.sccrq_no_room == 1


def test_shutting_down_tells_every_peer_and_takes_no_new_one(world: World) -> None:
    lacs = [world.lac((f"198.51.100.{n}", 1701)) for n in range(5)]
    world.settle()
    world.controller.shut_down()
    assert world.controller.unacknowledged() == 5
    world.settle()
    world.advance(1.0)
    assert world.controller.unacknowledged() == 0
    results = [lac.down() for lac in lacs]
    assert [down.result.code for down in results if down is not None] == [6] * 5
    world.inject(sccrq(), STRANGER)
    assert not [row for row in world.tunnels() if row.state == "starting"]


class Broken(ControlConnection):
    """A machine with a bug that one peer has found."""

    def receive(self, datagram: bytes | memoryview, source: Address, now: float) -> list[object]:  # type: ignore[override]
        raise RuntimeError("a bug")


def test_a_bug_in_one_tunnel_ends_that_one_alone_with_a_traceback(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = world.lac(PEER), world.lac(STRANGER)
    world.dial(good)
    world.dial(bad)
    victim = next(
        tunnel for tunnel in world.controller._registry.tunnels.values() if tunnel.connection.peer == STRANGER
    )
    broken = object.__new__(Broken)
    for name in ControlConnection.__slots__:
        setattr(broken, name, getattr(victim.connection, name))
    victim.connection = broken
    world.dial(bad, first=2)
    assert [row.peer for row in world.tunnels()] == ["198.51.100.7:1701"]
    assert [row.peer for row in world.sessions()] == ["198.51.100.7:1701"]
    assert "RuntimeError: a bug" in caplog.text
    assert world.totals.tunnels_failed == 1
    assert bad.down() is not None  # it was told
    world.dial(good, first=2)
    assert len(world.sessions()) == 2


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_no_octets_disturb_an_established_tunnel(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    world = World(tmp_path_factory.mktemp("world"))
    world.dial(world.lac())
    [row] = world.tunnels()
    tunnel_id = row.tunnel_id.to_bytes(2, "big")
    heads = [b"", b"\xc8\x02", b"\xc8\x02\x00\x14" + tunnel_id, b"\xc8\x02\x00\x14\x00\x00\x00\x00"]
    octets = data.draw(st.sampled_from(heads)) + data.draw(st.binary(max_size=80))
    world.inject(octets, STRANGER)
    world.settle()
    assert world.totals.tunnels_failed == 0
    assert [each.state for each in world.tunnels() if each.tunnel_id == row.tunnel_id] == ["established"]
    assert len(world.sessions()) == 1


def test_a_peer_s_words_are_not_taken_for_fields_of_the_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    world.dial(lac := world.lac())
    [row] = world.tunnels()
    words = "bye peer=198.51.100.1 username=root"
    world.perform(lac, lac.connection.close(Result(1, 0, words), world.now))
    world.settle()
    [line] = [record.getMessage() for record in caplog.records if "tunnel down" in record.getMessage()]
    assert f"tunnel={row.tunnel_id} " in line
    assert line.endswith(f": {words}'")
    assert " reason='" in line
