from dataclasses import replace

import pytest

from shared.ipc.messages import (
    AddressDecision,
    AddressWish,
    AuthDecision,
    AuthRequest,
    Counters,
    Hello,
    HelloWanted,
    LinkDown,
    LinkUp,
    PeerConfirmed,
    SessionClosed,
    Welcome,
    session_digest,
)
from shared.ppp.policy import IPv4Service, LinkEnd, LinkPolicy
from tests.workers.dialer import CPE, GRANT, POLICY, Exchange, accepted, assigned
from workers import worker as worker_module
from workers.datapath import Frame

ELSEWHERE = ("203.0.113.9", 4500)


def dialled(**grant: object) -> Exchange:
    """Session 2 of tunnel 1 is up."""
    exchange = Exchange(replace(GRANT, **grant))  # type: ignore[arg-type]
    exchange.dial(assigned())
    return exchange


def packet(source: bytes, destination: bytes) -> bytes:
    return bytes.fromhex("4500001400000000401100 00") + source + destination


def test_a_peer_that_dials_is_authenticated_gets_its_address_and_is_reported_up() -> None:
    exchange = dialled()
    [request] = exchange.of(AuthRequest)
    assert request == AuthRequest(1, 2, 1, "pap", "alice", request.identifier, b"", b"secret")  # type: ignore[union-attr]
    assert exchange.of(LinkUp)[-1] == LinkUp(1, 2, "10.0.0.10", 0xA, 1462)
    peer = exchange.peers[101, 102]
    assert (peer.link.local_ipv4, peer.link.remote_ipv4) == ("10.0.0.10", "10.0.0.1")


def test_packets_flow_both_ways_between_subscriber_and_dialling_client() -> None:
    exchange = dialled()
    own, host = bytes((10, 0, 0, 10)), bytes((192, 168, 22, 100))
    up = exchange.far_datapath.downlink([memoryview(bytearray(packet(own, host)))], 1.0).datagrams
    out = exchange.datapath.uplink([(memoryview(bytearray(up[0].octets)), CPE)], 1.0)
    assert [bytes(item) for item in out.packets] == [packet(own, host)]
    down = exchange.datapath.downlink([memoryview(bytearray(packet(host, own)))], 1.0).datagrams
    assert down[0].octets == bytes.fromhex("0002 0065 0066 ff03 0021") + packet(host, own)
    back = exchange.far_datapath.uplink([(memoryview(bytearray(down[0].octets)), ("192.0.2.1", 1701))], 1.0)
    assert [bytes(item) for item in back.packets] == [packet(host, own)]


def test_a_refused_subscriber_is_told_and_reported_down() -> None:
    exchange = Exchange(decide=False)
    exchange.dial(assigned())
    [request] = exchange.of(AuthRequest)
    assert isinstance(request, AuthRequest)
    refusal = AuthDecision(
        1, 2, request.request_id, False, "Login incorrect", "wrong password for alice", None
    )
    exchange.worker.receive(refusal, 0.0)
    exchange.settle()
    assert any(b"Login incorrect" in octets and b"\xc0\x23\x03" in octets for octets in exchange.sent)
    [down] = exchange.of(LinkDown)
    assert isinstance(down, LinkDown)
    assert (down.end, down.reason) == (LinkEnd.AUTHENTICATION_FAILED, "wrong password for alice")
    assert not exchange.worker.subscribers
    assert not exchange.datapath.sessions
    assert len(exchange.worker.timers) == 0


def test_a_decision_about_an_earlier_request_changes_nothing() -> None:
    exchange = Exchange(decide=False)
    exchange.dial(assigned())
    [request] = exchange.of(AuthRequest)
    assert isinstance(request, AuthRequest)
    exchange.worker.receive(replace(accepted(request), request_id=request.request_id + 1), 0.0)
    exchange.settle()
    assert exchange.of(LinkUp) == []
    exchange.worker.receive(accepted(request), 0.0)
    exchange.settle()
    assert exchange.of(LinkUp)


