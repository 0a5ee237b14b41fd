import subprocess
import sys

import pytest

from workers.__main__ import main


def test_a_worker_starts_without_the_controllers_heavy_imports() -> None:
    script = "import sys, workers.__main__; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    heavy = {"pydantic", "typer", "rich", "aiohttp", "pyroute2", "prometheus_client", "controller", "client"}
    assert not heavy & set(done.stdout.split())


def test_bad_usage_ends_with_status_2() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--index", "0"])
    assert ended.value.code == 2
