"""What we send is dissected by tshark without a complaint."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from shared.l2tp.connection import CallInfo, Command, ControlConnection, DisconnectCause, Result, Transmit
from tests.support.l2tp import Pair
from tests.support.needs import need_tools

pytestmark = pytest.mark.interop


class Recorder(Pair):
    """A pair that keeps every datagram."""

    def perform(self, who: ControlConnection, commands: list[Command]) -> None:
        if not hasattr(self, "sent"):
            self.sent: list[bytes] = []
        self.sent += [command.datagram for command in commands if isinstance(command, Transmit)]
        super().perform(who, commands)


def conversation(**settings: object) -> list[bytes]:
    """Return the datagrams of a tunnel's whole life, with every AVP that we send."""
    pair = Recorder(lac=settings, lns=settings)
    call = CallInfo(1, 0, "123", "456", "sub", 7, 1000, 2000, 1, (("proxy_authen_type", 3),), "group", True)
    pair.perform(pair.lac, pair.lac.place_call(1, call, 0.0))
    pair.dial(calls=0)
    pair.run(100.0)
    cause = DisconnectCause(16, 0xC023, 1, "bad password")
    local_session_id = next(iter(pair.lns.sessions))
    pair.perform(pair.lns, pair.lns.close_session(local_session_id, Result(3, 0, "bye"), pair.now, cause))
    pair.run(102.0)
    pair.perform(pair.lac, pair.lac.close(Result(6, 0, "bye"), pair.now))
    pair.run(200.0)
    return pair.sent


def pcap(datagrams: list[bytes]) -> bytes:
    """Return a capture of ``datagrams`` in UDP between two raw IPv4 addresses."""
    octets = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
    for second, datagram in enumerate(datagrams):
        udp = struct.pack("!HHHH", 1701, 1701, 8 + len(datagram), 0) + datagram
        size = 20 + len(udp)
        head = struct.pack("!BBHHHBBH8s", 0x45, 0, size, 0, 0, 64, 17, 0, bytes(4) + bytes([10, 0, 0, 1]))
        octets += struct.pack("<IIII", second, 0, size, size) + head + udp
    return octets


@pytest.mark.parametrize("settings", [{}, {"secret": b"s", "tie_breaker": True}])
def test_tshark_finds_no_fault_in_our_control_messages(settings: dict[str, object], tmp_path: Path) -> None:
    need_tools("tshark")
    path = tmp_path / "ours.pcap"
    datagrams = conversation(**settings)
    assert len(datagrams) > 10
    path.write_bytes(pcap(datagrams))
    columns = ["-T", "fields", "-e", "frame.number", "-e", "_ws.expert.message", "-e", "_ws.malformed"]
    found = subprocess.run(["tshark", "-r", str(path), *columns], capture_output=True, text=True, check=True)
    assert found.stdout.split() == [str(number + 1) for number in range(len(datagrams))]
