"""The commands ``culvert dial`` and ``culvert load``; what they do is imported late, for a quick --help.

`ConfigError` and `SystemRefused` are for the caller to show, with exit status 2 and 1.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TextIO

import typer

from client.dial_options import DialOptions
from client.load_options import LoadOptions, TrafficOptions
from client.passwords import read_secret
from shared.errors import ConfigError

if TYPE_CHECKING:
    from client.dial import DialEvent

_PROTOCOLS: Final = {
    "any": ("mschapv2", "chap", "pap"),
    "pap": ("pap",),
    "chap": ("chap",),
    "mschapv2": ("mschapv2",),
}

Lns = Annotated[str, typer.Argument(metavar="LNS", help="Host name or address of the concentrator.")]
Password = Annotated[
    str | None,
    typer.Option(
        "--password",
        metavar="TEXT",
        help="'-' asks for it. Anything else is the password itself, WHICH EVERY USER HERE CAN SEE "
        "in ps: prefer --password-file or the environment variable CULVERT_PASSWORD.",
    ),
]
PasswordFile = Annotated[
    Path | None,
    typer.Option("--password-file", metavar="FILE", help="File with the password, without other lines."),
]
Secret = Annotated[
    str | None,
    typer.Option(
        "--secret",
        metavar="TEXT",
        help="Tunnel secret, as visible as --password: prefer --secret-file or CULVERT_SECRET; '-' asks.",
    ),
]
SecretFile = Annotated[
    Path | None,
    typer.Option("--secret-file", metavar="FILE", help="File with the tunnel secret, if the LNS wants one."),
]
Auth = Annotated[
    str, typer.Option("--auth", metavar="KIND", help="What we agree to: any, pap, chap or mschapv2.")
]
Port = Annotated[int, typer.Option("--port", metavar="P", min=1, max=65535, help="UDP port of the LNS.")]
Bind = Annotated[
    str | None,
    typer.Option("--bind", metavar="ADDR", help="Local address to send from; default: the kernel's."),
]
Hello = Annotated[
    float, typer.Option("--hello", metavar="S", min=0, help="Seconds of silence before a HELLO; 0: none.")
]
Echo = Annotated[
    float, typer.Option("--echo", metavar="S", min=0, help="Seconds between LCP Echo-Requests; 0: none.")
]


def dial(
    lns: Lns,
    user: Annotated[str, typer.Option("--user", metavar="NAME", help="User name for PPP.")],
    password: Password = None,
    password_file: PasswordFile = None,
    secret: Secret = None,
    secret_file: SecretFile = None,
    auth: Auth = "any",
    tun: Annotated[
        str, typer.Option("--tun", metavar="NAME", help="Name of the TUN device.")
    ] = "culvert-dial",
    route: Annotated[
        list[str] | None,
        typer.Option("--route", metavar="PREFIX", help="Prefix behind the LNS; may be given many times."),
    ] = None,
    default_route: Annotated[
        bool,
        typer.Option(
            "--default-route/--no-default-route",
            help="Send everything into the tunnel, except for the way to the LNS itself.",
        ),
    ] = False,
    port: Port = 1701,
    bind: Bind = None,
    redial: Annotated[
        float,
        typer.Option(
            "--redial",
            metavar="S",
            min=0,
            help="Dial again S seconds after a failure; 0: end. Meanwhile device, address and routes stay, "
            "and packets for them are dropped rather than sent another way.",
        ),
    ] = 0,
    mtu: Annotated[
        int,
        typer.Option("--mtu", metavar="OCTETS", help="MRU to announce and largest MTU; see `culvert mtu`."),
    ] = 1462,
    ipv6: Annotated[bool, typer.Option("--ipv6", help="Bring up IPv6 (link-local) as well.")] = False,
    hello: Hello = 60,
    echo: Echo = 30,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="S", help="Seconds for each stage of set-up.")
    ] = 30,
    json_status: Annotated[
        bool, typer.Option("--json-status", help="Print one JSON object for each event instead of text.")
    ] = False,
) -> None:
    """Dial an LNS as an L2TP access concentrator and route through it by a TUN device.

    Needs CAP_NET_ADMIN. Runs until SIGTERM or SIGINT, then hangs up in order: LCP Terminate-Request, CDN,
    StopCCN. Exit status 0 after that, 1 when the LNS refused us or the session was lost (the reason says
    which side ended it, with which code, and what to do), 2 on options that make no sense.
    """
    options = DialOptions(
        lns=lns,
        user=user,
        password=read_secret("password", password, password_file, "CULVERT_PASSWORD") or "",
        secret=_octets(read_secret("secret", secret, secret_file, "CULVERT_SECRET")),
        port=port,
        bind=bind,
        authentication=_protocols(auth),
        tun=tun,
        routes=tuple(route or ()),
        default_route=default_route,
        mtu_octets=mtu,
        ipv6=ipv6,
        redial_s=redial,
        hello_interval_s=hello,
        echo_interval_s=echo,
        timeout_s=timeout,
    )
    from client.dial import run  # noqa: PLC0415  uvloop and pyroute2 are not needed for --help

    good = run(options, _print_json if json_status else _print_text)
    raise typer.Exit(0 if good else 1)


def load(
    lns: Lns,
    tunnels: Annotated[int, typer.Option("--tunnels", metavar="N", help="How many tunnels.")] = 1,
    sessions: Annotated[int, typer.Option("--sessions", metavar="M", help="Sessions in each tunnel.")] = 1,
    user: Annotated[
        str, typer.Option("--user", metavar="NAME", help="User name; %d is the subscriber's number, from 0.")
    ] = "sub-%d",
    password: Password = None,
    password_file: PasswordFile = None,
    secret: Secret = None,
    secret_file: SecretFile = None,
    auth: Auth = "any",
    rate: Annotated[
        float, typer.Option("--rate", metavar="R", help="Arrivals of sessions per second.")
    ] = 100,
    hold: Annotated[
        float, typer.Option("--hold", metavar="S", help="Seconds to stay once all are up or have failed.")
    ] = 10,
    traffic: Annotated[
        str | None,
        typer.Option(
            "--traffic",
            metavar="TARGET",
            help="IPv4 address behind the LNS that answers echo requests: each subscriber pings it in the "
            "hold, and every reply is checked to be right and to have reached its own subscriber.",
        ),
    ] = None,
    pps: Annotated[
        float, typer.Option("--pps", metavar="R", help="Echo requests per second of each session.")
    ] = 1,
    size: Annotated[int, typer.Option("--size", metavar="OCTETS", help="Size of these IPv4 packets.")] = 100,
    allow_loss: Annotated[
        float,
        typer.Option("--allow-loss", metavar="SHARE", help="Share of packets that may go missing, 0 to 1."),
    ] = 0,
    ports: Annotated[int, typer.Option("--ports", metavar="N", help="Local UDP sockets to use.")] = 1,
    bind: Bind = None,
    port: Port = 1701,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="S", help="Seconds for one subscriber to come up.")
    ] = 30,
    hello: Hello = 60,
    echo: Echo = 30,
    json_to: Annotated[
        str | None,
        typer.Option("--json", metavar="FILE", help="Write the summary there; '-' is standard output."),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="A line a second also where there is no terminal.")
    ] = False,
) -> None:
    """Emulate many subscribers: tunnels and sessions that come up, stay, carry checked traffic and go.

    Needs no privileges. Set-up latency is measured from SCCRQ (a tunnel's first session) or ICRQ to the open
    network protocol. SIGINT begins the tear-down early, a second one ends at once. Exit status 1 when
    any session failed or was lost, or any packet was lost (but see --allow-loss), corrupt or at the wrong
    subscriber; 2 on options that make no sense.
    """
    options = LoadOptions(
        lns=lns,
        port=port,
        tunnels=tunnels,
        sessions=sessions,
        user=user,
        password=read_secret("password", password, password_file, "CULVERT_PASSWORD") or "",
        authentication=_protocols(auth),
        secret=_octets(read_secret("secret", secret, secret_file, "CULVERT_SECRET")),
        rate_per_s=rate,
        hold_s=hold,
        traffic=None if traffic is None else TrafficOptions(traffic, pps, size, allow_loss),
        ports=ports,
        bind=bind,
        timeout_s=timeout,
        hello_interval_s=hello,
        echo_interval_s=echo,
    )
    good = _load(options, json_to, verbose=verbose)
    raise typer.Exit(0 if good else 1)


def _load(options: LoadOptions, json_to: str | None, *, verbose: bool) -> bool:
    """Run, show and write; return whether all went well."""
    from client.load import run  # noqa: PLC0415  uvloop is not needed for --help
    from client.load_progress import ProgressLine, describe  # noqa: PLC0415

    if json_to not in {None, "-"}:
        _must_be_writable(Path(str(json_to)))
    progress = ProgressLine(sys.stderr, verbose=verbose)
    summary = run(options, progress)
    progress.finish()
    if json_to == "-":
        _write_json(sys.stdout, summary.report())
    elif json_to is not None:
        with Path(json_to).open("w", encoding="utf-8") as stream:
            _write_json(stream, summary.report())
    typer.echo(describe(summary), err=json_to == "-")
    return summary.ok


def _must_be_writable(path: Path) -> None:
    """Raise `ConfigError` before the run, not after it, where the summary could not be written."""
    try:
        path.open("a").close()
    except OSError as error:
        raise ConfigError([f"--json: {path}: {error.strerror}"]) from error


def _protocols(auth: str) -> tuple[str, ...]:
    if auth not in _PROTOCOLS:
        raise ConfigError([f"--auth: {auth!r} is none of {', '.join(_PROTOCOLS)}"])
    return _PROTOCOLS[auth]


def _octets(secret: str | None) -> bytes | None:
    return secret.encode() if secret else None


def _print_text(event: DialEvent) -> None:
    typer.echo(event.text, err=event.kind == "failed")


def _print_json(event: DialEvent) -> None:
    _write_json(sys.stdout, {"event": event.kind, "text": event.text, **event.details}, indent=None)


def _write_json(stream: TextIO, value: object, indent: int | None = 2) -> None:
    stream.write(json.dumps(value, indent=indent) + "\n")
    stream.flush()
