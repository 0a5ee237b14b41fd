"""Control connections and incoming calls between two of our own machines (RFC 2661 §5, §7)."""

from __future__ import annotations

import pytest

from shared.l2tp.attributes import ACCM, CallErrors
from shared.l2tp.avp import AVP, decode_avps
from shared.l2tp.connection import (
    CallInfo,
    CallOffered,
    Command,
    ConnectionSettings,
    ControlConnection,
    DisconnectCause,
    Note,
    Released,
    Result,
    Role,
    SessionDown,
    SessionUp,
    Transmit,
    TunnelDown,
    TunnelState,
    TunnelUp,
    read_sccrq,
    read_stop,
)
from shared.l2tp.header import ControlHeader, decode_control
from shared.l2tp.messages import (
    CDN,
    HELLO,
    ICCN,
    ICRQ,
    OCRQ,
    SCCCN,
    SCCRP,
    SCCRQ,
    SLI,
    WEN,
    Message,
    StopCCN,
    decode_message,
    encode_message,
)
from tests.support.l2tp import LAC_ADDRESS, LAC_TUNNEL, LNS_ADDRESS, LNS_TUNNEL, Pair, established

REQUEST = SCCRQ(
    protocol_version=0x0100, framing_capabilities=3, host_name=b"lac", assigned_tunnel_id=LAC_TUNNEL
)
SESSION = 101  # the ID that the LNS of a pair gives to its first call


def say(pair: Pair, message: Message, session_id: int = 0, *, tunnel_id: int = LNS_TUNNEL) -> list[object]:
    """Let the LAC's address send the LNS a message in its turn; return what the LNS reports or answers."""
    return say_octets(pair, encode_message(message), session_id, tunnel_id=tunnel_id)


def say_octets(pair: Pair, body: bytes, session_id: int = 0, *, tunnel_id: int = LNS_TUNNEL) -> list[object]:
    channel = pair.lns._channel
    header = ControlHeader(tunnel_id, session_id, channel.nr, channel.oldest_ns)
    return read(pair.lns.receive(header.encode(body), LAC_ADDRESS, pair.now))


def read(commands: list[Command]) -> list[object]:
    """Return commands with the messages in place of the datagrams that carry them, and without ZLBs."""
    said: list[object] = []
    for command in commands:
        if isinstance(command, Transmit):
            _, body = decode_control(memoryview(command.datagram))
            said += [decode_message(body)] if len(body) else []
        else:
            said.append(command)
    return said


def lone_lns(**settings: object) -> ControlConnection:
    made = ConnectionSettings("lns", **settings)  # type: ignore[arg-type]
    return ControlConnection(made, Role.LNS, LNS_TUNNEL, LAC_ADDRESS, random=bytes)


def first(message: Message) -> bytes:
    return ControlHeader(0, 0, 0, 0).encode(encode_message(message))


# Establishment.


def test_lock_step_establishment() -> None:  # RFC 2661 Appendix B.1
    pair = Pair()
    pair.dial(calls=0)
    pair.run(1.0)
    assert pair.trace == [
        ("LAC", "SCCRQ", 0, 0),
        ("LNS", "SCCRP", 0, 1),
        ("LAC", "SCCCN", 1, 1),
        ("LNS", "ZLB", 1, 2),
    ]
    assert pair.lac.state is pair.lns.state is TunnelState.ESTABLISHED


def test_a_call_is_icrq_icrp_iccn_and_its_acknowledgements_ride_on_them() -> None:
    pair = established()
    assert pair.trace[3:] == [
        ("LAC", "ICRQ", 2, 1),
        ("LNS", "ICRP", 1, 3),
        ("LAC", "ICCN", 3, 2),
        ("LNS", "ZLB", 2, 4),
    ]
    assert [type(event) for event in pair.events[id(pair.lns)]] == [TunnelUp, CallOffered, SessionUp]
    assert [type(event) for event in pair.events[id(pair.lac)]] == [TunnelUp, SessionUp]


def test_events_come_before_the_octets_that_acknowledge_their_cause() -> None:
    pair = established()
    (_, _, stop) = pair.lac.close(Result(1), pair.now)
    assert isinstance(stop, Transmit)
    commands = pair.lns.receive(stop.datagram, LAC_ADDRESS, pair.now)
    assert [type(command) for command in commands] == [SessionDown, TunnelDown, Transmit]


