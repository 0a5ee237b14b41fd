"""``culvert show``: what there is, as tables or as JSON with the keys that programs rely on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from controller.cli import admin, tables
from controller.cli.options import DEFAULT_CONFIG, IP, AsJSON, ConfigFile, Socket, Tunnel, User, admin_socket

app: Final = typer.Typer(help="Show what there is.", rich_markup_mode=None)

_SESSION_COLUMNS: Final = {column.name: column for column in (*tables.SESSIONS, *tables.SESSIONS_ALSO)}

Columns = Annotated[
    str | None,
    typer.Option("--columns", metavar="A,B,...", help=f"Which columns: {', '.join(_SESSION_COLUMNS)}."),
]


@app.command()
def sessions(
    user: User = None,
    ip: IP = None,
    tunnel: Tunnel = None,
    columns: Columns = None,
    as_json: AsJSON = False,
    config: ConfigFile = DEFAULT_CONFIG,
    socket: Socket = None,
) -> None:
    """Show sessions, the oldest first.

    rx is from the subscriber, tx to it.
    """
    filters = {"username": user, "ip": ip, "tunnel_id": tunnel}
    _show("sessions", _chosen(columns), admin_socket(socket, config), filters, as_json=as_json)


@app.command()
def tunnels(
    tunnel: Tunnel = None,
    as_json: AsJSON = False,
    config: ConfigFile = DEFAULT_CONFIG,
    socket: Socket = None,
) -> None:
    """Show tunnels.

    A worker of "all" means that the tunnel's sessions are spread over all of them.
    """
    filters = {"tunnel_id": tunnel}
    _show("tunnels", tables.TUNNELS, admin_socket(socket, config), filters, as_json=as_json)


@app.command()
def workers(as_json: AsJSON = False, config: ConfigFile = DEFAULT_CONFIG, socket: Socket = None) -> None:
    """Show workers.

    Each socket stands there with its inode, as `ss -uane` shows it.
    """
    _show("workers", tables.WORKERS, admin_socket(socket, config), {}, as_json=as_json)


@app.command()
def pools(as_json: AsJSON = False, config: ConfigFile = DEFAULT_CONFIG, socket: Socket = None) -> None:
    """Show address pools.

    The size leaves out the gateway, and addresses that users have for themselves.
    """
    _show("pools", tables.POOLS, admin_socket(socket, config), {}, as_json=as_json)


@app.command()
def stat(as_json: AsJSON = False, config: ConfigFile = DEFAULT_CONFIG, socket: Socket = None) -> None:
    """Show totals since the start.

    What the controller and each worker have seen, done and dropped.
    """
    found = admin.get(admin_socket(socket, config), "stat", {})
    typer.echo(json.dumps(found, indent=2) if as_json else "\n".join(_statistics(found)))


def _chosen(names: str | None) -> Sequence[tables.Column]:
    if names is None:
        return tables.SESSIONS
    wanted = names.split(",")
    if unknown := [name for name in wanted if name not in _SESSION_COLUMNS]:
        raise typer.BadParameter(f"no column {unknown[0]!r}, there are {', '.join(_SESSION_COLUMNS)}")
    return [replace(_SESSION_COLUMNS[name], spare=0) for name in wanted]


def _show(
    resource: str,
    columns: Sequence[tables.Column],
    path: Path,
    filters: Mapping[str, object | None],
    *,
    as_json: bool,
) -> None:
    rows: list[dict[str, Any]] = admin.get(path, resource, filters)
    rows.sort(key=lambda row: -row.get("uptime_s", 0))
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    else:
        tables.show(columns, rows)


def _statistics(found: Mapping[str, Any]) -> list[str]:
    """Return lines in accel-ppp's manner: a heading, its entries indented."""
    lines = [f"version: {found['version']}", f"uptime: {tables.uptime(found['uptime_s'])}"]
    groups = {name: found[name] for name in ("sessions", "tunnels", "controller")}
    groups |= {f"worker {index}": totals for index, totals in found["workers"].items()}
    for heading, totals in groups.items():
        lines.append(f"{heading}:")
        lines += [f"  {name}: {total}" for name, total in totals.items()]
    return lines
