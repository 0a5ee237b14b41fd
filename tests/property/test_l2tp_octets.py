"""Any octets at all: codecs raise `ProtocolError` or return, and an established tunnel stays established."""

from __future__ import annotations

import functools
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ProtocolError
from shared.l2tp.attributes import ACCM, TABLE, Attribute, CallErrors
from shared.l2tp.avp import AVP, decode_avps
from shared.l2tp.connection import (
    CallInfo,
    ConnectionSettings,
    ControlConnection,
    PeerMoved,
    Role,
    Transmit,
    TunnelState,
    read_sccrq,
    read_stop,
)
from shared.l2tp.header import (
    ControlHeader,
    DataHeader,
    decode_control,
    encode_data_header,
    parse_data_header,
)
from shared.l2tp.hiding import Hider, unhide
from shared.l2tp.messages import (
    CDN,
    HELLO,
    ICCN,
    ICRP,
    ICRQ,
    OCCN,
    OCRP,
    OCRQ,
    SCCCN,
    SCCRP,
    SCCRQ,
    SLI,
    WEN,
    StopCCN,
    UnknownMessage,
    decode_message,
    encode_message,
)
from shared.l2tp.results import DisconnectCause, Q931Cause, Result
from tests.support.l2tp import LAC_ADDRESS, LNS_ADDRESS, LNS_TUNNEL, Pair, established

CLASSES = (SCCRQ, SCCRP, SCCCN, StopCCN, HELLO, OCRQ, OCRP, OCCN, ICRQ, ICRP, ICCN, CDN, WEN, SLI)
U16, U32 = st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
TEXT = st.text(st.characters(codec="utf-8", categories=["L", "N"]), max_size=40)
SPECIAL = {
    "tie_breaker": st.binary(min_size=8, max_size=8),
    "challenge_response": st.binary(min_size=16, max_size=16),
    "receive_window_size": st.integers(1, 0xFFFF),
    "result": st.builds(Result, U16, U16, TEXT),
    "q931_cause": st.builds(Q931Cause, U16, st.integers(0, 255), st.binary(max_size=30)),
    "call_errors": st.builds(CallErrors, *[U32] * 6),
    "accm": st.builds(ACCM, U32, U32),
    "disconnect_cause": st.builds(DisconnectCause, U16, U16, st.integers(0, 2), TEXT),
}
AVPS = st.builds(
    AVP, U16, st.binary(max_size=40), U16, st.sampled_from([0, 0x8000, 0x4000, 0xC000, 0x2000, 0xBC00])
)


def hinted(kind: Any, name: str) -> st.SearchStrategy[Any]:
    """Return values for one field of a message class."""
    hint = kind.__annotations__[name]
    if name in SPECIAL:
        strategy: st.SearchStrategy[Any] = SPECIAL[name]
    elif hint.startswith("int"):
        narrow = next(row for row in TABLE if row.field == name).kind.encode(0)
        strategy = U16 if len(narrow) == 2 else U32
    elif hint.startswith("bytes"):
        strategy = st.binary(min_size=1, max_size=60) | st.just(b"x" * 1017)
    else:
        return st.booleans()
    return strategy | st.none() if hint.endswith("None") else strategy


@functools.cache
def messages_of(kind: Any) -> st.SearchStrategy[Any]:
    names = [item.name for item in fields(kind) if item.name != "unknown"]
    return st.builds(kind, **{name: hinted(kind, name) for name in names})


MESSAGES = st.sampled_from(CLASSES).flatmap(messages_of)


@given(MESSAGES)
def test_a_message_survives_its_own_octets(message: Any) -> None:
    assert decode_message(memoryview(encode_message(message))) == message


@given(MESSAGES, st.binary(min_size=1, max_size=40), st.binary(min_size=1, max_size=200))
def test_a_message_survives_hiding(message: Any, secret: bytes, vector: bytes) -> None:
    octets = encode_message(message, Hider(secret, vector))
    assert decode_message(memoryview(octets), secret) == message


