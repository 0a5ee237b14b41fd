import struct

import pytest

from shared.ip.checksum import internet_checksum
from shared.ip.icmp import fragmentation_needed, packet_too_big

GATEWAY = bytes((10, 0, 0, 1))
HOST = bytes((192, 168, 22, 100))
SUBSCRIBER = bytes((10, 0, 0, 10))
HOST6 = bytes.fromhex("20010db8000000000000000000000064")
SUBSCRIBER6 = bytes.fromhex("20010db800010000000000000000000a")


def ipv4(
    protocol: int = 17, body: bytes = bytes(1480), *, source: bytes = HOST, destination: bytes = SUBSCRIBER
) -> memoryview:
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 7, 0x4000, 64, protocol, 0)
    return memoryview(head + source + destination + body)


def ipv6(next_header: int = 17, body: bytes = bytes(1460), *, source: bytes = HOST6) -> memoryview:
    return memoryview(struct.pack("!IHBB", 6 << 28, len(body), next_header, 64) + source + SUBSCRIBER6 + body)


def test_fragmentation_needed_names_the_mtu_and_quotes_the_packet() -> None:  # RFC 1191 §4, RFC 1812 §4.3.2.3
    offender = ipv4()
    error = fragmentation_needed(offender, 1462, GATEWAY)
    assert error is not None
    assert error[20:28].hex() == "0304" + error[22:24].hex() + "0000" + "05b6"
    assert error[12:16] == GATEWAY
    assert error[16:20] == HOST
    assert error[9] == 1
    assert len(error) == 576 == struct.unpack_from("!H", error, 2)[0]
    assert error[28:] == bytes(offender[:548])
    assert internet_checksum(error[:20]) == 0
    assert internet_checksum(error[20:]) == 0


@pytest.mark.parametrize(
    "offender",
    [
        ipv4(1, bytes.fromhex("0300") + bytes(1478)),  # an ICMP error
        ipv4(1, b""),
        ipv4(source=bytes(4)),
        ipv4(source=bytes((224, 0, 0, 1))),
        ipv4(source=bytes((127, 0, 0, 1))),
        ipv4(destination=bytes((224, 0, 0, 1))),
        memoryview(bytes(ipv4()[:6]) + b"\x40\x10" + bytes(ipv4()[8:])),  # a later fragment
    ],
)
def test_no_error_answers_an_error_a_later_fragment_or_many_hosts(offender: memoryview) -> None:
    assert fragmentation_needed(offender, 1462, GATEWAY) is None  # RFC 1812 §4.3.2.7


def test_an_echo_request_is_answered() -> None:
    assert fragmentation_needed(ipv4(1, bytes.fromhex("0800") + bytes(1478)), 1462, GATEWAY) is not None


def test_packet_too_big_names_the_mtu_and_fits_the_least_ipv6_link() -> None:  # RFC 4443 §3.2, §2.4 (c)
    offender = ipv6()
    error = packet_too_big(offender, 1462, SUBSCRIBER6)
    assert error is not None
    assert error[40:42].hex() == "0200"
    assert error[44:48].hex() == "000005b6"
    assert error[6] == 58
    assert error[8:24] == SUBSCRIBER6
    assert error[24:40] == HOST6
    assert len(error) == 1280
    assert error[48:] == bytes(offender[:1232])
    pseudo_header = error[8:40] + struct.pack("!II", 1240, 58)  # RFC 8200 §8.1
    assert internet_checksum(pseudo_header, error[40:]) == 0


@pytest.mark.parametrize(
    ("offender", "due"),
    [
        (ipv6(58, bytes.fromhex("0100") + bytes(1400)), False),  # an error
        (ipv6(58, bytes.fromhex("8900") + bytes(1400)), False),  # a redirect
        (ipv6(58, bytes.fromhex("8000") + bytes(1400)), True),  # an echo request
        (ipv6(58, b""), False),
        (ipv6(source=bytes(16)), False),
        (ipv6(source=b"\xff\x02" + bytes(14)), False),
    ],
)
def test_packet_too_big_answers_no_error_and_no_source_that_is_not_one_node(
    offender: memoryview, due: bool
) -> None:  # RFC 4443 §2.4 (e)
    assert (packet_too_big(offender, 1462, SUBSCRIBER6) is not None) == due
