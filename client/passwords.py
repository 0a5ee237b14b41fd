"""Where secrets come from: a file, a prompt, the environment, and last an argument, which `ps` shows."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import Final

from shared.errors import ConfigError

PROMPT: Final = "-"


def read_secret(what: str, argument: str | None, file: Path | None, variable: str) -> str | None:
    """Return the secret called ``what`` from whichever source was given, None where none was.

    An ``argument`` of `PROMPT` asks at the terminal. A file's last line end is not part of it. Raises
    `ConfigError` where the file can't be read or two sources are given.
    """
    if argument is not None and file is not None:
        raise ConfigError([f"--{what} and --{what}-file: give one of them"])
    if file is not None:
        return _from_file(what, file)
    if argument == PROMPT:
        return getpass.getpass(f"{what}: ")
    return os.environ.get(variable) if argument is None else argument


def _from_file(what: str, file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError([f"--{what}-file: {file}: {reason}"]) from error
    return text.removesuffix("\n").removesuffix("\r")
