"""What an SCCRQ must pass before it makes any state."""

from __future__ import annotations

from controller.admission import Admission, TokenBucket, source_key
from shared.config.sections import L2TP

LIMITS = L2TP(sccrq_per_second=10, sccrq_burst=20, sccrq_per_source_per_second=1, sccrq_per_source_burst=5)


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(2.0, 3, now=100.0)
    assert [bucket.take(100.0) for _ in range(5)] == [True, True, True, False, False]
    assert [bucket.take(101.0) for _ in range(3)] == [True, True, False]


def test_one_source_is_limited_whatever_port_it_uses() -> None:
    admission = Admission(LIMITS, now=0.0)
    admitted = [admission.admit(("192.0.2.1", port), 0.0) for port in range(10)]
    assert admitted.count(True) == 5
    assert admission.admit(("192.0.2.2", 1701), 0.0)


def test_hosts_of_one_ipv6_64_are_one_source() -> None:
    assert source_key(("2001:db8::1", 1, 0, 0)) == source_key(("2001:db8::ffff:1", 2, 0, 0))
    assert source_key(("2001:db8::1", 1, 0, 0)) != source_key(("2001:db8:0:1::1", 1, 0, 0))


def test_a_flood_from_everywhere_is_limited_but_a_proven_source_still_gets_in() -> None:
    admission = Admission(LIMITS, now=0.0)
    genuine = ("198.51.100.7", 1701)
    admission.proven(genuine)
    flood = [admission.admit((f"203.0.{n >> 8}.{n & 255}", 1701), 0.0) for n in range(1000)]
    assert flood.count(True) == 20
    assert admission.admit(genuine, 0.0)


def test_nothing_is_worth_reading_while_no_tunnel_would_be_let_in() -> None:
    admission = Admission(LIMITS, now=0.0)
    genuine, stranger, greedy = ("198.51.100.7", 1701), ("198.51.100.8", 1701), ("198.51.100.9", 1701)
    admission.proven(genuine)
    for _ in range(6):
        admission.admit(greedy, 0.0)
    assert [admission.worth_reading(each, 0.0) for each in (genuine, stranger, greedy)] == [True, True, False]
    for n in range(1000):
        admission.admit((f"203.0.{n >> 8}.{n & 255}", 1701), 0.0)
    assert [admission.worth_reading(each, 0.0) for each in (genuine, stranger)] == [True, False]
    assert admission.worth_reading(stranger, 1.0)


def test_memory_for_sources_is_bounded() -> None:
    admission = Admission(LIMITS, now=0.0)
    for n in range(70_000):
        admission.admit((f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", 1701), 0.0)
    assert len(admission._by_source) == 65_536