def test_a_wish_for_an_address_goes_to_the_controller_and_its_answer_to_the_peer() -> None:
    service = IPv4Service("10.0.0.1", "10.0.0.10", honour_wish=True)
    exchange = Exchange(replace(GRANT, ipv4=service, ipv6=False))
    wish = replace(GRANT, ipv4=IPv4Service("10.0.0.77", "0.0.0.0"), ipv6=False)
    exchange.dial(assigned(), wish=wish)
    assert exchange.of(AddressWish) == [AddressWish(1, 2, "10.0.0.77")]
    exchange.worker.receive(AddressDecision(1, 2, "10.0.0.77"), 0.0)
    exchange.settle()
    assert exchange.of(LinkUp)[-1] == LinkUp(1, 2, "10.0.0.77", None, 1462)


def test_an_answer_to_a_wish_that_is_no_address_leaves_the_session_waiting() -> None:
    service = IPv4Service("10.0.0.1", "10.0.0.10", honour_wish=True)
    exchange = Exchange(replace(GRANT, ipv4=service))
    exchange.dial(assigned(), wish=replace(GRANT, ipv4=IPv4Service("10.0.0.77", "0.0.0.0")))
    exchange.worker.receive(AddressDecision(1, 2, ""), 0.0)
    exchange.worker.receive(AddressDecision(1, 2, "10.0.0.10"), 0.0)
    exchange.settle()
    last = exchange.of(LinkUp)[-1]
    assert isinstance(last, LinkUp)
    assert last.ipv4 == "10.0.0.10"


def test_an_orderly_close_terminates_the_link_and_is_answered_by_link_down() -> None:  # RFC 1661 §5.5
    exchange = dialled()
    exchange.sent.clear()
    exchange.worker.receive(SessionClosed(1, 2, True, "culvert terminate"), 1.0)
    assert exchange.sent[0][:11].hex() == "000200650066ff03c02105"
    exchange.settle()
    [down] = exchange.of(LinkDown)
    assert isinstance(down, LinkDown)
    assert (down.end, down.reason) == (LinkEnd.ADMINISTRATIVE, "culvert terminate")
    assert exchange.worker.subscribers == {}


def test_a_session_whose_call_is_gone_is_dropped_without_a_word() -> None:
    exchange = dialled()
    exchange.sent.clear()
    exchange.reports.clear()
    exchange.worker.receive(SessionClosed(1, 2, False, "CDN"), 1.0)
    assert not exchange.sent
    assert not exchange.reports
    assert not exchange.worker.subscribers
    assert not exchange.datapath.sessions


def test_closing_what_is_not_there_is_answered_all_the_same() -> None:
    exchange = Exchange()
    exchange.worker.receive(SessionClosed(1, 2, True, "again"), 1.0)
    exchange.worker.receive(SessionClosed(1, 2, False, "again"), 1.0)
    assert exchange.reports == [LinkDown(1, 2, LinkEnd.ADMINISTRATIVE, "again")]


def test_a_session_assigned_twice_goes_on_and_one_with_reused_ids_begins_anew() -> None:
    exchange = dialled()
    before = exchange.worker.subscribers[1, 2]
    exchange.worker.receive(assigned(), 1.0)
    exchange.worker.receive(assigned(authorization=GRANT), 1.0)
    assert exchange.worker.subscribers[1, 2] is before
    exchange.worker.receive(assigned(peer=ELSEWHERE), 1.0)
    assert exchange.worker.subscribers[1, 2] is not before
    assert exchange.datapath.sessions[1, 2].peer == ELSEWHERE
    assert exchange.datapath.sessions[1, 2].ipv4 is None


def test_a_peer_that_has_moved_is_answered_at_its_new_address() -> None:
    exchange = dialled()
    exchange.worker.receive(PeerConfirmed(1, ELSEWHERE), 1.0)
    assert exchange.datapath.sessions[1, 2].peer == ELSEWHERE
    exchange.worker.receive(assigned(peer=ELSEWHERE), 1.0)  # the same call, said again
    assert exchange.worker.subscribers[1, 2].up


