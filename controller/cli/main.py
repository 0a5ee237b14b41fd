"""The ``culvert`` command. Errors are one line that says what to do; status 2 for usage and configuration."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

from controller.cli import mtu, show, terminate
from controller.cli.options import DEFAULT_CONFIG, ConfigFile
from shared.errors import ConfigError, CulvertError

# These commands need nothing of the client, whose import costs time.
_WITHOUT_CLIENT: Final = {"run", "check", "show", "terminate", "disconnect", "mtu"}

Runtime = Annotated[
    Path | None, typer.Option("--runtime", metavar="DIR", help="Folder of the sockets, instead of [paths].")
]
State = Annotated[
    Path | None, typer.Option("--state", metavar="DIR", help="Folder of what survives, instead of [paths].")
]
LogLevel = Annotated[
    str | None, typer.Option("--log-level", metavar="LEVEL", help="DEBUG, INFO, WARNING or ERROR.")
]


def main() -> NoReturn:
    """Run the command that the process was started with."""
    sys.exit(call(sys.argv[1:]))


def call(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status; what is wrong goes to standard error."""
    try:
        status = application(arguments)(args=list(arguments), prog_name="culvert", standalone_mode=False)
    except typer.TyperException as error:
        reason = " ".join(error.format_message().split()).rstrip(".")
        stop = "" if reason.endswith("?") else ";"
        _complain(f"culvert: {reason}{stop} see {_help_of(error)}")
        return error.exit_code
    except ConfigError as error:
        _complain(*error.problems)
        return 2
    except CulvertError as error:
        _complain(f"culvert: {error}")
        return 1
    except (KeyboardInterrupt, typer.Abort):
        return 130
    return status if isinstance(status, int) else 0


def application(arguments: Sequence[str]) -> typer.Typer:
    """Return the commands; those of the client only where ``arguments`` may mean them."""
    app = typer.Typer(
        help="Culvert, an L2TP concentrator.", rich_markup_mode=None, pretty_exceptions_enable=False
    )
    app.callback()(culvert)
    app.command()(run)
    app.command()(check)
    app.add_typer(show.app, name="show")
    app.command("terminate")(terminate.terminate)
    app.command("disconnect", hidden=True, help="The same as terminate.")(terminate.terminate)
    app.command("mtu")(mtu.mtu)
    if not arguments or arguments[0] not in _WITHOUT_CLIENT:
        from client import cli as client  # noqa: PLC0415  see _WITHOUT_CLIENT

        app.command("dial")(client.dial)
        app.command("load")(client.load)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"culvert {version('culvert')}")
        raise typer.Exit


def culvert(
    shown: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Culvert, an L2TP concentrator (LNS) and its client."""


def run(
    config: ConfigFile = DEFAULT_CONFIG,
    runtime: Runtime = None,
    state: State = None,
    log_level: LogLevel = None,
) -> None:
    """Run the concentrator.

    Starts a controller and the workers, and starts them again whenever one dies. Ends on SIGTERM or
    SIGINT after closing tunnels in order. The configuration is read at the start only, so SIGHUP does
    nothing but a line in the log.
    """
    from controller import supervisor  # noqa: PLC0415  pydantic and pyroute2 are slow to load
    from shared.config.model import load  # noqa: PLC0415
    from system import log  # noqa: PLC0415

    flags = {"paths.runtime": runtime, "paths.state": state, "log.level": log_level}
    given = {key: _absolute(value) for key, value in flags.items() if value is not None}
    loaded = load(config, overrides=given)
    log.configure(loaded.log.level, "supervisor")
    raise typer.Exit(supervisor.run(config, loaded, given))


def check(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Check a configuration.

    Prints every mistake with its file and key; the exit status is 2 if there is one.
    """
    from shared.config.model import load  # noqa: PLC0415  pydantic is slow to load

    loaded = load(config)
    for warning in loaded.warnings:
        _complain(f"warning: {warning}")
    listens = ", ".join(f"{listen.address} port {listen.port}" for listen in loaded.listen)
    typer.echo(f"{config}: good. Listens on {listens}; workers: {loaded.workers.count}.")
    typer.echo(
        f"Pools: {len(loaded.pool)}; profiles: {len(loaded.profile)}; users: {len(loaded.user)}; "
        f"peers: {len(loaded.peer)}."
    )


def _absolute(value: Path | str) -> str:
    return str(value.absolute()) if isinstance(value, Path) else value


def _complain(*lines: str) -> None:
    for line in lines:
        typer.echo(line, err=True)


def _help_of(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.command_path if context is not None else 'culvert'} --help"
