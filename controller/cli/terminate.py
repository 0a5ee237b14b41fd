"""``culvert terminate``, also called ``disconnect``: end sessions in an orderly way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from controller.cli import admin
from controller.cli.options import DEFAULT_CONFIG, AsJSON, ConfigFile, Socket, admin_socket, ip_address
from shared.errors import SystemRefused

Session = Annotated[
    str | None,
    typer.Option(
        "--session",
        metavar="[TUNNEL/]ID",
        help="One session. Without its tunnel, here or by --tunnel, the ID must be unique.",
    ),
]
User = Annotated[str | None, typer.Option("--user", metavar="NAME", help="All sessions of this user.")]
IP = Annotated[
    str | None,
    typer.Option("--ip", metavar="ADDRESS", help="The session with this address.", callback=ip_address),
]
Tunnel = Annotated[
    int | None, typer.Option("--tunnel", metavar="ID", min=1, help="All sessions of this tunnel.")
]
All = Annotated[bool, typer.Option("--all", help="All sessions there are.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="For the log.")]


def terminate(
    session: Session = None,
    user: User = None,
    ip: IP = None,
    tunnel: Tunnel = None,
    everything: All = False,
    reason: Reason = "administrative request",
    as_json: AsJSON = False,
    config: ConfigFile = DEFAULT_CONFIG,
    socket: Socket = None,
) -> None:
    """End sessions in an orderly way.

    By LCP Terminate-Request and CDN. Options given together must all match. Says how many there were; the
    exit status is 1 when there was none.
    """
    chosen: dict[str, object | None] = {"username": user, "ip": ip, "tunnel_id": tunnel}
    path = admin_socket(socket, config)
    if session is not None:
        chosen |= _session(path, session, tunnel)
    selection = {key: value for key, value in chosen.items() if value is not None}
    if bool(selection) == everything:
        raise typer.BadParameter("give one or more of --session, --user, --ip and --tunnel, or --all alone")
    if everything:
        selection["all"] = True
    count: int = admin.post(path, "terminate", {**selection, "reason": reason})["terminated"]
    if as_json:
        typer.echo(json.dumps({"terminated": count}))
    elif count:
        typer.echo(f"{count} session{'' if count == 1 else 's'} terminated")
    if not count:
        raise SystemRefused("no session matches: see culvert show sessions")


def _session(path: Path, text: str, tunnel_id: int | None) -> dict[str, int]:
    """Return tunnel and session ID of ``text``; the same session ID may stand in many tunnels."""
    before, slash, after = text.rpartition("/")
    if not after.isdecimal() or (slash and not before.isdecimal()):
        raise typer.BadParameter(f"{text!r} is neither ID nor TUNNEL/ID, such as 7 or 12/7")
    session_id = int(after)
    if slash:
        if tunnel_id not in {None, int(before)}:
            raise typer.BadParameter(f"--session {text} is not in --tunnel {tunnel_id}")
        return {"tunnel_id": int(before), "session_id": session_id}
    if tunnel_id is not None:
        return {"tunnel_id": tunnel_id, "session_id": session_id}
    found: list[dict[str, Any]] = admin.get(path, "sessions", {"session_id": session_id})
    if len(found) > 1:
        some = ", ".join(f"{row['tunnel_id']}/{session_id}" for row in found[:5])
        raise typer.BadParameter(f"session {session_id} is in {len(found)} tunnels, choose one: {some}")
    return {"session_id": session_id}