def test_a_new_controller_hears_all_over_again() -> None:
    exchange = Exchange(decide=False)
    exchange.dial(assigned(1, 2))
    [request] = exchange.of(AuthRequest)
    assert isinstance(request, AuthRequest)
    exchange.worker.receive(accepted(request), 0.0)
    exchange.settle()
    up = exchange.of(LinkUp)[-1]
    exchange.dial(assigned(1, 3))
    [waiting] = exchange.of(AuthRequest)
    exchange.worker.receive(HelloWanted(8), 1.0)
    assert exchange.of(Hello) == [Hello(0, 4711, "reference", (), ((1, 2), (1, 3)))]
    exchange.worker.receive(Welcome(8), 1.0)
    assert exchange.reports == [up, waiting]
    assert exchange.worker.epoch == 8


def counters(exchange: Exchange) -> Counters:
    exchange.worker.heartbeat()
    [message] = exchange.of(Counters)
    assert isinstance(message, Counters)
    return message


def ping(exchange: Exchange, session_id: int = 2, source: bytes = bytes((10, 0, 0, 10))) -> None:
    octets = bytes.fromhex("0002 0001") + session_id.to_bytes(2, "big") + b"\x21" + packet(source, bytes(4))
    exchange.inject(octets)


def test_the_heartbeat_holds_the_sessions_that_have_moved_packets_since_the_last_one() -> None:
    exchange = dialled()
    ping(exchange)
    first = counters(exchange)
    assert [(row.session_id, row.rx_packets, row.rx_octets, row.tx_packets) for row in first.sessions] == [
        (2, 1, 20, 0)
    ]
    assert dict(first.totals)["rx_packets"] == 1
    assert first.digest == session_digest({(1, 2)})
    assert counters(exchange).sessions == ()
    ping(exchange)
    assert counters(exchange).sessions[0].rx_packets == 2


def test_rows_that_did_not_reach_the_controller_are_sent_again() -> None:
    exchange = dialled()
    ping(exchange)
    exchange.controller_takes = False
    exchange.worker.heartbeat()
    exchange.controller_takes = True
    assert len(counters(exchange).sessions) == 1
    exchange.worker.receive(Welcome(2), 1.0)  # another controller knows of none
    assert len(counters(exchange).sessions) == 1


def test_after_a_lost_message_the_worker_introduces_itself_so_that_all_is_said_again() -> None:
    exchange = dialled()
    up = exchange.of(LinkUp)[-1]
    exchange.reports.clear()
    exchange.controller_takes = False
    exchange.inject(bytes.fromhex("0002 0001 0002 8057 0501 0004"))  # IPV6CP ends: a LinkUp without it
    exchange.worker.heartbeat()
    assert exchange.reports == []
    exchange.controller_takes = True
    exchange.worker.heartbeat()
    exchange.worker.heartbeat()
    assert exchange.of(Hello) == [Hello(0, 4711, "reference", (), ((1, 2),))]
    exchange.worker.receive(Welcome(8), 1.0)
    assert isinstance(up, LinkUp)
    assert exchange.of(LinkUp) == [replace(up, interface_id=None)]


def test_a_heartbeat_is_bounded_and_every_session_has_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "ROWS_PER_HEARTBEAT", 2)
    exchange = Exchange()
    seen = []
    for session_id in range(1, 6):
        exchange.dial(assigned(1, session_id))
    for _ in range(3):
        for session_id in range(1, 6):
            exchange.datapath.sessions[1, session_id].rx_packets += 1
        seen.append([row.session_id for row in counters(exchange).sessions])
    assert seen == [[1, 2], [3, 4], [5, 1]]


def test_a_session_ends_when_its_time_is_over() -> None:
    exchange = dialled(session_timeout_s=100.0)
    exchange.advance(99.0)
    assert exchange.of(LinkDown) == []
    exchange.advance(100.0)
    [down] = exchange.of(LinkDown)
    assert isinstance(down, LinkDown)
    assert down.end is LinkEnd.SESSION_TIMEOUT


def test_an_idle_session_ends_but_traffic_keeps_it_up() -> None:
    exchange = dialled(idle_timeout_s=60.0)
    exchange.advance(50.0)
    ping(exchange)
    exchange.advance(109.0)
    assert exchange.of(LinkDown) == []
    exchange.advance(110.0)
    [down] = exchange.of(LinkDown)
    assert isinstance(down, LinkDown)
    assert down.end is LinkEnd.IDLE_TIMEOUT


