"""``culvert run`` as a service: what it opens, what it starts again, and what is left when it ends."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from deploy.lab.concentrator import Concentrator
from deploy.lab.namespaces import Lab, Namespace
from deploy.lab.processes import culvert_program
from tests.netns.conftest import RunConcentrator
from tests.support.wait import wait_for

pytestmark = pytest.mark.netns

CONFIGURATION = """
[[listen]]
address = "127.0.0.1"
[[listen]]
address = "::1"
[workers]
count = 2
[[pool]]
name = "subscribers"
prefix = "10.0.0.0/16"
gateway = "10.0.0.1"
[profile.default]
pool = "subscribers"
"""
MASQUERADE = "[nat]\nmasquerade = true\n"


@pytest.fixture
def lns(lab: Lab) -> Namespace:
    return lab.namespace("lns")


def worker_pids(concentrator: Concentrator) -> list[int | None]:
    return [row["pid"] for row in concentrator.show("workers")]


def controller_pid(concentrator: Concentrator) -> int:
    return int(re.findall(r"controller started pid=(\d+)", concentrator.log())[-1])


def processes_with(text: str) -> list[str]:
    """Return the processes whose command line has ``text``; one that has just ended has none."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().replace(b"\\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in line:
            found.append(line)
    return found


def test_each_worker_reads_its_own_socket_of_every_listen_address(
    lns: Namespace, run_concentrator: RunConcentrator
) -> None:
    concentrator = run_concentrator(lns, CONFIGURATION)
    sockets = {
        row["pid"]: {entry.split()[0] for entry in row["sockets"]} for row in concentrator.show("workers")
    }
    assert len(sockets) == 2
    for pid, inodes in sockets.items():
        assert len(inodes) == 2
        held = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
        assert {f"socket:[{inode}]" for inode in inodes} <= held
        others = {inode for other, theirs in sockets.items() if other != pid for inode in theirs}
        assert not {f"socket:[{inode}]" for inode in others} & held
    listed = lns.run("ss", "-uane").stdout
    assert all(f"ino:{inode} " in listed for inodes in sockets.values() for inode in inodes)


def test_a_killed_worker_returns_with_the_same_sockets(
    lns: Namespace, run_concentrator: RunConcentrator
) -> None:
    concentrator = run_concentrator(lns, CONFIGURATION)
    before = concentrator.show("workers")
    os.kill(before[1]["pid"], signal.SIGKILL)
    wait_for(
        lambda: worker_pids(concentrator)[1] not in {None, before[1]["pid"]}, "a successor", deadline_s=20
    )
    after = concentrator.show("workers")
    assert [row["sockets"] for row in after] == [row["sockets"] for row in before]
    assert after[0]["pid"] == before[0]["pid"]
    assert "worker-1 was ended by signal=SIGKILL restart_in_s=0.1" in concentrator.log()


def test_a_killed_controller_returns_and_the_workers_stay(
    lns: Namespace, run_concentrator: RunConcentrator
) -> None:
    concentrator = run_concentrator(lns, CONFIGURATION)
    workers, controller = worker_pids(concentrator), controller_pid(concentrator)
    os.kill(controller, signal.SIGKILL)
    wait_for(lambda: controller_pid(concentrator) != controller, "a successor", deadline_s=20)
    concentrator.wait_until_ready()
    assert worker_pids(concentrator) == workers


def test_nothing_is_left_after_sigterm(lns: Namespace, run_concentrator: RunConcentrator) -> None:
    concentrator = run_concentrator(lns, CONFIGURATION + MASQUERADE)
    assert "culvert1" in lns.run("ip", "link").stdout
    assert 'ip saddr 10.0.0.0/16 oifname != "culvert*" masquerade' in lns.run("nft", "list", "ruleset").stdout
    assert concentrator.runtime.stat().st_mode & 0o777 == 0o700
    concentrator.process.send(signal.SIGTERM)
    assert concentrator.process.wait_for_end(deadline_s=20) == 0
    assert "culvert" not in lns.run("ip", "link").stdout
    assert lns.run("nft", "list", "ruleset").stdout == ""
    assert lns.run("ss", "-Huan").stdout == ""
    assert processes_with(str(concentrator.folder)) == []
    assert [file.name for file in concentrator.runtime.iterdir()] == ["lock"]
    assert " ERROR " not in concentrator.log()


def test_a_second_instance_is_told_who_is_there_already(
    lns: Namespace, run_concentrator: RunConcentrator
) -> None:
    first = run_concentrator(lns, CONFIGURATION)
    same_folder = lns.run(culvert_program(), "run", "-c", str(first.file), check=False)
    assert same_folder.returncode == 1
    assert same_folder.stderr.splitlines()[-1] == (
        f"culvert: another culvert runs with {first.runtime}; stop it, or set another runtime under [paths]"
    )
    second = run_concentrator(lns, CONFIGURATION, ready=False)
    assert second.process.wait_for_end() == 1
    assert re.search(
        r"^culvert: listen on UDP 127.0.0.1:1701: in use by .*, pid \d+; stop it", second.log(), re.MULTILINE
    )
    assert first.process.status() is None


def test_an_http_address_in_use_ends_it_at_once(lns: Namespace, run_concentrator: RunConcentrator) -> None:
    run_concentrator(lns, CONFIGURATION)
    elsewhere = CONFIGURATION.replace('"127.0.0.1"', '"127.0.0.2"').replace('"::1"', '"127.0.0.3"')
    second = run_concentrator(lns, elsewhere, ready=False)
    assert second.process.wait_for_end() == 1
    assert "culvert: HTTP on 127.0.0.1:9170: Address already in use; choose another" in second.log()


def test_a_bad_configuration_ends_it_with_status_2(lns: Namespace, run_concentrator: RunConcentrator) -> None:
    concentrator = run_concentrator(lns, CONFIGURATION.replace("count", "cuont"), ready=False)
    assert concentrator.process.wait_for_end() == 2
    assert re.match(r".*culvert\.toml: workers\.cuont: ", concentrator.log())


def test_a_machine_that_does_not_route_is_pointed_out(
    lab: Lab, lns: Namespace, run_concentrator: RunConcentrator
) -> None:
    warning = "this machine routes no IPv4: sysctl -w net.ipv4.ip_forward=1"
    assert warning in run_concentrator(lns, CONFIGURATION).log()
    router = lab.namespace("router")
    router.forward()
    assert warning not in run_concentrator(router, CONFIGURATION).log()


def test_subscribers_reach_the_gateway_through_every_workers_device(
    lns: Namespace, run_concentrator: RunConcentrator
) -> None:
    run_concentrator(lns, CONFIGURATION)
    for device in ("culvert0", "culvert1"):
        shown = lns.run("ip", "-br", "address", "show", "dev", device).stdout
        assert shown.split()[2:] == ["10.0.0.1/32", "fe80::1/64"]
