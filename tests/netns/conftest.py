"""Fixtures of the end-to-end tests: namespaces, the topology, and concentrators in it.

Everything here goes through `deploy.lab`, as the demonstration does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import TypeAlias

import pytest

from deploy.lab import topology as topologies
from deploy.lab.concentrator import Concentrator
from deploy.lab.namespaces import Lab, Namespace
from deploy.lab.processes import Running, culvert_program
from deploy.lab.topology import Topology
from tests.support.needs import need_namespaces

RunConcentrator: TypeAlias = Callable[..., Concentrator]
RunCulvert: TypeAlias = Callable[..., Running]


@pytest.fixture
def lab() -> Iterator[Lab]:
    """Namespaces and links of this test; all of it goes away with it."""
    need_namespaces()
    with Lab() as lab:
        yield lab


@pytest.fixture
def topology(lab: Lab) -> Topology:
    """PC1, client router, concentrator, PC2 of `deploy.lab.topology`; nothing of ours runs in it yet."""
    return topologies.build(lab)


@pytest.fixture
def run_concentrator(lab: Lab) -> RunConcentrator:
    """``run_concentrator(namespace, toml, ready=True)``: `culvert run`, stopped with the lab."""

    def run(
        namespace: Namespace, configuration: str, *, ready: bool = True, log_level: str = "INFO"
    ) -> Concentrator:
        concentrator = Concentrator(namespace, configuration, log_level=log_level)
        lab.at_exit(concentrator.stop)
        if ready:
            concentrator.wait_until_ready()
        return concentrator

    return run


@pytest.fixture
def run_culvert(lab: Lab, tmp_path: Path) -> RunCulvert:
    """``run_culvert(namespace, "dial", ...)``: a `culvert` command in a namespace; stopped with the lab."""

    number = count(1)

    def run(namespace: Namespace, *arguments: str) -> Running:
        name = f"{arguments[0]}-{next(number)}.log"
        running = Running(namespace, [culvert_program(), *arguments], tmp_path / name)
        lab.at_exit(running.stop)
        return running

    return run
