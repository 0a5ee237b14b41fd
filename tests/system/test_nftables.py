"""What the operator reads where nftables can't be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.errors import SystemRefused
from system import nftables


def test_a_missing_nft_is_named_with_a_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemRefused, match="install the nftables package, or set masquerade = false"):
        nftables.install_masquerade(["10.0.0.0/16"])


def test_what_nft_says_is_passed_on_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nft = tmp_path / "nft"
    nft.write_text("#!/bin/sh\necho 'Error: Operation not permitted' >&2\necho more >&2\nexit 1\n")
    nft.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(SystemRefused) as refusal:
        nftables.remove_masquerade()
    assert str(refusal.value) == "nft refuses the table inet culvert: Error: Operation not permitted"
