"""A flood of forged requests: more than the controller can read, from sources that do not exist."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from deploy.lab.concentrator import Concentrator
from deploy.lab.namespaces import Namespace
from deploy.lab.topology import CLIENT_OUTER, CONCENTRATOR_OUTER, CONFIGURATION, PC2_ADDRESS, Topology
from tests.netns.conftest import RunConcentrator, RunCulvert
from tests.support.dialling import dial, wait_until_up
from tests.support.flow import EchoServer, VerifiedFlow
from tests.support.wait import wait_for
from tests.support.wire import control

pytestmark = [pytest.mark.netns, pytest.mark.timeout(120)]

FEW_NEWCOMERS = "\n[l2tp]\nsccrq_per_second = 200.0\nsccrq_burst = 200\n"
_AVPS = bytes.fromhex("8008 0000 0002 0100  800a 0000 0003 00000003  8007 0000 0007 78")  # and the tunnel ID


def forged(chance: random.Random) -> bytes:
    """Return an IPv4 packet with an SCCRQ from an address of 198.18.0.0/15, without UDP checksum."""
    assigned = struct.pack("!HHHH", 0x8008, 0, 9, chance.randrange(1, 0x10000))
    request = control(0, 0, 0, 0, 1, _AVPS + assigned)
    udp = struct.pack("!HHHH", chance.randrange(1024, 0x10000), 1701, 8 + len(request), 0) + request
    source = struct.pack("!HH", 198 << 8 | 18 + chance.randrange(2), chance.randrange(1, 0xFFFF))
    fields = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0)
    return fields + source + socket.inet_aton(CONCENTRATOR_OUTER) + udp


@contextlib.contextmanager
def flooded(namespace: Namespace) -> Iterator[None]:
    """Send forged requests from ``namespace`` as fast as this machine can."""
    chance, stopping = random.Random(2661), threading.Event()
    packets = [forged(chance) for _ in range(20_000)]
    raw = namespace.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW))

    def send() -> None:
        while not stopping.is_set():
            for packet in packets[:: chance.randint(1, 7)]:
                with contextlib.suppress(OSError):
                    raw.sendto(packet, (CONCENTRATOR_OUTER, 0))

    sender = threading.Thread(target=send, name="flood", daemon=True)
    sender.start()
    try:
        yield
    finally:
        stopping.set()
        sender.join()
        raw.close()


def total(concentrator: Concentrator, name: str) -> int:
    counted: int = json.loads(concentrator.command("show", "stat", "--json"))["controller"][name]
    return counted


def test_a_flood_of_sccrq_holds_up_nothing_of_an_established_tunnel(
    topology: Topology, run_concentrator: RunConcentrator, run_culvert: RunCulvert
) -> None:
    concentrator = run_concentrator(topology.concentrator, CONFIGURATION + FEW_NEWCOMERS)
    client = dial(run_culvert, topology.client)
    wait_until_up(client)
    echo = EchoServer(topology.pc2, PC2_ADDRESS)
    flow = VerifiedFlow(topology.client, PC2_ADDRESS)
    with flooded(topology.client):
        wait_for(lambda: total(concentrator, "unread") > 5_000, "more than is read", deadline_s=60)
        figures = flow.close()
        client.send(signal.SIGTERM)
        assert client.wait_for_end() == 0, client.tail()

        def tunnels_of_the_client() -> list[str]:
            rows = concentrator.show("tunnels")
            mine = [row for row in rows if row["peer"].startswith(f"{CLIENT_OUTER}:")]
            return [row["state"] for row in mine if row["state"] == "established"]

        wait_for(lambda: not tunnels_of_the_client(), "its StopCCN has been heard", deadline_s=5)
    echo.close()
    assert figures.wrong == 0
    assert figures.good >= figures.sent * 0.99, figures
    assert "Traceback" not in concentrator.log()
