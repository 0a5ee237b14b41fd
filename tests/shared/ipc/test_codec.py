"""What controller and workers say to each other, and what a stray writer on their socket may say."""

from __future__ import annotations

import contextlib
from dataclasses import fields
from typing import Any, get_args

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import IPCError
from shared.ipc import codec
from shared.ipc.codec import Message, decode, encode
from shared.ipc.messages import (
    AuthDecision,
    AuthRequest,
    Counters,
    FromController,
    FromWorker,
    Hello,
    LinkDown,
    LinkUp,
    PeerMoved,
    SessionAssigned,
    SessionClosed,
    SessionCounters,
    Welcome,
    session_digest,
)
from shared.ppp.policy import Authorization, IPv4Service, LinkEnd, LinkPolicy

KINDS = (*get_args(FromController), *get_args(FromWorker))
ALICE = Authorization(
    username="alice",
    ipv4=IPv4Service("10.0.0.1", "10.0.0.10", dns=("192.168.22.1",)),
    routes=("192.168.150.0/24",),
)
EXAMPLES: list[Message] = [
    SessionAssigned(1, 2, 3, 4, 0, ("192.0.2.7", 1701), None, False, LinkPolicy()),
    SessionAssigned(1, 2, 3, 4, 1, ("2001:db8::7", 1701, 0, 3), "2001:db8::1", True, LinkPolicy(), ALICE),
    SessionClosed(1, 2, True, "administrative"),
    AuthDecision(1, 2, 9, True, "S=00", "", ALICE),
    AuthDecision(1, 2, 9, False, "E=691 R=0", "unknown user", None),
    Welcome(7),
    Hello(1, 4711, "reference", (), ((1, 2), (3, 4))),
    AuthRequest(1, 2, 9, "mschapv2", "alicé", 5, b"\x00" * 16, b"\xff" * 49),
    LinkUp(1, 2, "10.0.0.10", None, 1462),
    LinkUp(1, 2, None, 0xFFFF_FFFF_FFFF_FFFF, 1280),
    LinkDown(1, 2, LinkEnd.ECHO_LOST, "3 echoes lost"),
    Counters(7, 2**64 - 1, (("rx_packets", 5),), (SessionCounters(1, 2, 3, 4, 5, 6),)),
    PeerMoved(1, ("192.0.2.7", 40000)),
]


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: type(message).__name__)
def test_a_message_comes_out_as_it_went_in(message: Message) -> None:
    assert decode(encode(message)) == message


# By the msgpack specification: fixarray 0x90 + n, fixint, fixstr 0xa0 + n, true 0xc3.
@pytest.mark.parametrize(
    ("message", "octets"),
    [
        (Welcome(7), "93 01 06 07"),
        (SessionClosed(1, 2, True, "bye"), "96 01 02 01 02 c3 a3627965"),
        (PeerMoved(1, ("::1", 9)), "94 01 27 01 92 a33a3a31 09"),
        (LinkDown(1, 2, LinkEnd.ECHO_LOST, ""), "9a 01 25 01 02 09 a0 00 00 00 a0"),
    ],
)
def test_the_octets_are_version_kind_and_fields(message: Message, octets: str) -> None:
    assert encode(message) == bytes.fromhex(octets)


