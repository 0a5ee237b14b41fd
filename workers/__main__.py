"""``python -m workers``: one worker process, as the supervisor starts it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from system import log
from workers.loop import Descriptors, run


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0 after SIGTERM, 1 where the worker can't go on, 2 for bad usage."""
    options = _parser().parse_args(arguments)
    log.configure(options.log_level, f"worker-{options.index}")
    return run(options.index, options.runtime, Descriptors(options.udp, options.tun, options.wildcard))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m workers", description=__doc__)
    parser.add_argument("--index", type=int, required=True, help="which worker this is, from 0")
    parser.add_argument("--runtime", type=Path, required=True, help="the folder of workers.sock")
    parser.add_argument(
        "--udp", type=_numbers, required=True, help="descriptors, one for each listen address"
    )
    parser.add_argument("--tun", type=int, required=True, help="descriptor of the worker's TUN device")
    parser.add_argument(
        "--wildcard",
        type=lambda text: frozenset(_numbers(text)),
        default=frozenset(),
        help="indices of listen addresses that are 0.0.0.0 or ::",
    )
    parser.add_argument("--log-level", default="INFO")
    return parser


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(",") if number)


if __name__ == "__main__":
    sys.exit(main())
