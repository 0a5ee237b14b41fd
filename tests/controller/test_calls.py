"""From SCCRQ to traffic and back, with a LAC in memory and workers that do as told."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from controller.surface import Selection
from shared.ipc.messages import (
    AddressDecision,
    AddressWish,
    AuthDecision,
    AuthRequest,
    Counters,
    LinkDown,
    LinkUp,
    PeerConfirmed,
    PeerMoved,
    SessionClosed,
    SessionCounters,
    session_digest,
)
from shared.l2tp.connection import CallInfo, Result
from shared.l2tp.sharding import SPREAD_BASE, worker_of
from shared.ppp.mschap import respond_mschapv2
from shared.ppp.policy import IPv4Service, LinkEnd
from tests.controller.harness import CONFIG, World


def test_a_call_is_given_to_the_worker_that_its_ids_lead_to(world: World) -> None:
    world.dial(world.lac())
    [row] = world.sessions()
    assert worker_of(row.tunnel_id, row.session_id, 2) == row.worker
    [assigned] = world.worker_of(row).sessions.values()
    [call] = world.lacs["198.51.100.7", 1701].up()
    assert assigned.peer_session_id == call.local_session_id
    assert assigned.peer_tunnel_id == world.lacs["198.51.100.7", 1701].connection.local_tunnel_id
    assert assigned.peer == ("198.51.100.7", 1701)
    assert not assigned.sequencing
    assert assigned.policy.local_name == "culvert"
    assert (row.state, row.ip) == ("starting", "")


def test_a_subscriber_gets_its_address_and_is_shown_active(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    world.dial(world.lac())
    decision = world.log_in(world.sessions()[0], "alice", "secret")
    assert decision.accepted
    assert decision.authorization is not None
    assert decision.authorization.ipv4 == IPv4Service("10.0.0.1", "10.0.0.10", ("192.0.2.53",))
    assert decision.authorization.routes == ("192.168.150.0/24",)
    [row] = world.sessions()
    assert (row.username, row.ip, row.state) == ("alice", "10.0.0.10", "active")
    device = f"culvert{row.worker}"
    assert world.table.routes == {"10.0.0.10/32": device, "192.168.150.0/24": device}
    line = f"session up tunnel={row.tunnel_id} session={row.session_id} username=alice ip=10.0.0.10"
    assert line in caplog.text


def test_the_end_of_ppp_ends_the_call_and_frees_what_it_held(world: World) -> None:
    lac = world.lac()
    world.dial(lac)
    [row] = world.sessions()
    world.log_in(row, "alice", "secret")
    key = (row.tunnel_id, row.session_id)
    world.worker_of(row).say(LinkDown(*key, LinkEnd.PEER_TERMINATED, "peer terminated"))
    world.settle()
    assert world.sessions() == []
    assert world.table.routes == {}
    [ended] = lac.ended()
    assert ended.result.code == 3
    assert ended.cause is not None
    assert (ended.cause.code, ended.cause.protocol, ended.cause.direction) == (3, 0xC021, 1)
    world.dial(lac, first=2)
    assert world.log_in(world.sessions()[0], "alice", "secret").accepted


@pytest.mark.parametrize(("name", "password", "reason"), [
    ("alice", "wrong", "wrong password"),
    ("mallory", "x", "unknown user"),
])  # fmt: skip
def test_bad_credentials_are_refused_logged_and_told_to_the_lac(
    world: World, caplog: pytest.LogCaptureFixture, name: str, password: str, reason: str
) -> None:
    lac = world.lac()
    world.dial(lac)
    [row] = world.sessions()
    decision = world.log_in(row, name, password)
    assert not decision.accepted
    assert decision.authorization is None
    assert decision.message == "Authentication failed"
    assert decision.reason == reason
    [record] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert f"session={row.session_id} username={name} protocol=pap" in record.getMessage()
    assert record.getMessage().endswith(f"reason={reason}")
    end = LinkDown(row.tunnel_id, row.session_id, LinkEnd.AUTHENTICATION_FAILED, reason)
    world.worker_of(row).say(end)
    world.settle()
    [ended] = lac.ended()
    # Which of the two was wrong stays here: a client may be its own LAC.
    assert (ended.result.code, ended.result.message) == (3, "authentication failed")
    assert ended.cause is not None
    assert ended.cause.code == 16  # RFC 3145: bad username, password or secret


def test_what_ppp_knows_of_the_end_goes_into_the_cdn(world: World) -> None:
    lac = world.lac()
    world.dial(lac)
    [row] = world.sessions()
    end = LinkDown(row.tunnel_id, row.session_id, LinkEnd.NETWORK_TIMEOUT, "x", 17, 0x8057, 1, "no IPV6CP")
    world.worker_of(row).say(end)
    world.settle()
    [ended] = lac.ended()
    assert ended.cause is not None
    assert (ended.cause.code, ended.cause.protocol, ended.cause.message) == (17, 0x8057, "no IPV6CP")


def test_a_repeated_request_gets_the_same_answer_and_no_second_address(world: World) -> None:
    world.dial(world.lac())
    [row] = world.sessions()
    key = (row.tunnel_id, row.session_id)
    first = world.worker_of(row).authenticate(key, "sub-1", "many", request_id=7)
    assert world.worker_of(row).authenticate(key, "sub-1", "many", request_id=7) == first
    assert world.totals.authentications == 1
    assert next(iter(world.controller.pools())).used == 1


def test_a_new_challenge_confirms_the_same_grant_and_only_to_the_same_name(world: World) -> None:
    world.dial(world.lac())
    [row] = world.sessions()
    key = (row.tunnel_id, row.session_id)
    first = world.worker_of(row).authenticate(key, "sub-1", "many", request_id=1)
    again = world.worker_of(row).authenticate(key, "sub-1", "many", request_id=2)
    assert again.authorization == first.authorization
    assert not world.worker_of(row).authenticate(key, "sub-2", "many", request_id=3).accepted


EXHAUSTED = (
    CONFIG.replace("10.0.0.0/24", "10.0.0.0/30")
    .replace("block_addresses = 16", "")
    .replace('"10.0.0.10"', '"10.0.0.2"')
)


def test_an_exhausted_pool_is_told_to_the_client_the_lac_and_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path, EXHAUSTED)
    lac = world.lac()
    world.dial(lac)
    [row] = world.sessions()
    worker, key = world.worker_of(row), (row.tunnel_id, row.session_id)
    decision = worker.authenticate(key, "sub-1", "many")
    assert (decision.accepted, decision.message) == (False, "No address is free")
    assert "reason=no free address in pool subscribers" in caplog.text
    assert world.totals.addresses_exhausted == 1
    worker.say(LinkDown(*key, LinkEnd.AUTHENTICATION_FAILED, "refused"))
    world.settle()
    [ended] = lac.ended()
    assert ended.result.code == 4  # appropriate facilities are lacking, temporarily


@pytest.mark.parametrize(("password", "code"), [("many", 649), ("wrong", 691)])
def test_mschapv2_says_by_its_code_whether_it_is_the_password(
    tmp_path: Path, password: str, code: int
) -> None:
    world = World(tmp_path, EXHAUSTED)  # RFC 2759 §6
    world.dial(world.lac())
    [row] = world.sessions()
    response = respond_mschapv2(password, "sub-1", bytes(16), bytes(range(16)))
    request = AuthRequest(row.tunnel_id, row.session_id, 1, "mschapv2", "sub-1", 1, bytes(16), response)
    decision = world.worker_of(row).present(request)
    assert re.fullmatch(rf"E={code} R=0 C=[0-9A-F]{{32}} V=3 M=.+", decision.message)


def test_a_refused_attempt_leaves_no_trace_on_one_that_succeeds(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    lac = world.lac()
    world.dial(lac)
    [row] = world.sessions()
    worker, key = world.worker_of(row), (row.tunnel_id, row.session_id)
    assert not worker.authenticate(key, "sub-1", "wrong", request_id=1).accepted
    assert worker.authenticate(key, "sub-1", "many", request_id=2).accepted
    worker.say(LinkUp(*key, "10.0.0.2", None, 1462))
    worker.say(LinkDown(*key, LinkEnd.ECHO_LOST, "no echo"))
    world.settle()
    [ended] = lac.ended()
    assert ended.result.code == 1
    assert "username=sub-1 ip=10.0.0.2 reason=no echo" in caplog.text


LIMITED = CONFIG + '[[user]]\nname = "two"\npassword = "x"\nmax_sessions = 2\n'


def test_no_more_sessions_than_a_user_may_have(tmp_path: Path) -> None:
    world = World(tmp_path, LIMITED)
    world.dial(world.lac(), calls=3)
    accepted = [world.log_in(row, "two", "x").accepted for row in world.sessions()]
    assert accepted == [True, True, False]


def test_a_domain_makes_no_other_user(tmp_path: Path) -> None:
    limited = CONFIG.replace('password = "secret"', 'password = "secret"\nmax_sessions = 1')
    world = World(tmp_path, limited + "[names]\nstrip_domain = true\n")
    world.dial(world.lac(), calls=2)
    first, second = world.sessions()
    assert world.log_in(first, "CORP\\alice", "secret").accepted
    assert world.sessions()[0].username == "alice"
    again = world.worker_of(first).authenticate(
        (first.tunnel_id, first.session_id), "CORP\\alice", "secret", request_id=2
    )
    assert again.accepted
    assert not world.log_in(second, "alice", "secret").accepted


def test_the_oldest_session_makes_room_where_that_is_configured(tmp_path: Path) -> None:
    world = World(tmp_path, LIMITED + 'when_full = "replace"\n')
    lac = world.lac()
    world.dial(lac, calls=3)
    rows = world.sessions()
    assert all(world.log_in(row, "two", "x").accepted for row in rows)
    assert [row.session_id for row in world.sessions()] == [row.session_id for row in rows[1:]]
    assert [ended.result.code for ended in lac.ended()] == [3]


def test_a_users_own_address_is_given_once(world: World) -> None:
    world.dial(world.lac(), calls=2)
    one, two = world.sessions()
    assert world.log_in(one, "alice", "secret").accepted
    refused = world.log_in(two, "alice", "secret")
    assert (refused.accepted, refused.reason) == (False, "another session has 10.0.0.10")


def test_an_address_that_is_asked_for_is_given_only_where_that_is_allowed(tmp_path: Path) -> None:
    for allowed in (False, True):
        flag = f"honour_requested_address = {str(allowed).lower()}\n"
        world = World(tmp_path, CONFIG.replace("[profile.default]\n", f"[profile.default]\n{flag}"))
        world.dial(world.lac())
        [row] = world.sessions()
        decision = world.log_in(row)
        assert decision.authorization is not None
        assert decision.authorization.ipv4 is not None
        given = decision.authorization.ipv4.peer_address
        world.worker_of(row).say(AddressWish(row.tunnel_id, row.session_id, "10.0.0.200"))
        world.settle()
        answer = world.worker_of(row).last(AddressDecision)
        assert isinstance(answer, AddressDecision)
        assert answer.address == ("10.0.0.200" if allowed else given)
        assert next(iter(world.controller.pools())).used == 1


def test_terminate_lets_ppp_say_goodbye_first(world: World) -> None:
    lac = world.lac()
    world.dial(lac)
    [row] = world.sessions()
    world.log_in(row)
    worker = world.worker_of(row)
    worker.polite = False
    assert world.controller.terminate(Selection(username="sub-1"), "by operator") == 1
    world.settle()
    assert worker.heard[-1] == SessionClosed(row.tunnel_id, row.session_id, True, "by operator")
    assert [each.state for each in world.sessions()] == ["finishing"]
    assert lac.ended() == []
    world.advance(6.0)
    [ended] = lac.ended()
    assert ended.result.code == 3
    assert ended.cause is not None
    assert ended.cause.code == 1  # administrative disconnect
    assert world.sessions() == []


def test_terminating_a_tunnel_closes_it_after_its_last_session(world: World) -> None:
    lac = world.lac()
    world.dial(lac, calls=2)
    tunnel_id = world.tunnels()[0].tunnel_id
    assert world.controller.terminate(Selection(tunnel_id=tunnel_id), "maintenance") == 2
    world.settle()
    down = lac.down()
    assert down is not None
    assert (down.result.code, down.by_peer) == (1, True)
    assert len(lac.ended()) == 2


def test_a_cdn_of_the_lac_takes_the_session_from_its_worker(world: World) -> None:
    lac = world.lac()
    world.dial(lac)
    [row] = world.sessions()
    world.log_in(row, "alice", "secret")
    world.perform(lac, lac.connection.close_session(1, Result(1), world.now))
    world.settle()
    assert world.worker_of(row).sessions == {}
    assert world.sessions() == []
    assert world.table.routes == {}


def test_spread_tunnels_share_their_sessions_among_all_workers(tmp_path: Path) -> None:
    world = World(tmp_path, CONFIG + '[[peer]]\nprefix = "198.51.100.0/24"\nspread = true\n')
    world.dial(world.lac(), calls=40)
    [tunnel] = world.tunnels()
    assert tunnel.tunnel_id >= SPREAD_BASE
    assert tunnel.worker is None
    assert [len(worker.sessions) for worker in world.crew] == [20, 20]
    for worker in world.crew:
        assert all(worker_of(*key, 2) == worker.index for key in worker.sessions)


def test_tunnels_are_shared_evenly(world: World) -> None:
    for n in range(20):
        world.dial(world.lac((f"198.51.100.{n}", 1701)))
    assert [len(worker.sessions) for worker in world.crew] == [10, 10]


def test_calls_beyond_the_limit_are_rejected_with_the_reason(tmp_path: Path) -> None:
    world = World(tmp_path, CONFIG + '[[peer]]\nprefix = "198.51.100.0/24"\nmax_sessions = 2\n')
    lac = world.lac()
    world.dial(lac, calls=3)
    [ended] = lac.ended()
    assert (ended.result.code, ended.result.message) == (4, "too many sessions")
    assert len(world.sessions()) == 2


def test_counters_are_kept_over_a_change_of_worker(world: World) -> None:
    world.dial(world.lac())
    [row] = world.sessions()
    world.log_in(row)
    worker, key = world.worker_of(row), (row.tunnel_id, row.session_id)

    def report(packets: int) -> None:
        counters = SessionCounters(*key, packets, packets * 100, packets * 2, packets * 200)
        worker.say(Counters(worker.epoch, session_digest(set(worker.sessions)), (), (counters,)))
        world.settle()

    report(5)
    worker.pid, worker.sessions = 999, {}
    worker.hello()
    world.settle()
    report(3)
    [row] = world.sessions()
    assert (row.rx_packets, row.rx_bytes, row.tx_packets, row.tx_bytes) == (8, 800, 16, 1600)


def test_a_moved_peer_is_probed_and_workers_hear_of_it_only_with_proof(world: World) -> None:
    lac = world.lac()
    world.dial(lac)
    [row] = world.sessions()
    worker = world.worker_of(row)
    moved = ("198.51.100.7", 4500)
    lac.deaf = True  # its old NAT binding is gone
    world.lacs[moved] = lac
    lac.address = moved
    worker.say(PeerMoved(row.tunnel_id, moved))
    world.settle()
    assert not [message for message in worker.heard if isinstance(message, PeerConfirmed)]
    lac.deaf = False
    del world.lacs["198.51.100.7", 1701]
    world.advance(10.0)
    confirmed = worker.last(PeerConfirmed)
    assert confirmed == PeerConfirmed(row.tunnel_id, moved)
    assert world.sessions()[0].peer == "198.51.100.7:4500"


def test_link_up_is_reported_once_however_often_it_is_said(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    world.dial(world.lac())
    [row] = world.sessions()
    world.log_in(row)
    world.worker_of(row).say(LinkUp(row.tunnel_id, row.session_id, "10.0.0.2", 5, 1462))
    world.settle()
    assert caplog.text.count("session up") == 1


def test_credentials_that_come_after_the_session_was_terminated_are_not_looked_at(world: World) -> None:
    world.dial(world.lac())
    [row] = world.sessions()
    worker = world.worker_of(row)
    world.controller.terminate(Selection(all=True), "x")
    heard = len(worker.heard)
    worker.say(AuthRequest(row.tunnel_id, row.session_id, 1, "pap", "alice", 1, b"", b"secret"))
    world.settle()
    assert not [message for message in worker.heard[heard:] if isinstance(message, AuthDecision)]
    assert world.totals.authentications == 0


@pytest.mark.parametrize(("configured", "asked", "octets"), [
    (False, False, 1462),
    (True, False, 1458),
    (False, True, 1458),  # AVP 39
])  # fmt: skip
def test_a_full_packet_fits_the_path_beside_the_numbers_that_the_lac_or_the_configuration_wants(
    tmp_path: Path, configured: bool, asked: bool, octets: int
) -> None:
    peer = f'[[peer]]\nprefix = "198.51.100.0/24"\nsequencing = {str(configured).lower()}\n'
    world = World(tmp_path, CONFIG + peer)
    lac = world.lac()
    world.settle()
    call = CallInfo(serial_number=1, sequencing_required=asked)
    world.perform(lac, lac.connection.place_call(1, call, world.now))
    world.settle()
    [row] = world.sessions()
    [assigned] = world.worker_of(row).sessions.values()
    assert assigned.sequencing is (configured or asked)
    assert assigned.policy.mru_octets == octets
    authorization = world.log_in(row).authorization
    assert authorization is not None
    assert authorization.mtu_octets == octets
    l2tp = 10 if assigned.sequencing else 6  # RFC 2661 §3.1, no optional field but Ns and Nr
    assert 20 + 8 + l2tp + 4 + octets == 1500  # IPv4, UDP, L2TP, PPP
