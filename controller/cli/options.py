"""Options that several commands share."""

from __future__ import annotations

import ipaddress
import tomllib
from pathlib import Path
from typing import Annotated, Final

import typer

DEFAULT_CONFIG: Final = Path("/etc/culvert/culvert.toml")
_DEFAULT_RUNTIME: Final = Path("/run/culvert")  # also the default of [paths] runtime; a test compares them


def ip_address(text: str | None) -> str | None:
    """Return ``text``; raises `typer.BadParameter` where it is no address, rather than find nothing."""
    if text is not None:
        try:
            ipaddress.ip_address(text)
        except ValueError as error:
            raise typer.BadParameter(f"{text!r} is no IP address") from error
    return text


ConfigFile = Annotated[
    Path,
    typer.Option("-c", "--config", metavar="FILE", envvar="CULVERT_CONFIG", help="The configuration file."),
]
Socket = Annotated[
    Path | None,
    typer.Option(
        "--socket",
        metavar="PATH",
        envvar="CULVERT_SOCKET",
        help="The admin socket; by default admin.sock in the runtime folder of the configuration.",
    ),
]
AsJSON = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]
User = Annotated[str | None, typer.Option("--user", metavar="NAME", help="Only this user's sessions.")]
IP = Annotated[
    str | None,
    typer.Option("--ip", metavar="ADDRESS", help="Only the session with this address.", callback=ip_address),
]
Tunnel = Annotated[
    int | None, typer.Option("--tunnel", metavar="ID", min=1, help="Only this tunnel (our ID).")
]


def admin_socket(given: Path | None, config: Path) -> Path:
    """Return where to ask: ``given``, or what ``config`` says, as far as that can be read.

    A command that asks a running service needs no valid configuration, let alone the users' passwords, so
    nothing but this one key is looked at.
    """
    if given is not None:
        return given
    try:
        runtime = tomllib.loads(config.read_text())["paths"]["runtime"]
    except (OSError, ValueError, KeyError, TypeError):
        runtime = None
    return (Path(runtime) if isinstance(runtime, str) else _DEFAULT_RUNTIME) / "admin.sock"
