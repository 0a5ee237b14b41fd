import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.lab import enclose
from tests.support.needs import need_namespaces

pytestmark = pytest.mark.netns

ROOT = Path(__file__).parents[2]


def test_the_demonstration_comes_true_and_leaves_nothing(tmp_path: Path) -> None:
    need_namespaces()
    environment = {name: value for name, value in os.environ.items() if name != enclose.MARK}
    environment |= {"TMPDIR": str(tmp_path), "TERM": "dumb"}
    done = subprocess.run(
        [sys.executable, "-m", "deploy.lab.enclose", sys.executable, "-m", "deploy.lab.demo"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for said in (
        "SCCRQ ",
        "ICCN ",
        "HELLO ",
        "IPCP Configure-Ack",
        "ICMP echo request",
        "mtu = 1462",
        "alice",
    ):
        assert said in done.stdout
    assert not re.search(r"^\s+NO ", done.stdout, re.MULTILINE)
    assert list(tmp_path.iterdir()) == []