def test_both_sides_learn_names_and_ids() -> None:
    pair = established()
    assert (pair.lns.peer_hostname, pair.lns.peer_vendor, pair.lns.peer_tunnel_id) == (
        "lac",
        "Culvert",
        LAC_TUNNEL,
    )
    assert (pair.lac.peer_hostname, pair.lac.peer_tunnel_id) == ("lns", LNS_TUNNEL)


def test_what_the_lac_says_of_a_call_reaches_the_lns() -> None:
    call = CallInfo(
        serial_number=5,
        bearer_type=2,
        calling_number="+49 30 1",
        called_number="service",
        sub_address="x",
        physical_channel_id=3,
        tx_speed=150_000_000,
        rx_speed=50_000_000,
        framing_type=1,
        proxy=(("proxy_authen_type", 3), ("proxy_authen_name", b"alice")),
        private_group_id="group",
        sequencing_required=True,
    )
    pair = Pair()
    pair.perform(pair.lac, pair.lac.place_call(4, call, 0.0))
    pair.dial(calls=0)
    pair.run(1.0)
    (up,) = pair.of(pair.lns, SessionUp)
    assert (up.call, up.peer_session_id) == (call, 4)


@pytest.mark.parametrize("hide", [False, True])
def test_both_sides_authenticate_with_a_shared_secret(hide: bool) -> None:
    pair = established(secret=b"tunnel-secret", hide_avps=hide)
    assert pair.lac.state is pair.lns.state is TunnelState.ESTABLISHED
    assert list(pair.lns.sessions) == [SESSION]


def test_hidden_avps_follow_a_random_vector_and_only_those_that_may_be_are_hidden() -> None:
    pair = Pair(lac={"secret": b"tunnel-secret", "hide_avps": True})
    (request,) = pair.lac.open(0.0)
    assert isinstance(request, Transmit)
    avps = list(decode_avps(decode_control(memoryview(request.datagram))[1]))
    assert [avp.attribute for avp in avps[:2]] == [0, 36]
    assert {avp.attribute for avp in avps if avp.hidden} == {3, 4, 6, 8, 9, 11}
    assert read_sccrq(request.datagram, b"tunnel-secret") is not None
    assert read_sccrq(request.datagram) is None


@pytest.mark.parametrize(
    ("lac", "lns"),
    [
        (b"one", b"two"),  # the LNS answers wrongly
        (None, b"two"),  # the LAC can't answer
        (b"one", None),  # the LNS can't answer
    ],
)
def test_without_the_same_secret_the_tunnel_is_refused_as_not_authorized(
    lac: bytes | None, lns: bytes | None
) -> None:
    pair = Pair(lac={"secret": lac}, lns={"secret": lns})
    pair.dial()
    pair.run(200.0)
    assert not pair.of(pair.lns, TunnelUp)
    refusals = pair.of(pair.lac, TunnelDown) + pair.of(pair.lns, TunnelDown)
    assert {down.result.code for down in refusals} == {4}
    assert pair.lac.state is pair.lns.state is TunnelState.RELEASED


def test_another_protocol_version_is_refused_with_ours() -> None:
    octets = bytearray(first(REQUEST))
    octets[octets.index(bytes.fromhex("0000 0002 0100")) + 4] = 3
    said = read(lone_lns().receive(bytes(octets), LAC_ADDRESS, 0.0))
    assert [type(each) for each in said] == [TunnelDown, StopCCN, Released]
    assert isinstance(said[1], StopCCN)
    assert said[1].result == Result(5, 0x0100)


def test_a_refused_sccrq_leaves_no_state_behind() -> None:
    lns = lone_lns()
    spoiled = encode_message(REQUEST) + AVP(0x0BAD, b"x").encode()
    said = read(lns.receive(ControlHeader(0, 0, 0, 0).encode(spoiled), LAC_ADDRESS, 0.0))
    assert [type(each) for each in said] == [TunnelDown, StopCCN, Released]
    assert isinstance(said[1], StopCCN)
    assert (said[1].result.code, said[1].result.error) == (2, 8)
    assert lns.next_timeout() is None


