import pytest

from shared.ip.checksum import internet_checksum
from shared.ip.mss import clamp_mss
from tests.workers.recordings import data_messages

# RFC 9293 §3.1 and §3.2: source port, destination port, sequence, acknowledgment, offset and flags, window,
# checksum, urgent pointer; then options: MSS 1460, SACK permitted, window scale 7.
SYN = bytes.fromhex("c35000507b000001000000006002faf000000000") + bytes.fromhex("020405b4")
SYN_ODD = bytes.fromhex("c35000507b000001000000007002faf000000000") + bytes.fromhex("01020405b4010000")
SOURCE4, DESTINATION4 = bytes((10, 0, 0, 10)), bytes((192, 168, 22, 100))
SOURCE6 = bytes.fromhex("20010db8000000000000000000000010")


def segment_checksum(segment: bytes, source: bytes, destination: bytes) -> int:
    """Over the pseudo-header (RFC 9293 §3.1, RFC 8200 §8.1); 0 where the segment's own one is right."""
    if len(source) == 4:
        pseudo = source + destination + bytes((0, 6)) + len(segment).to_bytes(2, "big")
    else:
        pseudo = source + destination + len(segment).to_bytes(4, "big") + bytes((0, 0, 0, 6))
    return internet_checksum(pseudo, segment)


def with_checksum(segment: bytes, source: bytes, destination: bytes) -> bytes:
    blank = segment[:16] + b"\0\0" + segment[18:]
    return blank[:16] + segment_checksum(blank, source, destination).to_bytes(2, "big") + blank[18:]


def ipv4(segment: bytes) -> memoryview:
    segment = with_checksum(segment, SOURCE4, DESTINATION4)
    octets = (20 + len(segment)).to_bytes(2, "big")
    header = bytes.fromhex("4500") + octets + bytes.fromhex("0001400040060000") + SOURCE4 + DESTINATION4
    return memoryview(bytearray(header + segment))


def ipv6(segment: bytes, chain: bytes = b"", first: int = 6) -> memoryview:
    segment = with_checksum(segment, SOURCE6, SOURCE6)
    length = (len(chain) + len(segment)).to_bytes(2, "big")
    head = bytes.fromhex("60000000") + length + bytes((first, 64))
    return memoryview(bytearray(head + SOURCE6 + SOURCE6 + chain + segment))


def test_the_mss_of_a_syn_is_lowered_to_what_an_ipv4_packet_has_room_for() -> None:  # RFC 6691 §2
    packet = ipv4(SYN)
    assert clamp_mss(packet, 1462)
    assert packet[40:44].hex() == "0204058e"  # 1462 - 40 = 1422
    assert segment_checksum(bytes(packet[20:]), SOURCE4, DESTINATION4) == 0


def test_an_mss_at_an_odd_offset_is_lowered_and_its_checksum_mended() -> None:
    packet = ipv4(SYN_ODD)
    assert clamp_mss(packet, 1462)
    assert packet[40:45].hex() == "010204058e"
    assert segment_checksum(bytes(packet[20:]), SOURCE4, DESTINATION4) == 0


def test_in_ipv6_the_mss_is_60_under_the_mtu() -> None:
    packet = ipv6(SYN)
    assert clamp_mss(packet, 1462)
    assert packet[60:64].hex() == "0204057a"  # 1402
    assert segment_checksum(bytes(packet[40:]), SOURCE6, SOURCE6) == 0


def test_a_syn_behind_extension_headers_is_found() -> None:
    packet = ipv6(SYN, chain=bytes.fromhex("0600010400000000"), first=60)
    assert clamp_mss(packet, 1462)
    assert packet[68:72].hex() == "0204057a"


@pytest.mark.parametrize(
    "segment",
    [
        SYN[:22] + bytes.fromhex("0218"),  # an MSS of 536 is small enough
        SYN[:13] + b"\x10" + SYN[14:],  # an ACK: the octets are no announcement
        SYN[:12] + b"\x50" + SYN[13:],  # no options, four octets of data
        SYN[:12] + b"\xf0" + SYN[13:],  # options run past the segment
        SYN[:12] + b"\x40" + SYN[13:],  # a data offset under the header's own size
        SYN[:20] + bytes.fromhex("020005b4"),  # an option of no length
        SYN[:20] + bytes.fromhex("030905b4"),  # an option that is cut off
        SYN[:20] + bytes.fromhex("000205b4"),  # what follows the end of the list is padding
        SYN[:20] + bytes.fromhex("01010102"),  # a kind without its length
        SYN[:19],
    ],
)
def test_what_announces_no_larger_mss_is_left_alone(segment: bytes) -> None:
    packet = ipv4(segment)
    before = bytes(packet)
    assert not clamp_mss(packet, 1462)
    assert bytes(packet) == before


def test_a_later_fragment_is_left_alone() -> None:
    packet = ipv4(SYN)
    packet[6:8] = bytes.fromhex("0001")
    assert not clamp_mss(packet, 1462)


def test_the_recorded_syns_of_linux_are_lowered_with_right_checksums() -> None:
    seen = 0
    for message in data_messages("xl2tpd/seq.pcap"):
        at = message.octets.find(bytes.fromhex("ff030021"))
        packet = memoryview(bytearray(message.octets[at + 4 :]))
        if at < 0 or packet[9] != 6 or not packet[33] & 2:
            continue
        before = segment_checksum(bytes(packet[20:]), bytes(packet[12:16]), bytes(packet[16:20]))
        assert clamp_mss(packet, 1000)
        assert packet[40:44].hex() == "020403c0"
        assert before == 0
        assert segment_checksum(bytes(packet[20:]), bytes(packet[12:16]), bytes(packet[16:20])) == 0
        seen += 1
    assert seen == 4
