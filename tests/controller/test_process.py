"""The controller as a process: started with descriptors as the supervisor does, ended by SIGTERM."""

from __future__ import annotations

import json
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import zmq

from shared.ipc.codec import decode, encode
from shared.ipc.messages import Counters, Hello, Welcome, session_digest
from shared.l2tp.connection import (
    Command,
    ConnectionSettings,
    ControlConnection,
    Role,
    Transmit,
    TunnelDown,
    TunnelUp,
)
from system.udp import open_group

CONFIG = """
[[listen]]
address = "127.0.0.1"
[workers]
count = 1
[http]
address = ""
[paths]
runtime = "{runtime}"
"""


@contextmanager
def controller(folder: Path, ours: socket.socket) -> Iterator[subprocess.Popen[str]]:
    config = folder / "culvert.toml"
    config.write_text(CONFIG.format(runtime=folder))
    descriptors = json.dumps({"udp": [ours.fileno()], "strangers": [], "inodes": [[42]]})
    command = [sys.executable, "-m", "controller", "--config", str(config), "--descriptors", descriptors]
    with subprocess.Popen(command, pass_fds=[ours.fileno()], stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


class Dialler:
    """A LAC on a socket, driven by hand."""

    def __init__(self, to: tuple[str, int]) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(0.2)
        self.connection = ControlConnection(
            ConnectionSettings("lac"), Role.LAC, 7, to, random=secrets.token_bytes
        )
        self.events: list[object] = []
        self._perform(self.connection.open(time.monotonic()))

    def until(self, kind: type) -> object:
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            for event in self.events:
                if isinstance(event, kind):
                    return event
            try:
                octets, source = self._socket.recvfrom(2048)
                self._perform(self.connection.receive(octets, source, time.monotonic()))
            except TimeoutError:
                self._perform(self.connection.handle_timer(time.monotonic()))
        raise AssertionError(f"no {kind.__name__}: {self.events}")

    def close(self) -> None:
        self._socket.close()

    def _perform(self, commands: list[Command]) -> None:
        for command in commands:
            if isinstance(command, Transmit):
                self._socket.sendto(command.datagram, command.to)
            else:
                self.events.append(command)


def test_it_serves_until_sigterm_and_then_closes_every_tunnel_in_order(tmp_path: Path) -> None:
    ours, theirs, strangers = open_group("127.0.0.1", 0, 1)  # each with a port of its own
    with (
        ours,
        theirs,
        strangers,
        controller(tmp_path, ours) as process,
        zmq.Context() as context,
        context.socket(zmq.DEALER) as worker,
    ):
        worker.setsockopt(zmq.IDENTITY, b"worker-0")
        worker.setsockopt(zmq.LINGER, 0)
        worker.connect(f"ipc://{tmp_path}/workers.sock")
        worker.send(encode(Hello(0, 4711, "reference", (), ())))
        assert worker.poll(15_000)
        welcome = decode(worker.recv())
        assert isinstance(welcome, Welcome)
        worker.send(encode(Counters(welcome.epoch, session_digest(set()), (), ())))
        lac = Dialler(ours.getsockname())
        lac.until(TunnelUp)
        process.send_signal(signal.SIGTERM)
        down = lac.until(TunnelDown)
        assert isinstance(down, TunnelDown)
        assert (down.result.code, down.by_peer) == (6, True)  # RFC 2661 §4.4.2: being shut down
        assert process.wait(10) == 0
        assert process.stderr is not None
        text = process.stderr.read()
        assert " INFO controller tunnel up tunnel=" in text
        assert "Traceback" not in text
        lac.close()


def test_a_bad_configuration_ends_it_with_status_2_and_every_reason(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("[workers]\ncount = 0\n[nat]\nmasqerade = true\n")
    command = [sys.executable, "-m", "controller", "--config", str(path), "--descriptors", "{}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"{path}: workers.count: must be greater than or equal to 1, not 0",
        f"{path}: nat.masqerade: unknown key, did you mean 'masquerade'?",
    ]
