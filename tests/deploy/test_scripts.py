import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = [ROOT / ".ci" / "run", *ROOT.glob("deploy/lab/*.sh"), *ROOT.glob("tests/interop/lab/**/*.sh")]
SOURCED = {"ipsec-conf.sh", "ipsec.sh"}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_script_is_executable_and_its_syntax_right(script: Path) -> None:
    assert os.access(script, os.X_OK) != (script.name in SOURCED)
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0


def test_every_target_of_make_has_its_line_of_help() -> None:
    makefile = (ROOT / "Makefile").read_text()
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony
    for target in set(phony[1].split()) - {"lab"}:  # what others need, not asked for by name
        assert re.search(rf"^  make {target} ", shown, re.MULTILINE), target


def test_no_package_registry_is_named() -> None:
    """Which one is used is for the machine's pip and apt to know."""
    for path in [ROOT / "Makefile", ROOT / "pyproject.toml", *SCRIPTS]:
        assert not re.search(r"pypi|pythonhosted|--index-url|deb\.debian", path.read_text()), path
