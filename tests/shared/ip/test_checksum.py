import struct

from hypothesis import given
from hypothesis import strategies as st

from shared.ip.checksum import internet_checksum, ones_complement_sum, updated_checksum

RFC1071_OCTETS = bytes.fromhex("0001 f203 f4f5 f6f7")


def by_hand(octets: bytes) -> int:
    """RFC 1071 §4.1's C program, word by word."""
    total: int = sum(struct.unpack(f"!{len(octets) // 2}H", octets[: len(octets) & ~1]))
    if len(octets) % 2:
        total += octets[-1] << 8
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def test_the_example_of_rfc_1071() -> None:  # §3
    assert ones_complement_sum(RFC1071_OCTETS) == 0xDDF2
    assert internet_checksum(RFC1071_OCTETS) == 0xDDF2 ^ 0xFFFF


def test_the_example_of_rfc_1624() -> None:  # §4: the result is 0x0000, not 0xFFFF
    assert updated_checksum(0xDD2F, 0x5555, 0x3285) == 0x0000


def test_all_zero_octets_have_the_checksum_of_all_ones() -> None:
    assert internet_checksum(bytes(20)) == 0xFFFF


@given(st.binary(max_size=200))
def test_any_octets_have_the_checksum_that_words_added_one_by_one_give(octets: bytes) -> None:
    assert internet_checksum(octets) == by_hand(octets)


@given(st.binary(min_size=2, max_size=64).filter(lambda octets: len(octets) % 2 == 0), st.binary(max_size=65))
def test_parts_in_a_row_are_summed_as_one(first: bytes, second: bytes) -> None:
    assert internet_checksum(first, second) == by_hand(first + second)
