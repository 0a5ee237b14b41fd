"""How values read in a table."""

from __future__ import annotations

import pytest

from controller.cli.tables import octets, printable, uptime


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "00:00:00"), (59, "00:00:59"), (3723, "01:02:03"), (86399, "23:59:59"), (176523, "2.01:02:03")],
)
def test_uptime_reads_as_accel_ppps(seconds: int, text: str) -> None:
    assert uptime(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (5 * 2**40, "5.0 TiB"),
        (2**54, "16384.0 TiB"),
    ],
)
def test_octets_read_in_binary_units(count: int, text: str) -> None:
    assert octets(count) == text


def test_only_what_prints_reaches_the_terminal() -> None:
    assert printable("Zoë \x07\u202e\n") == "Zoë \\x07\\u202e\\n"
