"""Two hundred tunnels through a control channel that loses a fifth of its messages.

client: culvert load ── ImpairedPath at 192.0.2.3 ──middle── concentrator
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy.lab.namespaces import Lab
from deploy.lab.topology import CONCENTRATOR_OUTER, CONFIGURATION, Topology
from tests.netns.conftest import RunConcentrator, RunCulvert
from tests.support.impair import ImpairedPath, Impairment

pytestmark = [pytest.mark.netns, pytest.mark.timeout(300)]

PATH = "192.0.2.3"
SUBSCRIBERS = '\n[[user]]\nname = "sub-*"\npassword = "secret"\n\n[l2tp]\nsetup_timeout_s = 120.0\n'


def test_two_hundred_tunnels_come_up_and_go_down_through_an_impaired_control_channel(
    lab: Lab, topology: Topology, run_concentrator: RunConcentrator, run_culvert: RunCulvert, tmp_path: Path
) -> None:
    concentrator = run_concentrator(topology.concentrator, CONFIGURATION + SUBSCRIBERS)
    topology.client.ip(f"addr add {PATH}/24 dev middle")
    server = (CONCENTRATOR_OUTER, 1701)
    path = ImpairedPath(topology.client, (PATH, 1701), server, Impairment(seed=2661))
    lab.at_exit(path.close)
    report = tmp_path / "load.json"
    sizes = ["--tunnels", "200", "--ports", "20", "--rate", "50", "--hold", "1", "--timeout", "150"]
    who = ["--user", "sub-%d", "--password", "secret"]
    load = run_culvert(topology.client, "load", PATH, *sizes, *who, "--json", str(report))
    status = load.wait_for_end(deadline_s=240)
    summary = json.loads(report.read_text())
    assert status == 0, load.tail()
    assert summary["tunnels"]["up"] == 200, summary
    concentrator.wait_for_sessions(0, deadline_s=60)
    totals = path.totals
    assert totals.clients == 20
    assert totals.dropped > 200
    assert totals.duplicated > 50
    assert totals.overtaken > 50
