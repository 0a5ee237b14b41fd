"""Programs that run in a namespace of the lab, with what they print kept in a file."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from deploy.lab.namespaces import Namespace

T = TypeVar("T")


class LabFailure(Exception):
    """Something of the lab did not do what it should; the text says what was seen."""


def wait_for(
    condition: Callable[[], T | None], what: str, *, deadline_s: float = 10, step_s: float = 0.02
) -> T:
    """Return the first true value of ``condition()``; `LabFailure` naming ``what`` after ``deadline_s``."""
    end = time.monotonic() + deadline_s
    while not (value := condition()):
        if time.monotonic() > end:
            raise LabFailure(f"not within {deadline_s:g} s: {what}")
        time.sleep(step_s)
    return value


def culvert_program() -> str:
    """Return the path of the installed ``culvert``, beside the interpreter that runs this."""
    return str(Path(sys.executable).with_name("culvert"))


class Running:
    """One process. `stop` sends it SIGTERM, and SIGKILL 10 s later.

    It is also sent SIGTERM when we die; to be exact, when the thread that started it does.
    """

    def __init__(self, namespace: Namespace, arguments: list[str], output: Path) -> None:
        self.namespace = namespace
        self.arguments = arguments
        self._output = output
        with output.open("ab") as stream:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", "--", *namespace.command(*arguments)],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid = self._process.pid  # setpriv and nsenter exec, so this is the program's own

    def output(self) -> str:
        """Return all that it has printed."""
        return self._output.read_text(errors="replace")

    def status(self) -> int | None:
        """Return its exit status, None while it runs."""
        return self._process.poll()

    def wait_for_output(self, pattern: str, *, deadline_s: float = 10) -> re.Match[str]:
        """Wait until what it has printed has ``pattern``; a failure shows the end of it."""

        def found() -> re.Match[str] | None:
            match = re.search(pattern, self.output(), re.MULTILINE)
            if match is None and self.status() is not None:
                raise LabFailure(
                    f"{self} has ended with {self.status()}, without {pattern!r}:\n{self.tail()}"
                )
            return match

        try:
            return wait_for(found, f"{pattern!r} from {self}", deadline_s=deadline_s)
        except LabFailure as failure:
            raise LabFailure(f"{failure}\n{self.tail()}") from None

    def wait_for_end(self, *, deadline_s: float = 10) -> int:
        """Wait until it has ended by itself; return its status."""
        try:
            return self._process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise LabFailure(f"{self} has not ended within {deadline_s:g} s:\n{self.tail()}") from None

    def tail(self, lines: int = 30) -> str:
        """Return the last lines that it has printed."""
        return "\n".join(self.output().splitlines()[-lines:])

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; nothing where it has ended."""
        self._process.send_signal(number)

    def stop(self) -> int:
        """End it and return its status."""
        self.send(signal.SIGTERM)
        try:
            return self._process.wait(10)
        except subprocess.TimeoutExpired:
            self.send(signal.SIGKILL)
            return self._process.wait()

    def __str__(self) -> str:
        return f"{Path(self.arguments[0]).name} {' '.join(self.arguments[1:3])} in {self.namespace.name}"