@given(st.lists(AVPS, max_size=8))
def test_avps_survive_their_octets_whatever_their_flags(avps: list[AVP]) -> None:
    assert list(decode_avps(memoryview(b"".join(avp.encode() for avp in avps)))) == avps


@given(U16, st.binary(max_size=300), st.binary(), st.binary(), st.binary(max_size=50))
def test_hiding_is_undone_and_padding_dropped(
    attribute: int, value: bytes, secret: bytes, vector: bytes, padding: bytes
) -> None:
    hidden = Hider(secret, vector).hide(attribute, value, padding)
    assert unhide(attribute, hidden, secret, vector) == value


@given(st.builds(ControlHeader, U16, U16, U16, U16), st.binary(max_size=200), st.binary(max_size=9))
def test_a_control_header_survives_and_padding_behind_it_is_ignored(
    header: ControlHeader, body: bytes, padding: bytes
) -> None:
    found, rest = decode_control(memoryview(header.encode(body) + padding))
    assert (found, bytes(rest)) == (header, body)


@given(U16, U16, st.none() | U16, U16, st.booleans(), st.booleans(), st.binary(max_size=100))
def test_a_data_header_survives(
    tunnel: int, session: int, ns: int | None, nr: int, priority: bool, with_length: bool, payload: bytes
) -> None:
    length = len(payload) if with_length else None
    head = encode_data_header(tunnel, session, length=length, ns=ns, nr=nr, priority=priority)
    found = parse_data_header(head + payload)
    end = len(head) + len(payload)
    assert found == DataHeader(tunnel, session, ns, None if ns is None else nr, priority, len(head), end)


@given(st.binary(max_size=120))
def test_data_headers_of_any_octets_stay_inside_the_datagram(octets: bytes) -> None:
    header = parse_data_header(octets)
    if header is not None:
        assert 6 <= header.offset_of_payload <= header.end_of_payload <= len(octets)


@given(st.binary(max_size=300), st.none() | st.binary(max_size=10))
def test_bodies_of_any_octets_decode_or_raise_protocol_error(octets: bytes, secret: bytes | None) -> None:
    try:
        decode_message(memoryview(octets), secret)
    except ProtocolError:
        return


@given(st.sampled_from(TABLE), st.binary(max_size=64))
def test_values_of_any_octets_decode_or_raise_protocol_error(row: Attribute, octets: bytes) -> None:
    try:
        row.kind.decode(octets)
    except ProtocolError:
        return


BODIES = (
    st.binary(max_size=80)
    | MESSAGES.map(encode_message)
    | st.lists(AVPS, max_size=5).map(lambda avps: b"".join(avp.encode() for avp in avps))
    | st.tuples(st.integers(0, 20), st.lists(AVPS, max_size=4)).map(
        lambda parts: b"".join(avp.encode() for avp in [AVP(0, parts[0].to_bytes(2, "big")), *parts[1]])
    )
)
NEAR = st.integers(0, 12) | st.integers(0xFFF8, 0xFFFF) | U16
HEADERS = st.builds(
    ControlHeader,
    st.sampled_from([0, LNS_TUNNEL, LNS_TUNNEL, LNS_TUNNEL, 1234]),
    st.sampled_from([0, 101, 7]),
    NEAR,
    NEAR,
)
DATAGRAMS = st.binary(max_size=120) | st.builds(lambda header, body: header.encode(body), HEADERS, BODIES)
STRANGERS = st.sampled_from([("203.0.113.9", 1701), ("203.0.113.9", 4), (LAC_ADDRESS[0], 99)])


