"""The exposition, read back by prometheus_client's own parser."""

from __future__ import annotations

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from controller.metrics import exposition, registry
from tests.support.service import Rows

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(service: Rows) -> Samples:
    text, _ = exposition(registry(service, {"version": "1.2.3"}), "")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse_text(text.decode())
        for sample in family.samples
    }


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("culvert_sessions", {"state": "active", "worker": "1", "service": "routed"}, 1),
        ("culvert_sessions", {"state": "finishing", "worker": "0", "service": "routed"}, 0),
        ("culvert_tunnels", {"state": "established"}, 2),
        ("culvert_tunnels", {"state": "closing"}, 0),
        ("culvert_ready", {}, 1),
        ("culvert_build_info", {"version": "1.2.3"}, 1),
        ("culvert_worker_up", {"worker": "0"}, 1),
        ("culvert_worker_up", {"worker": "1"}, 0),
        ("culvert_pool_addresses", {"pool": "subscribers", "state": "free"}, 65530),
        ("culvert_control_events_total", {"event": "sccrq_received"}, 2),
        ("culvert_worker_packets_total", {"worker": "1", "direction": "rx"}, 7),
        ("culvert_worker_bytes_total", {"worker": "0", "direction": "tx"}, 600),
        ("culvert_worker_events_total", {"worker": "0", "event": "no_session"}, 1),
    ],
)
def test_a_sample_has_the_value_of_the_service(name: str, labels: dict[str, str], value: float) -> None:
    assert samples(Rows())[name, frozenset(labels.items())] == value


def test_all_names_are_ours_and_no_label_tells_a_user() -> None:
    found = samples(Rows())
    assert all(name.startswith("culvert_") for name, _ in found)
    values = {value for _, labels in found for _, value in labels}
    assert values.isdisjoint({"alice", "bob", "10.0.0.10", "192.0.2.2", "192.0.2.2:1701"})


def test_series_do_not_grow_with_sessions() -> None:
    few, many = Rows(), Rows()
    many.session_rows = many.session_rows * 100
    assert samples(few).keys() == samples(many).keys()


def test_not_being_ready_is_a_metric_too() -> None:
    assert samples(Rows(absent=["worker 1"]))["culvert_ready", frozenset()] == 0


def test_openmetrics_is_given_to_who_asks_for_it() -> None:
    text, content_type = exposition(registry(Rows(), {"version": "1"}), OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text")
    parsed = parse_openmetrics(text.decode())  # type: ignore[no-untyped-call]
    families = {family.name for family in parsed}
    assert {"culvert_control_events", "culvert_sessions", "culvert_worker_bytes"} <= families
