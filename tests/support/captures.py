"""Recordings of other vendors' equipment; they are not part of this repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

CAPTURES = Path(os.environ.get("CULVERT_CAPTURES", Path(__file__).parents[2].parent / "shared" / "captures"))


def capture(name: str) -> Path:
    """Return the path of a file in the captures' folder; skips the test where the folder is absent."""
    if not CAPTURES.is_dir():
        pytest.skip(f"no captures in {CAPTURES}: set CULVERT_CAPTURES to the folder that has them")
    return CAPTURES / name
