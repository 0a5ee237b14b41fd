import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.latencies import Latencies


def test_nothing_measured_is_zero() -> None:
    assert Latencies().summary() == {"count": 0, "p50_ms": 0, "p90_ms": 0, "p99_ms": 0, "max_ms": 0}


def test_percentiles_of_a_hundred_even_steps() -> None:
    latencies = Latencies()
    for step in range(1, 101):
        latencies.add(step / 1000)
    figures = latencies.summary()
    assert [figures[name] for name in ("p50_ms", "p90_ms", "p99_ms")] == pytest.approx([50, 90, 99], rel=0.01)
    assert figures["max_ms"] == 100


@given(st.lists(st.floats(1e-5, 1000), min_size=1, max_size=200), st.sampled_from([1, 50, 99, 100]))
def test_a_percentile_is_within_one_percent_of_the_value_at_its_rank(
    values: list[float], percent: int
) -> None:
    latencies = Latencies()
    for value in values:
        latencies.add(value)
    at_rank = sorted(values)[max(-(-len(values) * percent // 100), 1) - 1]
    assert latencies.percentile(percent) == pytest.approx(at_rank, rel=0.0101)
