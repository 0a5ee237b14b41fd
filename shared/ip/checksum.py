"""The Internet checksum (RFC 1071) and its incremental update (RFC 1624)."""

from __future__ import annotations

from typing import TypeAlias

Octets: TypeAlias = bytes | bytearray | memoryview


def ones_complement_sum(octets: Octets) -> int:
    """Return the 16-bit ones' complement sum of ``octets``, an odd last one padded with zero (RFC 1071 §1).

    2**16 is 1 modulo 0xFFFF, so the sum of all words is the remainder of the octets read as one number;
    of the two representations of zero, 0xFFFF stands for octets that are not all zero.
    """
    number = int.from_bytes(octets, "big")
    if len(octets) & 1:
        number <<= 8
    return number % 0xFFFF or (0xFFFF if number else 0)


def internet_checksum(*parts: Octets) -> int:
    """Return the checksum of ``parts`` in a row; each but the last has an even number of octets."""
    total = sum(ones_complement_sum(part) for part in parts)
    return 0xFFFF ^ (total % 0xFFFF or (0xFFFF if total else 0))


def updated_checksum(checksum: int, old: int, new: int) -> int:
    """Return ``checksum`` after one 16-bit word went from ``old`` to ``new`` (RFC 1624 §3, equation 3)."""
    total = (checksum ^ 0xFFFF) + (old ^ 0xFFFF) + new
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF
