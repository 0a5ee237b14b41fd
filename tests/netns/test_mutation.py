"""Spoilt conversations and random octets, while an established session passes checked traffic.

Five seconds of each kind here; the minute of all together is `make slow`.
"""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import TypeAlias

import pytest
import zmq

from deploy.lab.capture import Capture
from deploy.lab.concentrator import Concentrator
from deploy.lab.namespaces import Lab
from deploy.lab.pcap import Datagram, read_datagrams
from deploy.lab.topology import CLIENT_OUTER, CONCENTRATOR_OUTER, CONFIGURATION, PC2_ADDRESS, Topology
from tests.netns.conftest import RunConcentrator, RunCulvert
from tests.support.dialling import dial, wait_until_up
from tests.support.flow import EchoServer, VerifiedFlow
from tests.support.wire import Mutator, Spoofer

pytestmark = [pytest.mark.netns, pytest.mark.timeout(180)]

SEED = 2661
PER_S = 1000
STRANGER = "192.0.2.77"
MALLORY = '\n[[user]]\nname = "mallory"\npassword = "secret"\n'
LISTEN = (CONCENTRATOR_OUTER, 1701)


@pytest.fixture
def concentrator(topology: Topology, run_concentrator: RunConcentrator) -> Concentrator:
    return run_concentrator(topology.concentrator, CONFIGURATION + MALLORY)


def family(pid: int) -> list[int]:
    """Return ``pid`` and its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(descendant for child in children for descendant in family(int(child)))]


def attack(
    seconds: float,
    strike: Callable[[], object],
    concentrator: Concentrator,
    flow: VerifiedFlow,
) -> None:
    """Strike ``PER_S`` times a second; all the while and afterwards nothing may have changed for alice."""

    def alice() -> list[tuple[object, ...]]:
        rows = [row for row in concentrator.show("sessions") if row["username"] == "alice"]
        return [(row["tunnel_id"], row["session_id"], row["state"], row["peer"]) for row in rows]

    processes, session = family(concentrator.process.pid), alice()
    assert len(processes) == 4  # supervisor, controller, two workers
    started = time.monotonic()
    struck = 0
    while (elapsed := time.monotonic() - started) < seconds:
        for _ in range(int(elapsed * PER_S) - struck):
            strike()
            struck += 1
        time.sleep(0.005)
    figures = flow.close()
    assert struck > seconds * PER_S * 0.5
    assert figures.wrong == 0
    assert figures.good >= figures.sent * 0.99, figures
    assert family(concentrator.process.pid) == processes, concentrator.process.tail()
    assert alice() == session, concentrator.process.tail()
    assert "Traceback" not in concentrator.log()


@pytest.fixture
def recorded(
    lab: Lab, topology: Topology, concentrator: Concentrator, run_culvert: RunCulvert, tmp_path: Path
) -> list[Datagram]:
    """Alice's whole set-up and some data, as it was on the wire."""
    capture = Capture(topology.concentrator, "middle", tmp_path / "recorded.pcap")
    wait_until_up(dial(run_culvert, topology.client, "--hello", "1"))
    topology.client.run("ping", "-c", "3", "-i", "0.5", PC2_ADDRESS)
    capture.close()
    return list(read_datagrams(capture.path))


@pytest.fixture
def flow(lab: Lab, topology: Topology, recorded: list[Datagram]) -> VerifiedFlow:
    echo = EchoServer(topology.pc2, PC2_ADDRESS)
    lab.at_exit(echo.close)
    return VerifiedFlow(topology.client, PC2_ADDRESS)


Strike: TypeAlias = Callable[[], object]


@pytest.fixture
def stranger(lab: Lab, topology: Topology, recorded: list[Datagram]) -> Strike:
    """Mutations of alice's conversation, from an address of nobody's."""
    topology.client.ip(f"addr add {STRANGER}/24 dev middle")
    mutator = Mutator([datagram.payload for datagram in recorded], SEED)
    sender = topology.client.call(lambda: bound(STRANGER))
    lab.at_exit(sender.close)
    return lambda: sender.sendto(mutator.next(), LISTEN)


@pytest.fixture
def mallory(
    lab: Lab, topology: Topology, recorded: list[Datagram], run_culvert: RunCulvert, tmp_path: Path
) -> Strike:
    """Mutations of mallory's conversation, from where mallory, a subscriber, has dialled."""
    capture = Capture(topology.concentrator, "middle", tmp_path / "mallory.pcap")
    # No route: alice's traffic stays in her own tunnel.
    who = ["--user", "mallory", "--password", "secret", "--tun", "mallory", "--redial", "1"]
    client = run_culvert(topology.client, "dial", CONCENTRATOR_OUTER, *who)
    client.wait_for_output(r"10\.0\.\d+\.\d+", deadline_s=20)
    capture.close()
    alice_port = next(datagram.source_port for datagram in recorded if datagram.source == CLIENT_OUTER)
    said = [
        datagram
        for datagram in read_datagrams(capture.path)
        if datagram.source == CLIENT_OUTER and datagram.source_port != alice_port
    ]
    spoofer = Spoofer(topology.client, LISTEN)
    lab.at_exit(spoofer.close)
    mutator = Mutator([datagram.payload for datagram in said], SEED)
    port = said[0].source_port
    return lambda: spoofer.send(port, mutator.next())


@pytest.fixture
def intruder(concentrator: Concentrator) -> Iterator[Strike]:
    """Random octets on the socket between controller and workers, as ZeroMQ and as no protocol at all."""
    path = str(concentrator.runtime / "workers.sock")
    chance = random.Random(SEED)
    context = zmq.Context()
    dealers = [context.socket(zmq.DEALER) for _ in range(3)]
    for dealer, identity in zip(dealers, (b"stranger", b"worker-99", b"\x01\xff"), strict=True):
        dealer.identity = identity
        dealer.linger = 0
        dealer.connect(f"ipc://{path}")

    def strike() -> None:
        dealer = chance.choice(dealers)
        frames = [chance.randbytes(chance.randint(0, 300)) for _ in range(chance.randint(1, 3))]
        if dealer.poll(0, zmq.POLLOUT):
            dealer.send_multipart(frames, zmq.NOBLOCK)
        if chance.random() < 0.01:
            with socket.socket(socket.AF_UNIX) as raw:
                raw.connect(path)
                raw.send(chance.randbytes(200))

    yield strike
    for dealer in dealers:
        dealer.close()
    context.term()


@pytest.mark.parametrize("attacker", ["stranger", "mallory", "intruder"])
def test_spoilt_octets_harm_no_established_session(
    request: pytest.FixtureRequest, concentrator: Concentrator, flow: VerifiedFlow, attacker: str
) -> None:
    attack(5, request.getfixturevalue(attacker), concentrator, flow)


@pytest.mark.slow
def test_a_minute_of_spoilt_octets_from_everywhere_harms_no_established_session(
    stranger: Strike, mallory: Strike, intruder: Strike, concentrator: Concentrator, flow: VerifiedFlow
) -> None:
    turn = cycle((stranger, mallory, stranger, mallory, intruder))

    def strike() -> None:
        next(turn)()

    attack(60, strike, concentrator, flow)


def bound(address: str) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.bind((address, 0))
    return opened