def test_echoes_have_priority_and_a_peer_that_does_not_answer_is_given_up() -> (
    None
):  # RFC 2661 §3.1, RFC 1661 §5.8
    exchange = Exchange()
    exchange.dial(assigned(policy=replace(POLICY, echo_interval_s=10.0, echo_failures=2)))
    exchange.sent.clear()
    exchange.advance(10.0)
    assert exchange.sent[0][:11].hex() == "010200650066ff03c02109"
    exchange.peers[101, 102].abandon()
    exchange.advance(100.0)
    [down] = exchange.of(LinkDown)
    assert isinstance(down, LinkDown)
    assert down.end is LinkEnd.ECHO_LOST


def test_a_successor_s_numbers_are_taken_by_a_peer_that_expects_its_predecessor_s() -> None:  # RFC 2661 §5.4
    exchange = Exchange()
    exchange.dial(assigned(sequencing=True))
    exchange.far_datapath.sessions[101, 102].sequence.receive(20_000)  # so far it had come
    exchange.reports.clear()
    exchange.succeed()
    exchange.worker.receive(assigned(sequencing=True, authorization=GRANT), exchange.now)
    exchange.settle()
    assert exchange.of(LinkUp) == []  # nothing is heard yet
    exchange.advance(29.0)  # LCP has 30 s, and speaks every 3
    assert exchange.worker.subscribers[1, 2].up
    assert exchange.of(LinkDown) == []


def test_two_subscribers_never_have_the_same_interface_identifier() -> None:  # RFC 5072 §4.1
    exchange = Exchange()
    for session_id in (1, 2):  # both ask for 0xA
        exchange.dial(assigned(1, session_id))
    ups = [up for up in exchange.of(LinkUp) if isinstance(up, LinkUp) and up.interface_id is not None]
    assert len({up.interface_id for up in ups}) == 2
    assert ups[0].interface_id == 0xA


def test_a_bug_in_one_sessions_machine_ends_that_session_alone(caplog: pytest.LogCaptureFixture) -> None:
    exchange = Exchange()
    for session_id in (1, 2):
        exchange.dial(assigned(1, session_id))
    exchange.reports.clear()
    broken, sound = exchange.worker.subscribers[1, 1], exchange.worker.subscribers[1, 2]
    broken.link = None  # type: ignore[assignment]
    echo = bytes.fromhex("ff03c0210901000800000000")
    exchange.worker.frames([Frame(broken.session, echo), Frame(sound.session, echo)], 1.0)
    assert exchange.reports == [LinkDown(1, 1, LinkEnd.NEGOTIATION_FAILED, "internal error")]
    assert list(exchange.worker.subscribers) == [(1, 2)]
    assert list(exchange.datapath.sessions) == [(1, 2)]
    [record] = caplog.records
    assert (record.levelname, bool(record.exc_info)) == ("ERROR", True)


@pytest.mark.parametrize(
    "message",
    [
        assigned(listen=7),
        assigned(peer=("host.example", 1701)),
        assigned(tunnel_id=70_000, policy=LinkPolicy(authentication=("unheard-of",))),
        PeerConfirmed(1, ("host.example", 1701)),
        Hello(0, 1, "", (), ()),
    ],
)
def test_a_message_that_makes_no_sense_leaves_every_session_up(message: object) -> None:
    exchange = dialled()
    exchange.worker.receive(message, 1.0)  # type: ignore[arg-type]
    assert exchange.worker.subscribers[1, 2].up


def test_a_frame_for_a_session_that_has_gone_is_ignored() -> None:
    exchange = dialled()
    old = exchange.datapath.sessions[1, 2]
    exchange.worker.receive(SessionClosed(1, 2, False, ""), 1.0)
    exchange.worker.receive(assigned(peer=ELSEWHERE), 1.0)  # another call, with the same IDs
    exchange.sent.clear()
    exchange.reports.clear()
    exchange.worker.frames([Frame(old, bytes.fromhex("c02105010004"))], 1.0)
    assert not exchange.sent
    assert not exchange.reports
