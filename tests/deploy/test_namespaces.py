import subprocess
import sys
from pathlib import Path

import pytest

from deploy.lab import topology
from deploy.lab.capture import Capture
from deploy.lab.namespaces import Lab, masquerade
from deploy.lab.pcap import read_datagrams, read_frames
from shared.errors import SystemRefused
from tests.support.needs import need_namespaces
from tests.support.wait import wait_for

pytestmark = pytest.mark.netns

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def namespaces() -> None:
    need_namespaces()


def test_two_namespaces_reach_each_other_over_a_link() -> None:
    with Lab() as lab:
        one, other = lab.namespace("one"), lab.namespace("other")
        lab.link((one, "eth0"), (other, "eth0"), addresses=(["192.0.2.1/24"], ["192.0.2.2/24"]))
        assert ", 0% packet loss" in one.run("ping", "-c", "1", "192.0.2.2").stdout


def test_a_namespace_is_gone_when_its_lab_fails() -> None:
    paths = []

    def fail() -> None:
        with Lab() as lab:
            paths.append(lab.namespace("short-lived").path)
            raise RuntimeError("the test's")

    with pytest.raises(RuntimeError):
        fail()
    assert not Path(paths[0]).exists()


def test_a_command_that_fails_says_where_and_why() -> None:
    with Lab() as lab, pytest.raises(SystemRefused, match=r"router: ip link show nothing: .*does not exist"):
        lab.namespace("router").run("ip", "link", "show", "nothing")


def test_the_two_lans_of_the_topology_are_joined_by_nothing_but_a_tunnel() -> None:
    with Lab() as lab:
        machines = topology.build(lab)
        assert ", 0% packet loss" in machines.pc1.run("ping", "-c", "1", topology.CLIENT_LAN).stdout
        assert (
            ", 0% packet loss" in machines.client.run("ping", "-c", "1", topology.CONCENTRATOR_OUTER).stdout
        )
        lost = machines.pc1.run("ping", "-c", "1", "-W", "1", topology.PC2_ADDRESS, check=False)
        assert "100% packet loss" in lost.stdout


def test_a_capture_holds_what_passed_until_it_is_closed(tmp_path: Path) -> None:
    with Lab() as lab:
        machines = topology.build(lab)
        masquerade(machines.client, "middle")
        capture = Capture(machines.concentrator, "middle", tmp_path / "middle.pcap")
        machines.client.run("bash", "-c", f"echo -n hello > /dev/udp/{topology.CONCENTRATOR_OUTER}/1701")
        capture.close()
    assert [datagram.payload for datagram in read_datagrams(capture.path)] == [b"hello"]
    assert list(read_frames(capture.path))


def test_a_program_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    script = f"""
import subprocess
import sys
from pathlib import Path
from deploy.lab.namespaces import Lab
from deploy.lab.processes import Running
import os
lab = Lab()
running = Running(lab.namespace("orphanage"), ["sleep", "600"], Path("{tmp_path}/log"))
print(running.pid, flush=True)
os._exit(1)
"""
    died = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    pid = int(died.stdout)
    wait_for(lambda: not Path(f"/proc/{pid}").exists(), f"process {pid} is gone", deadline_s=5)
