import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.lab import enclose
from tests.support.needs import need_namespaces
from tests.support.wait import wait_for

pytestmark = pytest.mark.netns

ROOT = Path(__file__).parents[2]


def enclosed(*command: str) -> subprocess.CompletedProcess[str]:
    need_namespaces()
    environment = {name: value for name, value in os.environ.items() if name != enclose.MARK}
    return subprocess.run(
        [sys.executable, "-m", "deploy.lab.enclose", *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_sees_a_network_of_its_own_as_root() -> None:
    done = enclosed("sh", "-c", "id -u; ip -brief link | wc -l; ls /run")
    assert done.stdout.split()[:2] == ["0", "1"]
    assert "netns" in done.stdout.split()


def test_the_command_s_status_is_passed_on() -> None:
    assert enclosed("sh", "-c", "exit 7").returncode == 7
    assert enclosed("sh", "-c", "kill -TERM $$").returncode == 128 + 15


def test_what_the_command_leaves_running_is_ended() -> None:
    done = enclosed("sh", "-c", "setsid sleep 600 > /dev/null 2>&1 & echo $!")
    pid = int(done.stdout)
    wait_for(lambda: not Path(f"/proc/{pid}").exists(), f"process {pid} is gone", deadline_s=1)


def test_nothing_that_is_mounted_inside_shows_outside() -> None:
    before = Path("/proc/self/mountinfo").read_text()
    enclosed("sh", "-c", "mount -t tmpfs tmpfs /mnt; ip netns add inner")
    assert Path("/proc/self/mountinfo").read_text() == before


def test_a_missing_command_is_named_as_wrong_usage() -> None:
    assert enclosed().returncode == 2
