"""Prometheus metrics, built from plain integers when somebody scrapes.

No label names a user or a session: the number of series depends on the configuration alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from controller.surface import Service

SESSION_STATES: Final = ("starting", "active", "finishing")
TUNNEL_STATES: Final = ("starting", "established", "closing")

# Totals of a worker that have a metric of their own: name, then direction. The others are events.
_TRAFFIC: Final = {
    "rx_packets": ("packets", "rx"),
    "tx_packets": ("packets", "tx"),
    "rx_octets": ("bytes", "rx"),
    "tx_octets": ("bytes", "tx"),
}


def registry(service: Service, info: Mapping[str, str]) -> CollectorRegistry:
    """Return a registry of ``service`` and of this process; ``info`` becomes culvert_build_info."""
    made = CollectorRegistry()
    made.register(ServiceCollector(service, info))
    ProcessCollector(namespace="culvert_controller", registry=made)
    return made


def exposition(metrics: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """Return the text and its content type, as the scraper's Accept header asks for."""
    encoder, content_type = choose_encoder(accept)
    return encoder(metrics), content_type


class ServiceCollector(Collector):
    """Reads `Service` at scrape time; rx is from the subscribers."""

    def __init__(self, service: Service, info: Mapping[str, str]) -> None:
        self._service = service
        self._info = dict(info)

    def collect(self) -> Iterator[Metric]:
        """Yield every metric, always with the same names and labels."""
        yield InfoMetricFamily("culvert_build", "The version that runs.", value=self._info)
        yield GaugeMetricFamily(
            "culvert_ready", "1 while calls are taken.", value=not self._service.missing()
        )
        yield self._sessions()
        yield self._tunnels()
        yield from self._workers()
        yield from self._pools()
        yield self._control_events()
        yield from self._worker_totals()

    def _sessions(self) -> Metric:
        metric = GaugeMetricFamily(
            "culvert_sessions",
            "Sessions by state, worker and service.",
            labels=("state", "worker", "service"),
        )
        counted = Counter((row.state, str(row.worker), row.service) for row in self._service.sessions())
        workers = [str(worker.index) for worker in self._service.workers()]
        shown = dict.fromkeys((state, worker, "routed") for state in SESSION_STATES for worker in workers)
        for labels in shown | dict.fromkeys(counted):
            metric.add_metric(labels, counted[labels])
        return metric

    def _tunnels(self) -> Metric:
        metric = GaugeMetricFamily("culvert_tunnels", "Tunnels by state.", labels=("state",))
        counted = Counter(row.state for row in self._service.tunnels())
        for state in dict.fromkeys((*TUNNEL_STATES, *counted)):
            metric.add_metric((state,), counted[state])
        return metric

    def _workers(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("culvert_worker_up", "1 while the worker is there.", labels=("worker",))
        info = InfoMetricFamily("culvert_worker", "The datapath that a worker runs.", labels=("worker",))
        for row in self._service.workers():
            up.add_metric((str(row.index),), row.pid is not None)
            info.add_metric((str(row.index),), {"datapath": row.datapath})
        yield up
        yield info

    def _pools(self) -> Iterator[Metric]:
        addresses = GaugeMetricFamily(
            "culvert_pool_addresses", "Addresses of a pool by state.", labels=("pool", "state")
        )
        blocks = GaugeMetricFamily("culvert_pool_blocks", "Blocks that workers hold.", labels=("pool",))
        for row in self._service.pools():
            addresses.add_metric((row.name, "used"), row.used)
            addresses.add_metric((row.name, "free"), row.free)
            blocks.add_metric((row.name,), row.blocks)
        yield addresses
        yield blocks

    def _control_events(self) -> Metric:
        metric = CounterMetricFamily(
            "culvert_control_events", "What the controller has seen and done, by name.", labels=("event",)
        )
        for name, total in self._service.counters().items():
            metric.add_metric((name,), total)
        return metric

    def _worker_totals(self) -> Iterator[Metric]:
        traffic = {
            "packets": CounterMetricFamily(
                "culvert_worker_packets", "Subscribers' IP packets.", labels=("worker", "direction")
            ),
            "bytes": CounterMetricFamily(
                "culvert_worker_bytes", "Subscribers' IP octets.", labels=("worker", "direction")
            ),
        }
        events = CounterMetricFamily(
            "culvert_worker_events",
            "What a worker has done and dropped, by name.",
            labels=("worker", "event"),
        )
        for worker, totals in self._service.worker_counters().items():
            for name, total in totals.items():
                unit, direction = _TRAFFIC.get(name, ("", name))
                traffic.get(unit, events).add_metric((str(worker), direction), total)
        yield from traffic.values()
        yield events
