"""MSS clamping and fragmentation of any packet."""

import struct
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from shared.ip.checksum import internet_checksum
from shared.ip.fragment import fragment_ipv4
from shared.ip.mss import clamp_mss
from shared.ip.packet import read_ipv4

OPTIONS = st.lists(
    st.one_of(
        st.just(b"\x01"),
        st.builds(lambda value: b"\x02\x04" + value.to_bytes(2, "big"), st.integers(0, 0xFFFF)),
        st.builds(
            lambda kind, value: bytes((kind, 2 + len(value))) + value,
            st.integers(3, 255),
            st.binary(max_size=6),
        ),
    ),
    max_size=5,
).map(lambda options: (joined := b"".join(options)[:40]) + bytes(-len(joined) % 4))


def tcp_checksum(packet: bytes | bytearray) -> int:
    pseudo_header = packet[12:20] + struct.pack("!HH", 6, len(packet) - 20)
    return internet_checksum(pseudo_header, packet[20:36], packet[38:])


@given(
    OPTIONS,
    st.binary(min_size=20, max_size=20),
    st.binary(max_size=9),
    st.integers(68, 1500),
    st.binary(min_size=8),
)
def test_after_clamping_the_checksum_is_what_a_full_recomputation_gives(
    options: bytes, head: bytes, data: bytes, mtu: int, addresses: bytes
) -> None:
    segment = bytearray(head + options + data)
    segment[12] = (20 + len(options)) << 2
    segment[13] |= 2
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 1, 0, 64, 6, 0) + addresses[:8]
    packet = bytearray(ip + segment)
    packet[36:38] = tcp_checksum(packet).to_bytes(2, "big")
    before = bytes(packet)
    changed = clamp_mss(memoryview(packet), mtu)
    assert changed == (bytes(packet) != before)
    assert tcp_checksum(packet) in {int.from_bytes(packet[36:38], "big"), _other_zero(packet[36:38])}
    assert bytes(packet[40 + len(options) :]) == before[40 + len(options) :]


def _other_zero(field: bytearray) -> int:
    """RFC 1624 §3: 0x0000 and 0xFFFF are the same in ones' complement."""
    value = int.from_bytes(field, "big")
    return 0xFFFF - value if value in {0, 0xFFFF} else value


def reassembled(fragments: list[bytes]) -> bytes:
    """RFC 791 §3.2's procedure: each piece at its offset, complete when the last one's end is known."""
    data, end = bytearray(65_536), None
    for fragment in fragments:
        header = (fragment[0] & 15) * 4
        (word,) = struct.unpack_from("!H", fragment, 6)
        at = (word & 0x1FFF) * 8
        data[at : at + len(fragment) - header] = fragment[header:]
        if not word & 0x2000:
            end = at + len(fragment) - header
    assert end is not None
    return bytes(data[:end])


@given(
    st.binary(max_size=40).map(lambda octets: octets + bytes(-len(octets) % 4)),
    st.integers(1, 9000),
    st.integers(0, 1600),
    st.randoms(use_true_random=False),
)
def test_fragments_in_any_order_come_together_to_the_original(
    options: bytes, octets: int, mtu: int, random: Random
) -> None:
    data = random.randbytes(octets)
    head = struct.pack("!BBHHHBBH", 0x45 + len(options) // 4, 0, 20 + len(options) + octets, 9, 0, 64, 17, 0)
    fragments = fragment_ipv4(memoryview(head + bytes((10, 0, 0, 1, 10, 0, 0, 2)) + options + data), mtu)
    for fragment in fragments:
        packet = read_ipv4(memoryview(fragment))
        assert packet is not None
        assert packet.octets == len(fragment) <= max(mtu, 68)
        assert internet_checksum(fragment[: (fragment[0] & 15) * 4]) == 0
    random.shuffle(fragments)
    assert reassembled(fragments) == data
