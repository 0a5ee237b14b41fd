"""One concentrator for all clients of this folder; the prefix a client dials from chooses its profile."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from deploy.lab.concentrator import Concentrator
from deploy.lab.namespaces import Lab, Namespace
from tests.support.needs import need_enclosed_root, need_namespaces, need_tools
from tests.support.peers import Guest

OUTER: Final = "10.99.0.1"
LAN_HOST: Final = "192.168.22.100"
AT_ONCE: Final = 3  # guests that boot at the same time: two CPUs, and much of a boot is waiting

# Clients dial from: .16/28 (default), .32/28 with a tunnel secret, .48/28 IPv6, .64/28 LCP echo each second.
CONFIGURATION: Final = f"""\
[[listen]]
address = "{OUTER}"
port = 1701

[workers]
count = 2

[l2tp]
hello_interval_s = 2.0

[[pool]]
name = "subscribers"
prefix = "10.0.0.0/16"
gateway = "10.0.0.1"

[profile.default]
authentication = ["mschapv2", "chap", "pap"]
pool = "subscribers"
dns = ["192.168.22.1"]

[profile.ipv6]
pool = "subscribers"
ipv6 = true

[profile.watchful]
pool = "subscribers"
echo_interval_s = 1.0
echo_failures = 2

[[peer]]
prefix = "10.99.0.32/28"
secret = "tunnelpw"

[[peer]]
prefix = "10.99.0.48/28"
profile = "ipv6"

[[peer]]
prefix = "10.99.0.64/28"
profile = "watchful"

[[user]]
name = "alice"
password = "secret"

[[user]]
name = "static"
password = "secret"
address = "10.0.200.7"

[[user]]
name = "sub-*"
password = "secret"
"""


@dataclass(slots=True)
class Network:
    """The bridge that guests are on, the concentrator, a host on the LAN behind it, and captures."""

    name: str
    namespace: Namespace
    host: Namespace
    folder: Path
    concentrator: Concentrator
    pcaps: list[Path] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def guest(self, label: str, address: str, *, capture: bool = True) -> Guest:
        """Return a guest that has yet to be started; its capture joins those that tshark looks at."""
        tap = f"g{next(self._numbers)}"
        pcap = self.folder / f"{label}.pcap" if capture else None
        if pcap is not None:
            self.pcaps.append(pcap)
        return Guest(self.name, tap, address, self.folder / label, pcap)


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """The network of all tests of this folder; gone when they are over."""
    need_enclosed_root()
    need_namespaces()
    need_tools("linux.uml", "xl2tpd", "pppd", "tcpdump")
    with Lab() as lab:
        namespace, host = lab.namespace("lab"), lab.namespace("LAN host")
        lab.bridge(namespace, "br0", [f"{OUTER}/24"])
        lab.link((namespace, "lan"), (host, "eth0"), addresses=(["192.168.22.1/24"], [f"{LAN_HOST}/24"]))
        host.ip("route add default via 192.168.22.1")
        namespace.forward()
        name = f"culvert{os.getpid()}"
        lab.publish(namespace, name)
        concentrator = Concentrator(namespace, CONFIGURATION, log_level="DEBUG")
        lab.at_exit(concentrator.stop)
        concentrator.wait_until_ready()
        yield Network(name, namespace, host, tmp_path_factory.mktemp("interop"), concentrator)


@dataclass(slots=True)
class Runner:
    """Runs what tests need of slow guests side by side, a few at a time, ahead of the tests that look."""

    pool: ThreadPoolExecutor
    started: dict[str, Future[object]] = field(default_factory=dict)

    def start(self, name: str, job: Callable[[], object]) -> None:
        """Have ``job`` run as soon as there is room."""
        self.started[name] = self.pool.submit(job)

    def result(self, name: str) -> object:
        """Wait for the job's result; raises what it raised."""
        return self.started[name].result(timeout=300)


@pytest.fixture(scope="session")
def runner() -> Iterator[Runner]:
    """A `Runner` for the whole run."""
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="guest") as pool:
        yield Runner(pool)