def test_every_kind_has_a_number_of_its_own() -> None:
    numbers = [kind.KIND for kind in KINDS]
    assert len(set(numbers)) == len(numbers)
    assert all(kind.KIND < 32 for kind in get_args(FromController))
    assert all(kind.KIND > 32 for kind in get_args(FromWorker))


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([], "not a message of this version"),
        ([1], "not a message of this version"),
        ([2, 6, 7], "not a message of this version"),
        ("text", "not a message of this version"),
        ([1, 99, 7], "unknown kind 99"),
        ([1, "6", 7], "unknown kind '6'"),
        ([1, [6], 7], "unknown kind"),
        ([1, 6], "Welcome has 1 fields"),
        ([1, 6, 7, 8], "Welcome has 1 fields"),
        ([1, 6, "7"], "str where int belongs"),
        ([1, 6, True], "bool where int belongs"),
        ([1, 6, None], "NoneType where int belongs"),
        ([1, 2, 1, 2, 1, "bye"], "int where bool belongs"),
        ([1, 37, 1, 2, 99, "", 0, 0, 0, ""], "99 is not a valid LinkEnd"),
        ([1, 39, 1, ["192.0.2.7"]], "belongs"),
        ([1, 39, 1, "192.0.2.7"], "belongs"),
        ([1, 33, 0, 1, "reference", [], [[1, 2, 3]]], "an array of 2 belongs here"),
        ([1, 33, 0, 1, "reference", 5, []], "int where an array belongs"),
    ],
)
def test_what_is_no_message_of_ours_is_refused(parts: Any, reason: str) -> None:
    with pytest.raises(IPCError, match=reason):
        decode(msgpack.packb(parts))


@pytest.mark.parametrize(
    "octets",
    [b"", b"\xc1", b"\x93\x01\x06", b"\x93\x01\x06\x07\x07", b"\xdd\xff\xff\xff\xff", b"\x91" * 5000],
)
def test_what_is_no_msgpack_is_refused(octets: bytes) -> None:
    with pytest.raises(IPCError):
        decode(octets)


def test_a_message_beyond_the_limit_is_refused_unread() -> None:
    with pytest.raises(IPCError, match="too many"):
        decode(bytes(codec.MAX_OCTETS + 1))


@given(st.binary(max_size=200))
def test_any_octets_decode_or_are_refused(octets: bytes) -> None:
    with contextlib.suppress(IPCError):
        decode(octets)


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=12,
)


@given(st.sampled_from([kind.KIND for kind in KINDS]), st.lists(_VALUES, max_size=11))
def test_any_fields_of_a_known_kind_decode_or_are_refused(kind: int, values: list[Any]) -> None:
    try:
        message = decode(msgpack.packb([1, kind, *values]))
    except IPCError:
        return
    assert kind == message.KIND
    assert decode(encode(message)) == message


@given(st.sampled_from(EXAMPLES), st.data())
def test_a_changed_octet_decodes_or_is_refused(message: Message, data: st.DataObject) -> None:
    octets = bytearray(encode(message))
    octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(IPCError):
        decode(bytes(octets))


def test_passwords_are_not_in_the_text_of_a_message() -> None:
    request = AuthRequest(1, 2, 9, "pap", "alice", 5, b"", b"hunter2")
    assert "hunter2" not in repr(request)
    assert [item.name for item in fields(request) if not item.repr] == ["challenge", "response"]


IDS = st.sets(st.tuples(st.integers(1, 0xFFFF), st.integers(1, 0xFFFF)), max_size=50)


@given(IDS)
def test_the_digest_does_not_depend_on_the_order(sessions: set[tuple[int, int]]) -> None:
    assert session_digest(sessions) == session_digest(dict.fromkeys(sorted(sessions)))
    assert 0 <= session_digest(sessions) < 2**64


@given(IDS, st.tuples(st.integers(1, 0xFFFF), st.integers(1, 0xFFFF)))
def test_one_session_more_or_less_changes_the_digest(
    sessions: set[tuple[int, int]], other: tuple[int, int]
) -> None:
    assert session_digest(sessions ^ {other}) != session_digest(sessions)


def test_the_digest_of_nothing_is_zero_in_every_process() -> None:
    assert session_digest(set()) == 0
    # 1 session XOR the mixed value of 0x00010002, by hand: 0x00010002 * 0x9E3779B97F4A7C15 mod 2**64
    mixed = 0x00010002 * 0x9E3779B97F4A7C15 % 2**64
    assert session_digest({(1, 2)}) == 1 ^ mixed ^ mixed >> 29
