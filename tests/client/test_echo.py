import struct
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.echo import LARGEST_OCTETS, SMALLEST_OCTETS, EchoRequests, Verdict, judge
from shared.ip.checksum import internet_checksum
from tests.client.lns import echo_reply

OWN, HOST = "10.0.0.10", "192.168.22.100"
RUN = 0x0123456789ABCDEF
ADDRESS = IPv4Address(OWN).packed


def request(subscriber: int = 7, sequence: int = 0, size: int = 100, run: int = RUN) -> bytes:
    return bytes(EchoRequests(OWN, HOST, run, subscriber, size).build(sequence))


def verdict(packet: bytes, subscriber: int = 7, run: int = RUN, address: bytes = ADDRESS) -> Verdict:
    return judge(memoryview(packet), run, subscriber, address)[0]


@given(
    subscriber=st.integers(0, 0xFFFFFFFF),
    sequence=st.integers(0, 0xFFFFFFFF),
    size=st.integers(SMALLEST_OCTETS, LARGEST_OCTETS),
)
def test_a_request_is_an_ipv4_packet_with_an_icmp_echo_whose_checksums_hold(
    subscriber: int, sequence: int, size: int
) -> None:  # RFC 791 §3.1, RFC 792: sums over a whole header or message with its checksum are zero
    packet = request(subscriber, sequence, size)
    assert packet[0] == 0x45
    assert int.from_bytes(packet[2:4]) == len(packet) == size
    assert internet_checksum(packet[:20]) == internet_checksum(packet[20:]) == 0
    assert packet[9] == 1
    assert struct.unpack("!BBxxHH", packet[20:28]) == (8, 0, subscriber & 0xFFFF, sequence & 0xFFFF)


@given(sequences=st.lists(st.integers(0, 0xFFFFFFFF), min_size=2, max_size=5))
def test_one_object_builds_what_a_fresh_one_builds(sequences: list[int]) -> None:
    requests = EchoRequests(OWN, HOST, RUN, 7, 101)
    assert [bytes(requests.build(s)) for s in sequences] == [request(7, s, 101) for s in sequences]


def test_the_reply_to_a_request_is_delivered_with_its_sequence_number() -> None:
    reply = echo_reply(request(sequence=70000))
    assert judge(memoryview(reply), RUN, 7, ADDRESS) == (Verdict.DELIVERED, 70000)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (echo_reply(request(subscriber=8)), Verdict.MISDELIVERED),
        (echo_reply(request(run=RUN + 1)), Verdict.FOREIGN),
        (request(), Verdict.FOREIGN),  # a request, not a reply
        (echo_reply(request())[:60], Verdict.FOREIGN),  # cut off: Total Length runs past the octets
        (b"", Verdict.FOREIGN),
    ],
)
def test_what_is_not_our_own_reply_is_told_apart(reply: bytes, expected: Verdict) -> None:
    assert verdict(reply) is expected


def test_a_reply_to_another_address_is_misdelivered() -> None:
    assert verdict(echo_reply(request()), address=bytes((10, 0, 0, 11))) is Verdict.MISDELIVERED


@pytest.mark.parametrize("position", [40, 44, 47, 48, 51, 52, 99])
def test_one_wrong_bit_behind_the_run_makes_it_corrupt(position: int) -> None:
    reply = bytearray(echo_reply(request()))
    reply[position] ^= 0x10
    assert verdict(bytes(reply)) is Verdict.CORRUPT


@given(st.binary(max_size=200))
def test_any_octets_get_a_verdict(octets: bytes) -> None:
    assert verdict(octets) in Verdict