def test_an_impatient_client_that_repeats_sccrq_gets_the_same_sccrp_again() -> None:
    lns = lone_lns()
    (reply,) = lns.receive(first(REQUEST), LAC_ADDRESS, 0.0)
    assert lns.receive(first(REQUEST), LAC_ADDRESS, 0.3) == [reply]
    assert lns.receive(first(REQUEST), LAC_ADDRESS, 0.6) == [reply]


def test_a_client_without_a_name_is_served() -> None:
    lns = lone_lns()
    nameless = SCCRQ(
        protocol_version=0x0100, framing_capabilities=3, host_name=b"", assigned_tunnel_id=LAC_TUNNEL
    )
    assert [type(each) for each in read(lns.receive(first(nameless), LAC_ADDRESS, 0.0))] == [SCCRP]
    assert lns.peer_hostname == ""


def test_an_incomplete_sccrq_is_refused_by_the_name_of_what_is_missing() -> None:
    request = ControlHeader(0, 0, 0, 0).encode(bytes.fromhex("80080000 00000001 80080000 00090007"))
    assert read_sccrq(request) is not None
    down, stop, _ = read(lone_lns().receive(request, LAC_ADDRESS, 0.0))
    assert isinstance(down, TunnelDown)
    assert "Protocol Version AVP is missing" in down.reason
    assert isinstance(stop, StopCCN)


def test_a_refusal_of_our_sccrq_may_come_with_tunnel_id_0() -> None:
    lac = requester(None)
    stop = encode_message(StopCCN(assigned_tunnel_id=77, result=Result(4)))
    (down,) = read(lac.receive(ControlHeader(0, 0, 0, 1).encode(stop), LNS_ADDRESS, 0.1))
    assert isinstance(down, TunnelDown)
    assert (down.result.code, down.by_peer) == (4, True)


def test_a_call_may_be_asked_for_right_behind_scccn_or_even_overtake_it() -> None:
    connected = ControlHeader(LNS_TUNNEL, 0, 1, 1).encode(encode_message(SCCCN()))
    call = encode_message(ICRQ(assigned_session_id=5, call_serial_number=1))
    asked = ControlHeader(LNS_TUNNEL, 0, 2, 1).encode(call)
    for order in ((connected, asked), (asked, connected)):
        lns = lone_lns()
        lns.receive(first(REQUEST), LAC_ADDRESS, 0.0)
        events = [event for each in order for event in lns.receive(each, LAC_ADDRESS, 0.1)]
        assert [type(event) for event in events if not isinstance(event, Transmit)] == [TunnelUp, CallOffered]


def test_a_zlb_with_a_session_id_acknowledges_like_any_other() -> None:  # xl2tpd sends such
    lns = lone_lns()
    lns.receive(first(REQUEST), LAC_ADDRESS, 0.0)
    lns.receive(ControlHeader(LNS_TUNNEL, 555, 1, 1).encode(b""), LAC_ADDRESS, 0.1)
    assert lns._channel.idle
    assert lns.state is TunnelState.WAIT_CTL_CONN


def test_a_peer_that_acknowledges_nothing_has_so_many_replies_waiting_and_no_more() -> None:
    pair = established()
    oldest = pair.lns._channel.oldest_ns
    request = encode_message(OCRQ(
        assigned_session_id=9, call_serial_number=1, minimum_bps=1, maximum_bps=1, bearer_type=1,
        framing_type=1, called_number=b"1",
    ))  # fmt: skip
    for _ in range(3000):
        header = ControlHeader(LNS_TUNNEL, 0, pair.lns._channel.nr, oldest)
        pair.lns.receive(header.encode(request), LAC_ADDRESS, pair.now)
    assert 1000 < pair.lns._channel.backlog < 1100


def test_session_messages_before_establishment_end_the_tunnel_as_fsm_errors() -> None:
    lns = lone_lns()
    lns.receive(first(REQUEST), LAC_ADDRESS, 0.0)
    early = encode_message(ICRQ(assigned_session_id=1, call_serial_number=1))
    said = read(lns.receive(ControlHeader(LNS_TUNNEL, 0, 1, 1).encode(early), LAC_ADDRESS, 0.1))
    assert isinstance(said[0], TunnelDown)
    assert said[0].result.code == 7


