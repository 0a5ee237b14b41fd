"""How values read in a table."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from controller.cli import tables
from controller.cli.tables import Column, octets, printable, uptime

SESSION = {
    "ifname": "l2tp20342-50193",
    "username": "alice",
    "calling_sid": "192.0.2.2",
    "ip": "10.0.0.10",
    "type": "l2tp",
    "state": "active",
    "uptime_s": 176523,
    "tunnel_id": 20342,
    "session_id": 50193,
    "worker": 0,
    "rx_bytes": 84,
    "tx_bytes": 84,
}


def shown(width: int, columns: tuple[Column, ...] = tables.SESSIONS) -> list[str]:
    printed = StringIO()
    tables.show(columns, [SESSION], Console(file=printed, width=width, highlight=False))
    return printed.getvalue().splitlines()


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


def test_a_wide_terminal_shows_every_column_in_one_line_for_each_session() -> None:
    head, _, row = shown(140)
    assert head.split() == [column.name for column in tables.SESSIONS]
    assert "l2tp20342-50193" in row


@pytest.mark.parametrize("width", [80, 90, 100])
def test_a_narrow_terminal_leaves_out_what_is_least_needed_and_says_so(width: int) -> None:
    *table, remark = shown(width)
    assert len(table) == 3
    assert all(len(line) <= width for line in table)
    assert {"alice", "10.0.0.10", "20342", "50193", "2.01:02:03"} <= set(table[2].split())
    assert "ifname" in remark
    assert "--json" in remark


def test_values_are_never_cut_where_no_column_may_go() -> None:
    must = tuple(column for column in tables.SESSIONS if not column.spare)
    assert "alice" in shown(10, must)[2]
    assert len(shown(10, must)) == 3
