"""The L2TP header (RFC 2661 §3.1)."""

from __future__ import annotations

import itertools

import pytest

from shared.errors import BadLength, BadValue
from shared.l2tp.header import (
    ControlHeader,
    DataHeader,
    decode_control,
    encode_data_header,
    is_control,
    parse_data_header,
    version,
)
from tests.support.captures import vectors


def test_headers_of_real_peers_are_read_as_tshark_reads_them() -> None:
    found = vectors("l2tp-header-")
    assert found
    for vector in found:
        octets, expect = bytes.fromhex(vector["input"]["udp_payload"]), vector["expect"]
        if expect["T"]:
            header, body = decode_control(memoryview(octets))
            assert (header.tunnel_id, header.session_id) == (expect["tunnel_id"], expect["session_id"])
            assert octets[expect["payload_at"] :] == bytes(body)
        else:
            data = parse_data_header(octets)
            assert data is not None
            assert (data.tunnel_id, data.session_id) == (expect["tunnel_id"], expect["session_id"])
            assert data.offset_of_payload == expect["payload_at"]
            assert data.priority == bool(expect["P"])


@pytest.mark.parametrize("bits", list(itertools.product([False, True], repeat=4)))
def test_a_data_header_is_read_in_every_combination_of_l_s_o_and_p(bits: tuple[bool, ...]) -> None:
    has_length, has_sequence, has_offset, priority = bits
    flags = 2 | has_length << 14 | has_sequence << 11 | has_offset << 9 | priority << 8
    rest = bytes.fromhex("0007 0009")
    rest += bytes.fromhex("0101 0202") if has_sequence else b""
    rest += bytes.fromhex("0003 aaaaaa") if has_offset else b""
    size = 2 + 2 * has_length + len(rest)
    head = flags.to_bytes(2, "big") + ((size + 5).to_bytes(2, "big") if has_length else b"") + rest
    found = parse_data_header(head + b"frame")
    ns, nr = (0x0101, 0x0202) if has_sequence else (None, None)
    assert found == DataHeader(7, 9, ns, nr, priority, size, size + 5)


def test_an_offset_size_of_0_without_length_is_what_cisco_sends() -> None:
    assert parse_data_header(bytes.fromhex("0202 4a32 d35e 0000 ff03c021")) == DataHeader(
        0x4A32, 0xD35E, None, None, priority=False, offset_of_payload=8, end_of_payload=12
    )


def test_octets_behind_the_length_are_padding() -> None:
    found = parse_data_header(bytes.fromhex("4002 000a 0007 0009 ff03 00000000"))
    assert found is not None
    assert (found.offset_of_payload, found.end_of_payload) == (8, 10)


@pytest.mark.parametrize(
    "octets",
    [
        "",
        "0002 0007 00",  # too short for the IDs
        "4002 0007 0007 0009",  # Length under the header's own size
        "4002 0009 0007 0009",  # Length past the end
        "0802 0007 0009 0001",  # no room for Nr
        "0202 0007 0009 0001",  # an offset past the end
        "0202 0007 0009 00",
        "0003 0007 0009 ff03",  # L2TPv3
        "0001 0007 0009 ff03",  # L2F
        "c802 000c 0007 0000 0000 0000",  # a control message
    ],
)
def test_what_is_no_data_message_is_none(octets: str) -> None:
    assert parse_data_header(bytes.fromhex(octets)) is None


def test_a_zlb_is_a_control_header_alone() -> None:
    assert ControlHeader(7, 0, 2, 4).encode(b"") == bytes.fromhex("c802 000c 0007 0000 0002 0004")


@pytest.mark.parametrize(
    ("octets", "error"),
    [
        ("c802 000c 0007 0000 0002", BadLength),
        ("c802 000b 0007 0000 0002 0004", BadLength),
        ("c802 000d 0007 0000 0002 0004", BadLength),
        ("c803 000c 0007 0000 0002 0004", BadValue),  # L2TPv3
        ("8802 000c 0007 0000 0002 0004", BadValue),  # no L
        ("c002 000c 0007 0000 0002 0004", BadValue),  # no S
        ("ca02 000c 0007 0000 0002 0004", BadValue),  # O
    ],
)
def test_a_malformed_control_header_is_the_peers_error(octets: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        decode_control(memoryview(bytes.fromhex(octets)))


def test_reserved_bits_of_a_control_header_are_ignored() -> None:
    header, _ = decode_control(memoryview(bytes.fromhex("fcf2 000c 0007 0000 0002 0004")))
    assert header == ControlHeader(7, 0, 2, 4)


def test_kind_and_version_are_seen_without_parsing() -> None:
    assert is_control(b"\xc8\x02")
    assert not is_control(b"\x48\x02")
    assert not is_control(b"")
    assert [version(octets) for octets in (b"\xc8\x03", b"\x00\x02", b"\x00")] == [3, 2, None]


@pytest.mark.parametrize(
    ("header", "octets"),
    [
        (encode_data_header(7, 9), "0002 0007 0009"),
        (encode_data_header(7, 9, length=5), "4002 000d 0007 0009"),
        (encode_data_header(7, 9, ns=3), "0802 0007 0009 0003 0000"),
        (encode_data_header(7, 9, length=5, ns=3, priority=True), "4902 0011 0007 0009 0003 0000"),
    ],
)
def test_the_data_headers_that_we_send(header: bytes, octets: str) -> None:
    assert header == bytes.fromhex(octets)