def test_a_tunnel_that_is_not_established_in_time_is_given_up() -> None:
    pair = Pair()
    pair.addresses.clear()
    pair.dial()
    pair.run(100.0)
    assert [type(event) for event in pair.events[id(pair.lac)]] == [SessionDown, TunnelDown, Released]
    assert pair.lac.next_timeout() is None


# Ties (§4.4.3).


def requester(tie: bytes | None) -> ControlConnection:
    settings = ConnectionSettings("me", tie_breaker=tie is not None)
    made = ControlConnection(settings, Role.LAC, 7, LNS_ADDRESS, random=lambda count: (tie or b"")[:count])
    made.open(0.0)
    return made


@pytest.mark.parametrize(
    ("ours", "theirs", "goes_on"),
    [
        (bytes(7) + b"\1", bytes(7) + b"\2", True),  # the lower value wins
        (bytes(7) + b"\2", bytes(7) + b"\1", False),
        (bytes(8), bytes(8), False),  # both give way
        (bytes(8), None, True),
        (None, bytes(8), False),
        (None, None, True),  # two tunnels
    ],
)
def test_a_tie_is_decided_by_the_lower_tie_breaker(
    ours: bytes | None, theirs: bytes | None, goes_on: bool
) -> None:
    connection = requester(ours)
    rival = SCCRQ(
        protocol_version=0x0100,
        framing_capabilities=3,
        host_name=b"x",
        assigned_tunnel_id=3,
        tie_breaker=theirs,
    )
    events = connection.receive(first(rival), LNS_ADDRESS, 0.1)
    assert (connection.state is TunnelState.WAIT_CTL_REPLY) is goes_on
    assert [type(event) for event in events] == ([Note] if goes_on else [TunnelDown, Released])


# Calls.


def test_a_rejected_call_is_told_to_the_lac() -> None:
    pair = Pair(answer_calls=False)
    pair.dial()
    pair.run(1.0)
    pair.perform(pair.lns, pair.lns.reject_call(1, Result(4, 0, "full"), pair.now))
    pair.run(2.0)
    (down,) = pair.of(pair.lac, SessionDown)
    assert (down.local_session_id, down.result, down.by_peer) == (1, Result(4, 0, "full"), True)
    assert pair.lac.state is TunnelState.ESTABLISHED


def test_a_call_beyond_the_limit_is_refused_and_the_others_stay() -> None:
    pair = Pair(lns={"max_sessions": 2})
    pair.dial(calls=3)
    pair.run(1.0)
    assert len(pair.of(pair.lns, CallOffered)) == 2
    (down,) = pair.of(pair.lac, SessionDown)
    assert down.result.code == 4


@pytest.mark.parametrize("closer", ["lac", "lns"])
def test_closing_a_session_reports_it_once_on_both_sides_with_its_ppp_cause(closer: str) -> None:
    pair = established()
    side = pair.lac if closer == "lac" else pair.lns
    cause = DisconnectCause(3, 0xC021, 2, "bye")
    local_session_id = next(iter(side.sessions))
    pair.perform(side, side.close_session(local_session_id, Result(3, 0, "done"), pair.now, cause))
    pair.perform(side, side.close_session(local_session_id, Result(3), pair.now))
    pair.run(5.0)
    for each in (pair.lac, pair.lns):
        (down,) = pair.of(each, SessionDown)
        assert (down.result, down.cause, down.by_peer) == (Result(3, 0, "done"), cause, each is not side)
        assert each.sessions == {}
        assert each.state is TunnelState.ESTABLISHED


def test_a_cdn_with_session_id_0_is_found_by_the_assigned_session_id() -> None:
    pair = established()
    (down,) = say(pair, CDN(result=Result(1), assigned_session_id=1))
    assert isinstance(down, SessionDown)
    assert down.local_session_id == SESSION


def test_a_call_that_the_peer_takes_back_before_our_answer_is_down_when_accepted() -> None:
    pair = established()
    say(pair, ICRQ(assigned_session_id=50, call_serial_number=2))
    say(pair, CDN(result=Result(1), assigned_session_id=50))
    (down,) = pair.lns.accept_call(50, 200, pair.now)
    assert isinstance(down, SessionDown)
    assert (down.local_session_id, down.by_peer) == (200, True)


