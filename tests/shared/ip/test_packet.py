import pytest

from shared.ip.packet import ipv4_upper_layer, ipv6_upper_layer, read_ipv4, read_ipv6

# The ICMP echo request in xl2tpd/mtu.pcap, its header only: 84 octets, 172.31.0.10 to 172.31.0.1.
IPV4 = bytes.fromhex("45000054 00004000 40010000 ac1f000a ac1f0001") + bytes(64)
IPV6 = bytes.fromhex("60000000 0008 3a ff") + bytes.fromhex("fe80" + "00" * 13 + "0a") + bytes(16) + bytes(8)


def test_an_ipv4_header_is_read_and_padding_behind_the_packet_is_not_counted() -> None:
    packet = read_ipv4(memoryview(IPV4 + b"pad"))
    assert packet is not None
    assert packet.octets == 84
    assert packet.source == bytes((172, 31, 0, 10))
    assert packet.destination == bytes((172, 31, 0, 1))


@pytest.mark.parametrize(
    ("where", "octets"),
    [
        (0, "65"),  # version 6
        (0, "44"),  # a header of 16 octets
        (0, "4f"),  # a header of 60 octets, in a packet of 84: fine, so the length below is what is wrong
        (2, "0013"),  # total length under the header's
        (2, "0055"),  # total length past the octets that are there
    ],
)
def test_an_ipv4_header_that_contradicts_itself_is_none(where: int, octets: str) -> None:
    packet = bytearray(IPV4)
    packet[where : where + len(octets) // 2] = bytes.fromhex(octets)
    if octets == "4f":
        packet[2:4] = bytes.fromhex("003b")
    assert read_ipv4(memoryview(packet)) is None


@pytest.mark.parametrize("octets", [0, 1, 19])
def test_octets_under_a_header_are_no_packet(octets: int) -> None:
    assert read_ipv4(memoryview(IPV4[:octets])) is None
    assert read_ipv6(memoryview(IPV6[:octets])) is None


def test_an_ipv6_header_is_read() -> None:
    packet = read_ipv6(memoryview(IPV6))
    assert packet is not None
    assert packet.octets == 48
    assert packet.source.hex() == "fe80" + "00" * 13 + "0a"


def test_an_ipv6_payload_that_was_cut_off_is_none() -> None:
    assert read_ipv6(memoryview(IPV6[:-1])) is None


def test_a_later_ipv4_fragment_has_no_upper_layer() -> None:
    packet = bytearray(IPV4)
    assert ipv4_upper_layer(memoryview(packet)) == (1, 20)
    packet[6:8] = bytes.fromhex("2001")
    assert ipv4_upper_layer(memoryview(packet)) is None


def test_ipv6_extension_headers_are_walked() -> None:  # RFC 8200 §4.3, §4.6: hop-by-hop, then destination
    chain = bytes.fromhex("3c00 0104 00000000") + bytes.fromhex("0601") + bytes(14)
    packet = memoryview(IPV6[:6] + b"\x00\xff" + IPV6[8:40] + chain)
    assert ipv6_upper_layer(packet) == (6, 40 + 8 + 16)


@pytest.mark.parametrize(
    ("fragment_header", "expected"),
    [("0600 0001 00000000", (6, 48)), ("0600 0008 00000000", None)],  # §4.5: offset 0, offset 8
)
def test_an_ipv6_fragment_has_an_upper_layer_only_if_it_is_the_first(
    fragment_header: str, expected: tuple[int, int] | None
) -> None:
    packet = memoryview(IPV6[:6] + b"\x2c\xff" + IPV6[8:40] + bytes.fromhex(fragment_header))
    assert ipv6_upper_layer(packet) == expected


def test_an_endless_chain_of_extension_headers_is_given_up() -> None:
    packet = memoryview(IPV6[:6] + b"\x00\xff" + IPV6[8:40] + bytes(8 * 50))
    assert ipv6_upper_layer(packet) is None
