"""Rows as tables: what the columns are called and how their values read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

_UNLIMITED: Final = 10_000  # columns, where the output is no terminal: nothing is cut or wrapped
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """``name`` heads the column; ``key`` is that of the JSON, ``text`` says how its value reads.

    On a terminal too narrow for all, columns with the highest ``spare`` are left out first; 0 always stays.
    """

    name: str
    key: str
    text: Callable[[Any], str] = str
    justify: Literal["left", "right"] = "left"
    spare: int = 0


def uptime(seconds: int) -> str:
    """Return ``01:02:03`` or ``2.01:02:03``, with days, as accel-ppp writes it."""
    days, rest = divmod(seconds, 86400)
    clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days}.{clock}" if days else clock


def octets(count: int) -> str:
    """Return ``1.5 MiB``, with at most one decimal."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.1f} {unit}" if unit != "B" else f"{count} B"
        size /= 1024
    return f"{size:.1f} TiB"


def _or(absent: str) -> Callable[[Any], str]:
    return lambda value: absent if value in {None, ""} else str(value)


def _joined(values: Sequence[str]) -> str:
    return ", ".join(values) or "-"


def _number(name: str, key: str, text: Callable[[Any], str] = str, spare: int = 0) -> Column:
    return Column(name, key, text, "right", spare)


# The first eight are accel-ppp's, by its names, since operators type them already.
SESSIONS: Final = (
    Column("ifname", "ifname", spare=6),
    Column("username", "username", _or("-")),
    Column("calling-sid", "calling_sid", _or("-"), spare=4),
    Column("ip", "ip", _or("-")),
    Column("type", "type", spare=5),
    Column("state", "state"),
    Column("uptime", "uptime_s", uptime),
    _number("tunnel", "tunnel_id"),
    _number("session", "session_id"),
    _number("worker", "worker", spare=3),
    _number("rx-bytes", "rx_bytes", octets, spare=2),
    _number("tx-bytes", "tx_bytes", octets, spare=1),
)
SESSIONS_ALSO: Final = (
    Column("service", "service"),
    Column("peer", "peer"),
    _number("rx-pkts", "rx_packets"),
    _number("tx-pkts", "tx_packets"),
    _number("uptime-raw", "uptime_s"),
    _number("rx-bytes-raw", "rx_bytes"),
    _number("tx-bytes-raw", "tx_bytes"),
)
TUNNELS: Final = (
    _number("tunnel", "tunnel_id"),
    _number("peer-tunnel", "peer_tunnel_id", spare=2),
    Column("peer", "peer"),
    Column("hostname", "hostname", _or("-"), spare=1),
    Column("state", "state"),
    _number("sessions", "sessions"),
    _number("worker", "worker", _or("all")),
    Column("uptime", "uptime_s", uptime),
)
WORKERS: Final = (
    _number("worker", "index"),
    _number("pid", "pid", _or("away")),
    _number("tunnels", "tunnels"),
    _number("sessions", "sessions"),
    Column("datapath", "datapath", spare=2),
    Column("offloads", "offloads", _joined, spare=3),
    Column("sockets", "sockets", _joined, spare=1),
    _number("rx-pkts", "rx_packets"),
    _number("tx-pkts", "tx_packets"),
)
POOLS: Final = (
    Column("pool", "name"),
    Column("prefix", "prefix"),
    Column("gateway", "gateway"),
    _number("size", "size"),
    _number("used", "used"),
    _number("free", "free"),
    _number("blocks", "blocks"),
)


def printable(text: str) -> str:
    """Return ``text`` with what would steer a terminal escaped: names come from peers."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def show(columns: Sequence[Column], rows: Iterable[Row], console: Console | None = None) -> None:
    """Print ``rows``, with as many of ``columns`` as the terminal, if there is one, is wide enough for."""
    console = console or terminal()
    kept, found = list(columns), list(rows)
    while (width := _width(table := _table(kept, found), console)) > console.width and any(_spare(kept)):
        kept.remove(max(kept, key=lambda column: column.spare))
    console.width = max(console.width, width)  # what must stay and does not fit is the terminal's to wrap
    with console.capture() as printed:
        console.print(table)
    lines = [line.rstrip() for line in printed.get().splitlines()]
    if left_out := [column.name for column in columns if column not in kept]:
        lines.append(f"Too narrow here for {', '.join(left_out)}; --json shows all.")
    console.file.write("".join(f"{line}\n" for line in lines))


def _table(columns: Sequence[Column], rows: Sequence[Row]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column.name, justify=column.justify, no_wrap=True)
    for row in rows:
        table.add_row(*(Text(printable(column.text(row[column.key]))) for column in columns))
    return table


def _width(table: Table, console: Console) -> int:
    """Return how many columns of a terminal ``table`` takes if nothing in it is cut."""
    return console.measure(table, options=console.options.update(max_width=_UNLIMITED)).maximum


def _spare(columns: Sequence[Column]) -> list[int]:
    return [column.spare for column in columns]


def terminal() -> Console:
    """Return a console on standard output; where that is no terminal, one without a right margin."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_UNLIMITED)