@given(st.lists(st.tuples(DATAGRAMS, STRANGERS), max_size=12))
def test_strangers_send_what_they_like_and_the_tunnel_with_its_call_stays(
    datagrams: list[tuple[bytes, Any]],
) -> None:
    pair = established()
    before = pair.lns.peer
    for octets, source in datagrams:
        pair.perform(pair.lns, pair.lns.receive(octets, source, pair.now))
    pair.run(pair.now + 40.0)
    assert pair.lns.state is pair.lac.state is TunnelState.ESTABLISHED
    assert list(pair.lns.sessions) == [101]
    assert pair.lns.peer == before
    assert not pair.of(pair.lns, PeerMoved)


def breaks_the_protocol(octets: bytes) -> bool:
    """Whether the octets may end the tunnel: a teardown, or what §4.1 and §7.1 call a violation."""
    try:
        header, body = decode_control(memoryview(octets))
    except ProtocolError:
        return False
    if not len(body):
        return False
    try:
        message = decode_message(body)
    except ProtocolError:
        return True
    return isinstance(message, (StopCCN, SCCRQ, SCCRP, SCCCN)) or header.tunnel_id == 0


@given(st.lists(DATAGRAMS, max_size=12))
def test_the_peers_own_address_ends_the_tunnel_only_by_teardown_or_violation(datagrams: list[bytes]) -> None:
    pair = established()
    harmless = True
    for octets in datagrams:
        pair.perform(pair.lns, pair.lns.receive(octets, LAC_ADDRESS, pair.now))
        try:
            harmless = harmless and not (
                len(decode_control(memoryview(octets))[1]) and breaks_the_protocol(octets)
            )
        except ProtocolError:
            continue
    if harmless:
        assert pair.lns.state is TunnelState.ESTABLISHED


@given(st.lists(st.tuples(DATAGRAMS, st.floats(0.0, 20.0)), max_size=10), st.sampled_from(Role))
def test_a_machine_in_any_state_takes_any_octets_at_any_time(
    datagrams: list[tuple[bytes, float]], role: Role
) -> None:
    machine = ControlConnection(
        ConnectionSettings("me", secret=b"s"),
        role,
        LNS_TUNNEL,
        LAC_ADDRESS,
        random=bytes,
    )
    now = 0.0
    if role is Role.LAC:
        machine.place_call(5, CallInfo(), now)
        machine.open(now)
    for octets, pause in datagrams:
        machine.receive(octets, LAC_ADDRESS, now)
        now += pause
        machine.handle_timer(now)
    for _ in range(100):
        due = machine.next_timeout()
        if due is None or machine.state is TunnelState.ESTABLISHED:
            return
        machine.handle_timer(due)
    pytest.fail("it does not come to rest")


@given(st.lists(DATAGRAMS, max_size=20))
def test_an_unproven_source_gets_no_more_than_three_times_what_it_sent(datagrams: list[bytes]) -> None:
    machine = ControlConnection(ConnectionSettings("lns"), Role.LNS, LNS_TUNNEL, LAC_ADDRESS, random=bytes)
    (request,) = Pair().lac.open(0.0)
    assert isinstance(request, Transmit)
    received, sent, now = 0, 0, 0.0
    for octets in [request.datagram, *datagrams]:
        try:
            header, _ = decode_control(memoryview(octets))
        except ProtocolError:
            continue
        if header.nr == 0 or len(octets) < 12:
            received += len(octets)
            commands = machine.receive(octets, LAC_ADDRESS, now)
            commands += machine.handle_timer(now := now + 5.0)
            sent += sum(len(command.datagram) for command in commands if isinstance(command, Transmit))
            assert sent <= 3 * received


@given(st.binary(max_size=200) | DATAGRAMS)
def test_reading_before_any_state_never_raises(octets: bytes) -> None:
    read_sccrq(octets)
    read_stop(memoryview(octets))


def test_the_addresses_used_here_are_those_of_the_pair() -> None:
    assert established().lac.peer == LNS_ADDRESS
    assert not isinstance(decode_message(memoryview(encode_message(HELLO()))), UnknownMessage)
