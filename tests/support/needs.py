"""What a test needs of the machine. Missing, it skips and says what to do; in CI it fails instead."""

from __future__ import annotations

import os
import shutil
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

from deploy.lab.enclose import MARK, refusal


def missing(why: str) -> NoReturn:
    """Skip the test for ``why``; fail it where ``CI`` is set, since there everything has to be there."""
    if os.environ.get("CI"):
        pytest.fail(f"CI lacks what this test needs: {why}", pytrace=False)
    pytest.skip(why)


def need_tools(*names: str) -> None:
    """Need programs on PATH."""
    if absent := [name for name in names if not shutil.which(name)]:
        missing(f"not installed: {', '.join(absent)} (`make interop` installs the third-party peers)")


def need_namespaces() -> None:
    """Need to be able to make network namespaces."""
    if complaint := _namespaces_refused():
        missing(complaint)


def need_enclosed_root() -> None:
    """Need the machine's root, not only that of a user namespace, and an enclosure that is cleaned up."""
    if os.geteuid() != 0 or not _maps_all_users():
        missing("needs root: `sudo make interop`")
    if not os.environ.get(MARK):
        missing("names namespaces: run `make interop`, or pytest by `python -m deploy.lab.enclose`")


@cache
def _namespaces_refused() -> str | None:
    if os.geteuid() != 0:
        return "needs root in a namespace: run `make test`, which makes one"
    return refusal()


def _maps_all_users() -> bool:
    mapping = Path("/proc/self/uid_map").read_text()
    return mapping.split()[2] == "4294967295"
