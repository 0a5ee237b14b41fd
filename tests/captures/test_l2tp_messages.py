"""Every control message in captures of other implementations is understood, and would be sent alike."""

from __future__ import annotations

from collections import Counter

import pytest

from shared.errors import ProtocolError
from shared.l2tp.avp import AVP, decode_avps
from shared.l2tp.header import decode_control, is_control, parse_data_header, version
from shared.l2tp.messages import UnknownMessage, decode_message, encode_message
from tests.support.captures import Datagram, capture, datagrams, names

# Encrypted, or of another version: nothing in them for these tests to look at.
_WITHOUT = ("xl2tpd/ipsec", "l2tp/l2tpv3")
CONVERSATIONS = [
    name
    for name in names("l2tp/*.pcap", "generated/*.pcap", "freertr/*.pcap", "xl2tpd/*.pcap")
    if not name.startswith(_WITHOUT)
]


def l2tp_datagrams(name: str) -> list[Datagram]:
    found = [each for each in datagrams(capture(name), 1701) if version(each.payload) == 2]
    assert found, f"{name} holds no L2TPv2"
    return found


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_control_headers_encode_to_the_octets_that_were_captured(name: str) -> None:
    for datagram in l2tp_datagrams(name):
        if is_control(datagram.payload):
            header, body = decode_control(memoryview(datagram.payload))
            assert header.encode(bytes(body)) == datagram.payload


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_avps_encode_to_the_octets_that_were_captured(name: str) -> None:
    for datagram in l2tp_datagrams(name):
        if is_control(datagram.payload):
            _, body = decode_control(memoryview(datagram.payload))
            assert b"".join(avp.encode() for avp in decode_avps(body)) == bytes(body)


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_messages_keep_every_attribute_and_value_whatever_their_order(name: str) -> None:
    for datagram in l2tp_datagrams(name):
        if not is_control(datagram.payload):
            continue
        _, body = decode_control(memoryview(datagram.payload))
        if not len(body):
            continue
        message = decode_message(body)
        assert not isinstance(message, UnknownMessage)
        ours = encode_message(message)
        assert values(memoryview(ours)) == values(body)


def values(body: memoryview) -> Counter[tuple[int, int, bytes]]:
    """Return what is said, without the order, the M bits, and the vectors of values that are not hidden."""
    return Counter(
        (avp.vendor, avp.attribute, canonical(avp)) for avp in decode_avps(body) if avp.attribute != 36
    )


def canonical(avp: AVP) -> bytes:
    if avp.attribute == 1 and len(avp.value) == 2:  # a Result Code may leave the error code out
        return avp.value + b"\0\0"
    return avp.value


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_every_data_message_has_its_ppp_frame_found(name: str) -> None:
    for datagram in l2tp_datagrams(name):
        if is_control(datagram.payload):
            continue
        header = parse_data_header(datagram.payload)
        assert header is not None
        payload = datagram.payload[header.offset_of_payload : header.end_of_payload]
        assert payload[:2] == b"\xff\x03" or payload[0] in {0x00, 0x21, 0x80, 0xC0, 0xC2}


def test_the_offset_bit_with_offset_size_0_and_no_length_is_what_cisco_sends() -> None:
    flags = {
        datagram.payload[:1]
        for datagram in l2tp_datagrams("l2tp/xl2tpd_lac_cisco_lns_startup.pcap")
        if not is_control(datagram.payload)
    }
    assert {b"\x00", b"\x02", b"\x03"} <= flags


def test_lengths_that_overflow_raise_protocol_error_and_nothing_else() -> None:
    found = list(datagrams(capture("malformed/l2tp-avp-overflow.pcap")))
    assert found
    for datagram in found:
        with pytest.raises(ProtocolError):
            decode(datagram.payload)


def decode(payload: bytes) -> None:
    _, body = decode_control(memoryview(payload))
    decode_message(body)


def test_l2tpv3_on_the_same_port_is_refused() -> None:
    found = list(datagrams(capture("l2tp/l2tpv3_over_udp1701_reject.pcap"), 1701))
    assert found
    for datagram in found:
        assert version(datagram.payload) == 3
        assert parse_data_header(datagram.payload) is None
        with pytest.raises(ProtocolError):
            decode_control(memoryview(datagram.payload))
