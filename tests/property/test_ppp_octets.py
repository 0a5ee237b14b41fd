"""Any octets at all: they never raise, and an open link survives whatever does not end it by the RFC."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ProtocolError
from shared.ppp.commands import LinkDown
from shared.ppp.frame import make_frame, split_frame
from shared.ppp.link import Credentials, Phase, Side
from shared.ppp.options import Option, decode_options, encode_options
from shared.ppp.packet import Packet, decode_packet, encode_packet
from tests.support.ppp import IPV4_ONLY, Station

PROTOCOLS = st.sampled_from([0xC021, 0x8021, 0x8057, 0xC023, 0xC223, 0x80FD, 0x8281, 0xC029, 0x0021, 0x0057])
OPTIONS = st.lists(
    st.builds(Option, st.integers(0, 255), st.binary(max_size=9))
    | st.builds(Option, st.sampled_from([1, 2, 3, 5, 7, 8, 129, 131]), st.binary(max_size=9)),
    max_size=6,
)
BODIES = st.binary(max_size=40) | st.builds(encode_options, OPTIONS)
PACKETS = st.builds(encode_packet, st.integers(0, 16), st.integers(0, 12), BODIES)
FRAMES = (
    st.binary(max_size=60)
    | st.builds(make_frame, PROTOCOLS, PACKETS)
    | st.builds(make_frame, PROTOCOLS, st.binary(max_size=40))
    | st.builds(
        lambda frame, at, octet: frame[:at] + bytes((octet,)) + frame[at + 1 :],
        st.builds(make_frame, PROTOCOLS, PACKETS),
        st.integers(2, 30),
        st.integers(0, 255),
    )
)


def fresh() -> Station:
    station = Station()
    station.open()
    return station


def authenticating(option: str, method: str) -> Station:
    return Station(authentication=(method,)).to_authentication(option)


def opened() -> Station:
    station = Station(grant=IPV4_ONLY, authentication=("pap",))
    return station.to_ipcp()


def dialling() -> Station:
    station = Station(Side.PEER, credentials=Credentials("alice", "secret"))
    station.open()
    return station


def dialling_by_chap() -> Station:
    station = dialling()
    station.hears("c021 01 01 0009 0305 c22381", "c021 02 01 000e 0104 05b6 0506 11111111")
    return station


def dialled() -> Station:
    station = dialling()
    station.hears("c021 01 01 0004", "c021 02 01 000e 0104 05b6 0506 11111111")
    return station


STARTS: list[Callable[[], Station]] = [
    fresh,
    lambda: authenticating("0304c023", "pap"),
    lambda: authenticating("0305c22305", "chap"),
    lambda: authenticating("0305c22381", "mschapv2"),
    opened,
    dialling,
    dialling_by_chap,
    dialled,
]


@given(st.sampled_from(STARTS), st.lists(st.tuples(FRAMES, st.floats(0.0, 2.0)), max_size=20))
def test_any_octets_in_any_phase_are_borne(
    start: Callable[[], Station], frames: list[tuple[bytes, float]]
) -> None:
    station = start()
    for frame, pause in frames:
        said = station.hears_octets(frame) + station.wait(pause)
        downs = [at for at, item in enumerate(said) if isinstance(item, LinkDown)]
        assert downs in ([], [len(said) - 1])
        if downs:
            assert station.hears_octets(frame) == []
            return


def ends_or_restarts_the_link(frame: bytes) -> bool:
    """Say whether RFC 1661 lets ``frame`` end an open link, or begin it anew."""
    parts = split_frame(memoryview(frame))
    if parts is None or parts[0] != 0xC021:
        return False
    try:
        packet = decode_packet(parts[1])
    except ProtocolError:
        return False
    return packet.code in {1, 5, 6, 7, 8}  # Configure-, Terminate-Request, Terminate-Ack, two Rejects


@given(st.lists(FRAMES.filter(lambda frame: not ends_or_restarts_the_link(frame)), max_size=30))
def test_an_open_link_survives_whatever_is_not_meant_to_end_it(frames: list[bytes]) -> None:
    station = opened()
    for frame in frames:
        station.hears_octets(frame)
    assert station.link.phase is Phase.NETWORK
    assert station.hears("c021 09 07 0008 0badcafe") == ["c0210a07000811111111"]


@given(FRAMES)
def test_what_is_discarded_changes_nothing(frame: bytes) -> None:
    """A frame that gets no answer in a fresh link leaves the next negotiation as it would have been."""
    station = fresh()
    if not station.hears_octets(frame) and station.link.phase is Phase.ESTABLISH:
        said = station.hears("c021 01 77 000a 0506 0badcafe")
        assert said[-1] == "c0210277000a05060badcafe"


@given(OPTIONS)
def test_options_round_trip(options: list[Option]) -> None:
    assert decode_options(memoryview(encode_options(options))) == options


@given(st.integers(0, 255), st.integers(0, 255), st.binary(max_size=100), st.binary(max_size=10))
def test_packets_round_trip_and_padding_is_cut(
    code: int, identifier: int, body: bytes, padding: bytes
) -> None:
    octets = encode_packet(code, identifier, body) + padding
    assert decode_packet(memoryview(octets)) == Packet(code, identifier, memoryview(body))


@given(st.binary(max_size=50))
def test_any_octets_are_options_or_refused(octets: bytes) -> None:
    try:
        options = decode_options(memoryview(octets))
    except ProtocolError:
        return
    assert encode_options(options) == octets


@given(
    st.integers(0, 0x7FFF).map(lambda number: (number >> 7 << 9 | (number & 0x7F) << 1 | 1) & 0xFEFF),
    st.binary(max_size=20),
    st.booleans(),
    st.booleans(),
)
def test_frames_round_trip_in_every_form(protocol: int, payload: bytes, acfc: bool, pfc: bool) -> None:
    split = split_frame(memoryview(make_frame(protocol, payload, acfc=acfc, pfc=pfc)))
    assert split is not None
    assert (split[0], bytes(split[1])) == (protocol, payload)
