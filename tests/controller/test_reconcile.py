"""Workers come, go, and lose messages: what they run and what we want become the same again."""

from __future__ import annotations

import pytest

from controller.surface import Selection
from shared.ipc.codec import encode
from shared.ipc.messages import (
    AuthRequest,
    HelloWanted,
    LinkDown,
    PeerConfirmed,
    PeerMoved,
    SessionAssigned,
    SessionClosed,
    Welcome,
    session_digest,
)
from shared.ppp.policy import LinkEnd
from tests.controller.harness import FakeWorker, World


def successor(world: World, worker: FakeWorker) -> None:
    """The worker dies; another process takes its place and knows nothing."""
    worker.pid += 1000
    worker.sessions = {}
    worker.heard = []
    worker.hello()
    world.settle()


def test_a_successor_is_given_every_session_with_what_it_was_authorized_for(world: World) -> None:
    world.dial(world.lac(), calls=3)
    rows = world.sessions()
    decision = world.log_in(rows[0], "alice", "secret")
    worker = world.worker_of(rows[0])
    successor(world, worker)
    assert isinstance(worker.heard[0], Welcome)
    assert len(worker.sessions) == 3
    given = worker.sessions[rows[0].tunnel_id, rows[0].session_id]
    assert given.authorization == decision.authorization
    assert [row.state for row in world.sessions()] == ["starting"] * 3
    again = world.log_in(rows[0], "alice", "secret")
    assert again.authorization == decision.authorization
    assert world.sessions()[0].state == "active"


def test_what_a_worker_runs_without_need_is_closed_without_a_word_to_the_peer(world: World) -> None:
    worker = world.crew[0]
    world.dial(world.lac())
    stray = SessionAssigned.__new__(SessionAssigned)
    worker.sessions[9, 9] = stray
    worker.hello()
    world.settle()
    assert SessionClosed(9, 9, False, "not known to the controller") in worker.heard
    assert (9, 9) not in worker.sessions


def test_a_lost_assignment_is_noticed_by_the_digest_and_made_good(world: World) -> None:
    world.dial(world.lac())
    [row] = world.sessions()
    worker = world.worker_of(row)
    worker.sessions.clear()  # it never arrived
    worker.heard.clear()
    world.advance(1.0)
    assert worker.sessions == {}  # one heartbeat may be behind
    world.advance(1.0)
    assert any(isinstance(message, HelloWanted) for message in worker.heard)
    assert list(worker.sessions) == [(row.tunnel_id, row.session_id)]


def test_a_controller_that_knows_nothing_asks_a_worker_that_it_hears(world: World) -> None:
    fresh = world.crew[0]
    world.controller._registry.workers[0].epoch = 0
    fresh.heard.clear()
    fresh.heartbeat()
    world.settle()
    assert [type(message) for message in fresh.heard] == [HelloWanted, Welcome]


def test_a_silent_worker_gets_no_new_tunnels(world: World) -> None:
    world.crew[0].alive = False
    world.advance(6.0)
    assert world.controller.missing() == ["worker 0 has not reported"]
    for n in range(4):
        world.dial(world.lac((f"198.51.100.{n}", 1701)))
    assert {row.worker for row in world.tunnels()} == {1}
    assert [row.pid for row in world.controller.workers()] == [None, 101]


def test_a_farewell_lost_with_the_worker_ends_in_a_cdn_at_once(world: World) -> None:
    lac = world.lac()
    world.dial(lac)
    [row] = world.sessions()
    worker = world.worker_of(row)
    worker.polite = False
    world.controller.terminate(Selection(all=True), "x")
    successor(world, worker)
    assert len(lac.ended()) == 1
    assert world.sessions() == []


def test_the_digest_is_that_of_the_whole_set(world: World) -> None:
    world.dial(world.lac(), calls=20)
    for worker in world.controller._registry.workers:
        assert worker.digest == session_digest(set(worker.desired))
    world.controller.terminate(Selection(all=True), "x")
    world.settle()
    for worker in world.controller._registry.workers:
        assert worker.digest == session_digest(set()) == 0


@pytest.mark.parametrize("identity", [b"", b"worker-", b"worker-2", b"worker-x", b"other-0", b"worker--1"])
def test_a_stranger_on_the_socket_is_not_listened_to(world: World, identity: bytes) -> None:
    world.controller.message(identity, [encode(HelloWanted(1))])
    assert world.totals.worker_messages_refused == 1


@pytest.mark.parametrize(
    "frames", [[], [b""], [b"junk"], [b"\x93\x01\x21"], [b"", b""], [encode(Welcome(1))]]
)
def test_what_is_no_message_of_a_worker_is_counted(world: World, frames: list[bytes]) -> None:
    world.controller.message(b"worker-0", frames)
    assert world.totals.worker_messages_refused == 1


def test_a_worker_has_no_say_in_another_workers_sessions(world: World) -> None:
    world.dial(world.lac())
    [row] = world.sessions()
    other = world.crew[1 - row.worker]
    key = (row.tunnel_id, row.session_id)
    other.say(LinkDown(*key, LinkEnd.ADMINISTRATIVE, "x"))
    other.say(AuthRequest(*key, 1, "pap", "alice", 1, b"", b"secret"))
    world.settle()
    assert len(world.sessions()) == 1
    assert world.totals.authentications == 0


def test_a_worker_that_has_missed_a_move_hears_of_it_again(world: World) -> None:
    """Else the data of a tunnel whose control connection has moved would be dropped until its end."""
    world.dial(world.lac())
    [row] = world.sessions()
    worker = world.worker_of(row)
    peer = ("198.51.100.7", 1701)
    assert not [message for message in worker.heard if isinstance(message, PeerConfirmed)]
    worker.say(PeerMoved(row.tunnel_id, peer))
    world.settle()
    assert worker.last(PeerConfirmed) == PeerConfirmed(row.tunnel_id, peer)
