from __future__ import annotations

import pytest

from shared.errors import BadLength
from shared.ppp.frame import Protocol, make_frame, split_frame
from shared.ppp.options import Option, decode_options, encode_options
from shared.ppp.packet import Packet, decode_packet, peer_text
from tests.support.captures import vector


@pytest.mark.parametrize(
    ("frame", "protocol", "payload"),
    [
        ("ff03 c021 01010004", 0xC021, "01010004"),
        ("c021 01010004", 0xC021, "01010004"),  # without Address and Control (RFC 1661 §6.6)
        ("ff03 21 4500", 0x0021, "4500"),  # Protocol of one octet (§6.5)
        ("21 4500", 0x0021, "4500"),
        ("ff03 0021 4500", 0x0021, "4500"),
        ("ff03 0021", 0x0021, ""),
    ],
)
def test_each_form_of_a_frame_is_taken(frame: str, protocol: int, payload: str) -> None:
    split = split_frame(memoryview(bytes.fromhex(frame)))
    assert split is not None
    assert (split[0], bytes(split[1]).hex()) == (protocol, payload)


@pytest.mark.parametrize("frame", ["", "c0", "ff03c0", "c020", "ff03c0220101"])
def test_what_has_no_protocol_field_is_no_frame(frame: str) -> None:
    assert split_frame(memoryview(bytes.fromhex(frame))) is None


def test_compression_leaves_out_what_may_be_left_out_and_never_of_lcp() -> None:
    assert make_frame(Protocol.IPV4, b"E") == bytes.fromhex("ff03002145")
    assert make_frame(Protocol.IPV4, b"E", acfc=True, pfc=True) == bytes.fromhex("2145")
    assert make_frame(Protocol.IPCP, b"E", acfc=True, pfc=True) == bytes.fromhex("802145")
    assert make_frame(Protocol.LCP, b"E", acfc=True, pfc=True) == bytes.fromhex("ff03c02145")


def test_padding_after_a_packet_is_left_out() -> None:
    packet = decode_packet(memoryview(bytes.fromhex("01 02 0006 aabb 000000")))
    assert packet == Packet(1, 2, memoryview(b"\xaa\xbb"))


@pytest.mark.parametrize("octets", ["", "010200", "01020003", "01020005"])
def test_a_length_that_contradicts_the_octets_is_refused(octets: str) -> None:
    with pytest.raises(BadLength):
        decode_packet(memoryview(bytes.fromhex(octets)))


def test_options_of_a_cisco_configure_request() -> None:
    octets = bytes.fromhex(vector("ppp-lcp-confreq-cisco-lns")["input"]["ppp_frame"])
    options = decode_options(memoryview(octets)[8:])
    assert options == [
        Option(1, b"\x05\xad"),
        Option(2, bytes.fromhex("000a0000")),
        Option(3, bytes.fromhex("c023")),
        Option(5, bytes.fromhex("c1343922")),
        Option(7, b""),
        Option(8, b""),
    ]
    assert encode_options(options) == octets[8:]


@pytest.mark.parametrize("body", ["01", "0100", "0101", "0104dc", "0702 0b05 aa"])
def test_an_option_that_runs_past_its_packet_is_refused(body: str) -> None:
    with pytest.raises(BadLength):
        decode_options(memoryview(bytes.fromhex(body)))


def test_a_peers_text_is_one_bounded_line() -> None:
    assert peer_text(b"MSRASV5.10") == "MSRASV5.10"
    assert peer_text(b"a\nb\x1b[2J\xff") == "a\ufffdb\ufffd[2J\ufffd"
    assert len(peer_text(b"x" * 5000)) == 200