def test_an_icrq_that_reuses_a_live_session_id_ends_that_session() -> None:
    pair = established()
    said = say(pair, ICRQ(assigned_session_id=1, call_serial_number=2))
    assert [type(each) for each in said] == [SessionDown, CDN]


def test_a_repeated_iccn_in_a_new_message_ends_the_session_alone() -> None:
    pair = established()
    said = say(pair, ICCN(tx_connect_speed=1, framing_type=1), SESSION)
    assert [type(each) for each in said] == [SessionDown, CDN]
    assert pair.lns.state is TunnelState.ESTABLISHED


def test_an_unknown_mandatory_avp_in_a_session_message_ends_that_session_with_result_2_error_8() -> None:
    pair = established()
    wen = encode_message(WEN(call_errors=CallErrors(1, 1, 1, 1, 1, 1))) + AVP(0x0BAD, b"").encode()
    down, cdn = say_octets(pair, wen, SESSION)
    assert isinstance(down, SessionDown)
    assert isinstance(cdn, CDN)
    assert (cdn.result.code, cdn.result.error) == (2, 8)
    assert pair.lns.state is TunnelState.ESTABLISHED


def test_an_unknown_mandatory_avp_in_icrq_refuses_the_call() -> None:
    pair = established()
    request = encode_message(ICRQ(assigned_session_id=60, call_serial_number=2)) + AVP(0x0BAD, b"").encode()
    said = say_octets(pair, request)
    assert [type(each) for each in said] == [Note, CDN]
    assert list(pair.lns.sessions) == [SESSION]


def test_an_unknown_mandatory_avp_in_a_tunnel_message_ends_the_tunnel_with_result_2_error_8() -> None:
    pair = established()
    said = say_octets(pair, encode_message(HELLO()) + AVP(0x0BAD, b"").encode())
    assert [type(each) for each in said] == [SessionDown, TunnelDown, StopCCN]
    assert isinstance(said[2], StopCCN)
    assert (said[2].result.code, said[2].result.error, said[2].assigned_tunnel_id) == (2, 8, LNS_TUNNEL)


def test_an_unknown_message_without_the_m_bit_is_ignored() -> None:
    pair = established()
    said = say_octets(pair, bytes.fromhex("0008 0000 0000 0063"))
    assert [type(each) for each in said] == [Note]
    assert pair.lns.state is TunnelState.ESTABLISHED


def test_wen_and_sli_are_accepted() -> None:
    pair = established()
    assert [type(each) for each in say(pair, WEN(call_errors=CallErrors(1, 2, 3, 4, 5, 6)), SESSION)] == [
        Note
    ]
    assert [type(each) for each in say(pair, SLI(accm=ACCM(0, 0)), SESSION)] == [Note]
    assert list(pair.lns.sessions) == [SESSION]


def test_an_outgoing_call_is_refused_as_lacking_facilities() -> None:
    pair = established()
    request = OCRQ(
        assigned_session_id=70,
        call_serial_number=1,
        minimum_bps=1,
        maximum_bps=2,
        bearer_type=1,
        framing_type=1,
        called_number=b"1",
    )
    (cdn,) = say(pair, request)
    assert isinstance(cdn, CDN)
    assert cdn.result.code == 5


def test_a_session_that_we_do_not_have_is_denied_by_the_id_that_the_peer_takes_for_ours() -> None:
    pair = established()
    _, cdn = say(pair, ICCN(tx_connect_speed=1, framing_type=1), 999)
    assert isinstance(cdn, CDN)
    assert (cdn.assigned_session_id, cdn.result.error) == (999, 5)


def test_a_call_that_is_not_connected_in_time_is_given_up() -> None:
    pair = Pair(answer_calls=False)
    pair.dial()
    pair.run(100.0)
    (down,) = pair.of(pair.lac, SessionDown)
    assert down.result.code == 10
    assert pair.lac.state is pair.lns.state is TunnelState.ESTABLISHED


def test_a_call_placed_on_a_closed_tunnel_is_down_at_once() -> None:
    pair = established()
    pair.lac.close(Result(1), pair.now)
    (down,) = pair.lac.place_call(9, CallInfo(), pair.now)
    assert isinstance(down, SessionDown)


# The end of a tunnel.


