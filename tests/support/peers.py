"""xl2tpd and pppd in user-mode Linux (`tests/interop/lab`), as objects of a test."""

from __future__ import annotations

import contextlib
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.support.wait import wait_for

LAB: Final = Path(__file__).parents[1] / "interop" / "lab"
UP: Final = "serve"  # the command that lets `Guest.run` give the commands
NOT_UP: Final = 70  # the status of a client whose PPP did not come up


@dataclass(frozen=True, slots=True)
class Lac:
    """A client: who dials, with what, and which of the script's options besides."""

    user: str = "alice"
    password: str = "secret"
    authentication: str = "any"
    options: tuple[str, ...] = ()
    command: str = "ping -c 3 -i 0.2 -W 2 $PPP_REMOTE"


@dataclass(frozen=True, slots=True)
class Result:
    """How a guest has ended."""

    status: int
    output: str
    folder: Path

    def log(self, name: str) -> str:
        """Return one of its logs, such as ``pppd.1.log``; empty where there is none."""
        path = self.folder / name
        return path.read_text(errors="replace") if path.exists() else ""

    def story(self) -> str:
        """Return what helps to understand a failure."""
        logs = "\n".join(self.log(name)[-2500:] for name in ("xl2tpd.1.log", "pppd.1.log", "console.log"))
        return f"status {self.status}\n{self.output}\n{logs}"


@dataclass(slots=True)
class Guest:
    """A virtual machine on the bridge of the namespace that is published as ``network``."""

    network: str
    tap: str
    address: str
    folder: Path
    pcap: Path | None = None
    _process: subprocess.Popen[str] | None = field(default=None, init=False)

    def dial(self, lns: str, lac: Lac) -> None:
        """Start a client that dials ``lns``."""
        arguments = [*lac.options, lns, lac.user, lac.password, lac.authentication, "--", lac.command]
        self._start("xl2tpd-lac.sh", arguments)

    def listen(self, authentication: str, *credentials: str, options: tuple[str, ...] = ()) -> None:
        """Start a server; ``credentials`` are ``user:password``."""
        self._start("xl2tpd-lns.sh", [*options, authentication, *credentials, "--", UP])

    def _start(self, script: str, arguments: list[str]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        capture = [] if self.pcap is None else ["--pcap", str(self.pcap)]
        where = ["--netns", self.network, "--tap", self.tap, "--addr", f"{self.address}/24"]
        self._process = subprocess.Popen(
            [str(LAB / script), *where, "--dir", str(self.folder), *capture, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def wait_until_up(self, deadline_s: float = 60) -> None:
        """Wait until the guest serves commands: PPP is up by then."""
        wait_for(self._serves, f"the guest {self.tap} serves", deadline_s=deadline_s, step_s=0.05)

    def _serves(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"the guest has ended early\n{self.result().story()}")
        return (self.folder / "ready").exists()

    def run(self, command: str, *, deadline_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Run ``command`` by bash in the guest, with ``$PPP_REMOTE`` and its like set."""
        return subprocess.run(
            [str(LAB / "peerctl.sh"), str(self.folder), "exec", command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=deadline_s,
            check=False,
        )

    def stop(self) -> Result:
        """Let the guest hang up and end."""
        (self.folder / "stop").touch()
        return self.result()

    def result(self, deadline_s: float = 150) -> Result:
        """Wait for the guest's own end."""
        assert self._process is not None
        output, _ = self._process.communicate(timeout=deadline_s)
        return Result(self._process.returncode, output, self.folder)

    def close(self) -> None:
        """End the guest, if it still runs, as pulling the plug would."""
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError):
                os.kill(int((self.folder / "pid").read_text()), 9)
            self._process.terminate()
            self._process.communicate()
