import struct

from shared.ip.checksum import internet_checksum
from shared.ip.fragment import fragment_ipv4, may_fragment


def packet(data: bytes, *, options: bytes = b"", flags_and_offset: int = 0) -> memoryview:
    head = struct.pack("!BBHH", 0x45 + len(options) // 4, 0, 20 + len(options) + len(data), 111)
    head += struct.pack("!HBBH", flags_and_offset, 123, 6, 0) + bytes((10, 0, 0, 1, 10, 0, 0, 2))
    return memoryview(head + options + data)


def fields(fragment: bytes) -> tuple[int, int, int, int]:
    """Header length, total length, More Fragments, offset in units of eight octets."""
    (word,) = struct.unpack_from("!H", fragment, 6)
    return (fragment[0] & 15) * 4, *struct.unpack_from("!H", fragment, 2), word >> 13 & 1, word & 0x1FFF


def test_example_2_of_rfc_791() -> None:  # Appendix A: 472 octets, a path of 280
    data = bytes(index % 251 for index in range(452))
    fragments = fragment_ipv4(packet(data), 280)
    assert [fields(item) for item in fragments] == [(20, 276, 1, 0), (20, 216, 0, 32)]
    assert b"".join(item[20:] for item in fragments) == data
    assert all(item[4:6] == b"\x00\x6f" and item[8:10] == b"\x7b\x06" for item in fragments)
    assert all(internet_checksum(item[:20]) == 0 for item in fragments)


def test_a_fragment_is_fragmented_further_at_its_own_offset() -> None:  # §3.2: OFO, OMF
    fragments = fragment_ipv4(packet(bytes(100), flags_and_offset=0x2000 | 32), 68)
    assert [fields(item)[2:] for item in fragments] == [(1, 32), (1, 38), (1, 44)]


def test_options_without_the_copied_flag_stay_in_the_first_fragment() -> None:  # §3.1
    record_route = bytes.fromhex("070704 00000000")  # kind 7, not copied
    strict_route = bytes.fromhex("890704 c0000201")  # kind 137, copied
    fragments = fragment_ipv4(packet(bytes(80), options=record_route + strict_route + b"\x01\x00"), 76)
    assert [fields(item)[0] for item in fragments] == [36, 28]
    assert fragments[0][20:36] == record_route + strict_route + b"\x01\x00"
    assert fragments[1][20:28] == strict_route + b"\x00"
    assert all(internet_checksum(item[: fields(item)[0]]) == 0 for item in fragments)


def test_malformed_options_are_not_copied() -> None:
    fragments = fragment_ipv4(packet(bytes(80), options=bytes.fromhex("89ff0400")), 68)
    assert [fields(item)[0] for item in fragments] == [24, 20]


def test_the_dont_fragment_flag_is_seen() -> None:
    assert may_fragment(packet(b""))
    assert not may_fragment(packet(b"", flags_and_offset=0x4000))
