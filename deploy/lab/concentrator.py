"""``culvert run`` in a namespace of the lab, and the commands that ask it things."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final

from deploy.lab.namespaces import Namespace
from deploy.lab.processes import LabFailure, Running, culvert_program, wait_for

_HTTP: Final = ("127.0.0.1", 9170)


class Concentrator:
    """A running concentrator, its folders under ``/tmp`` and gone with `stop`.

    ``configuration`` is TOML without ``[paths]``.
    """

    def __init__(self, namespace: Namespace, configuration: str, *, log_level: str = "INFO") -> None:
        self.namespace = namespace
        self.folder = Path(tempfile.mkdtemp(prefix="culvert-"))
        self.runtime = self.folder / "run"
        self.file = self.folder / "culvert.toml"
        paths = f'\n[paths]\nruntime = "{self.runtime}"\nstate = "{self.folder / "state"}"\n'
        log = "" if "[log]" in configuration else f'\n[log]\nlevel = "{log_level}"\n'
        self.file.touch(mode=0o600)
        self.file.write_text(configuration + log + paths)
        self.process = Running(
            namespace, [culvert_program(), "run", "-c", str(self.file)], self.folder / "culvert.log"
        )

    def wait_until_ready(self, deadline_s: float = 20) -> None:
        """Wait for ``/readyz``; a failure shows the log."""
        try:
            wait_for(self._is_ready, "the concentrator is ready", deadline_s=deadline_s, step_s=0.05)
        except LabFailure as failure:
            raise LabFailure(f"{failure}\n{self.process.tail()}") from None

    def _is_ready(self) -> bool:
        if (status := self.process.status()) is not None:
            raise LabFailure(f"culvert run has ended with status {status}")
        try:
            return self.http_status("/readyz") == HTTPStatus.OK
        except (OSError, HTTPException):
            return False

    def http_status(self, path: str) -> int:
        """Return the status of a page of the HTTP listener, whose default address is taken."""

        def ask() -> int:
            with closing(HTTPConnection(*_HTTP, timeout=2)) as connection:
                connection.request("GET", path)
                return connection.getresponse().status

        return self.namespace.call(ask)

    def command(self, *arguments: str, check: bool = True) -> str:
        """Return what ``culvert ARGUMENTS`` prints, told where this concentrator's socket is."""
        command = [culvert_program(), *arguments, "-c", str(self.file)]
        return self.namespace.run(*command, check=check).stdout

    def show(self, what: str, *filters: str) -> list[dict[str, Any]]:
        """Return the rows of ``culvert show WHAT --json``."""
        rows: list[dict[str, Any]] = json.loads(self.command("show", what, "--json", *filters))
        return rows

    def active_sessions(self) -> list[dict[str, Any]]:
        """Return the sessions that are up."""
        return [row for row in self.show("sessions") if row["state"] == "active"]

    def wait_for_sessions(self, count: int, *, deadline_s: float = 15) -> list[dict[str, Any]]:
        """Wait until exactly ``count`` sessions exist and all of them are active."""

        def settled() -> tuple[list[dict[str, Any]]] | None:
            rows = self.show("sessions")
            good = len(rows) == count and all(row["state"] == "active" for row in rows)
            return (rows,) if good else None

        try:
            return wait_for(settled, f"{count} active sessions", deadline_s=deadline_s, step_s=0.1)[0]
        except LabFailure as failure:
            raise LabFailure(f"{failure}\n{self.show('sessions')}\n{self.process.tail()}") from None

    def wait_for_log(self, pattern: str, *, deadline_s: float = 10) -> re.Match[str]:
        """Wait for a log line."""
        return self.process.wait_for_output(pattern, deadline_s=deadline_s)

    def log(self) -> str:
        """Return the log so far."""
        return self.process.output()

    def stop(self) -> int:
        """End it, remove its folders, return its exit status."""
        status = self.process.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        return status