def test_a_closed_tunnel_takes_its_sessions_along_and_lasts_a_full_cycle_at_the_receiver() -> None:
    pair = established()
    pair.perform(pair.lac, pair.lac.close(Result(6, 0, "restart"), pair.now))
    pair.run(2.0)
    assert [type(event) for event in pair.events[id(pair.lac)]][2:] == [SessionDown, TunnelDown, Released]
    assert [type(event) for event in pair.events[id(pair.lns)]][3:] == [SessionDown, TunnelDown]
    (down,) = pair.of(pair.lns, TunnelDown)
    assert (down.result, down.by_peer) == (Result(6, 0, "restart"), True)
    pair.run(31.9)
    assert not pair.of(pair.lns, Released)
    pair.run(32.1)
    assert len(pair.of(pair.lns, Released)) == 1


def test_a_repeated_stopccn_is_acknowledged_for_a_full_cycle() -> None:
    pair = established()
    (stop,) = (each for each in pair.lac.close(Result(1), pair.now) if isinstance(each, Transmit))
    for now in (1.0, 2.0, 4.0, 8.0, 16.0, 31.0):
        pair.perform(pair.lns, pair.lns.handle_timer(now))
        answers = [
            each for each in pair.lns.receive(stop.datagram, LAC_ADDRESS, now) if isinstance(each, Transmit)
        ]
        assert [len(each.datagram) for each in answers] == [12]


def test_an_unanswered_stopccn_is_repeated_for_a_full_cycle_and_then_forgotten() -> None:
    pair = established()
    pair.addresses.clear()
    before = len(pair.trace)
    pair.perform(pair.lac, pair.lac.close(Result(1), pair.now))
    pair.run(60.0)
    assert [name for _, name, _, _ in pair.trace[before:]].count("StopCCN") == 6
    assert pair.lac.state is TunnelState.RELEASED


def test_a_stopccn_for_tunnel_id_0_is_found_by_the_assigned_tunnel_id() -> None:
    pair = established()
    stop = StopCCN(assigned_tunnel_id=LAC_TUNNEL, result=Result(1))
    found = read_stop(ControlHeader(0, 0, 4, 2).encode(encode_message(stop)))
    assert found == stop
    said = say(pair, stop, tunnel_id=0)
    assert [type(each) for each in said] == [SessionDown, TunnelDown]


def test_a_stopccn_for_tunnel_id_0_of_another_peer_tunnel_is_not_ours() -> None:
    pair = established()
    assert say(pair, StopCCN(assigned_tunnel_id=LAC_TUNNEL + 1, result=Result(1)), tunnel_id=0) == []
    assert pair.lns.state is TunnelState.ESTABLISHED


def test_sccrq_sccrp_and_scccn_in_an_established_tunnel_end_it_as_fsm_errors() -> None:
    pair = established()
    _, down, stop = say(pair, REQUEST)
    assert isinstance(down, TunnelDown)
    assert isinstance(stop, StopCCN)
    assert stop.result.code == 7


# Keepalive.


def test_an_idle_tunnel_is_kept_alive_by_hello() -> None:
    pair = established(hello_interval_s=60.0)
    before = len(pair.trace)
    pair.run(120.0)
    hellos = [entry for entry in pair.trace[before:] if entry[1] == "HELLO"]
    assert len(hellos) in {1, 2}
    assert pair.lns.state is TunnelState.ESTABLISHED


def test_hello_is_held_back_while_another_message_is_pending() -> None:
    pair = established(hello_interval_s=10.0)
    pair.addresses.clear()
    pair.perform(pair.lns, pair.lns.close_session(SESSION, Result(3), pair.now))
    pair.run(40.0)
    assert [name for who, name, _, _ in pair.trace if who == "LNS"].count("HELLO") == 0


def test_a_peer_that_does_not_answer_hello_is_gone_with_all_its_sessions() -> None:
    pair = established()
    pair.addresses.clear()
    pair.run(200.0)
    for side in (pair.lac, pair.lns):
        assert [type(event) for event in pair.events[id(side)]][-3:] == [SessionDown, TunnelDown, Released]
        assert side.next_timeout() is None


def test_no_interval_means_no_hello() -> None:
    pair = established(hello_interval_s=0.0)
    assert pair.lns.next_timeout() is None
