"""``python -m controller``: the controller's process, started by the supervisor with its descriptors."""

from __future__ import annotations

import argparse
import json
import logging
import socket
import sys
from collections.abc import Sequence

import uvloop

from controller.server import Inherited, run
from shared.config.model import load
from shared.errors import ConfigError, SystemRefused
from system.log import configure

log = logging.getLogger("controller")

_BAD_CONFIGURATION = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until told to stop; return the exit status."""
    options, overriding = _parser().parse_known_args(arguments)
    try:
        config = load(options.config, overrides=_overrides(overriding))
    except ConfigError as error:
        print(*error.problems, sep="\n", file=sys.stderr)  # noqa: T201  # as `culvert check` does
        return _BAD_CONFIGURATION
    configure(config.log.level, "controller")
    for warning in config.warnings:
        log.warning("%s", warning)
    said = json.loads(options.descriptors)
    inherited = Inherited(_sockets(said["udp"]), _sockets(said["strangers"]), said["inodes"])
    try:
        uvloop.run(run(config, inherited))
    except SystemRefused as refusal:
        log.error("%s", refusal)
        return 1
    return 0


def _sockets(descriptors: Sequence[int]) -> list[socket.socket]:
    return [socket.socket(fileno=number) for number in descriptors]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m controller", description=__doc__)
    parser.add_argument("--config", required=True, help="the TOML file")
    parser.add_argument(
        "--descriptors",
        required=True,
        help='JSON: {"udp": [fd, ...], "strangers": [fd, ...], "inodes": [[...], ...]}',
    )
    return parser


def _overrides(pairs: Sequence[str]) -> dict[str, str]:
    """Read ``--paths.runtime DIR`` and the like, keys of the configuration."""
    names, values = pairs[0::2], pairs[1::2]
    if len(names) != len(values) or not all(name.startswith("--") and "." in name for name in names):
        raise SystemExit(f"expected pairs such as --paths.runtime DIR, not {' '.join(pairs)}")
    return {name.removeprefix("--"): value for name, value in zip(names, values, strict=True)}


if __name__ == "__main__":
    sys.exit(main())
