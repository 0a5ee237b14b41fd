"""What tshark says to conversations between our own two ends: both sides of them are ours.

client (culvert dial) ──middle, captured── concentrator (culvert run) ──lan── PC2
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.lab import topology as topologies
from deploy.lab.capture import Capture
from deploy.lab.concentrator import Concentrator
from deploy.lab.namespaces import Lab
from deploy.lab.pcap import Writer
from deploy.lab.processes import Running, culvert_program
from deploy.lab.topology import (
    CLIENT_OUTER,
    CONCENTRATOR_OUTER,
    CONFIGURATION,
    LAN2_PREFIX,
    PC2_ADDRESS,
    Topology,
)
from tests.support import tshark
from tests.support.dialling import wait_until_up
from tests.support.needs import need_namespaces, need_tools

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]

PEER = f'\n[[peer]]\nprefix = "{CLIENT_OUTER}/32"\n'
SECRET = PEER + 'secret = "tunnelpw"\n'
ROUTED = 'service = "routed"'

CONFIGURATIONS = {
    "plain": CONFIGURATION,
    "tunnel secret": CONFIGURATION + SECRET,
    "hidden AVPs": CONFIGURATION + SECRET + "hide_avps = true\n",
    "sequence numbers": CONFIGURATION + PEER + "sequencing = true\n",
    "compressed headers": CONFIGURATION.replace(ROUTED, ROUTED + "\nacfc = true\npfc = true"),
    "frequent checks": CONFIGURATION.replace(
        ROUTED, ROUTED + "\nrechallenge_interval_s = 0.5\necho_interval_s = 0.3"
    ),
    "ipv6": CONFIGURATION.replace(ROUTED, ROUTED + "\nipv6 = true"),
}


@pytest.fixture
def topology() -> Iterator[tuple[Lab, Topology]]:
    need_namespaces()
    need_tools("tshark")
    with Lab() as lab:
        yield lab, topologies.build(lab)


def complaints(capture: Path) -> list[str]:
    assert tshark.count(capture, f"ip.src == {CLIENT_OUTER} && l2tp") > 5
    return [
        line for sender in (CLIENT_OUTER, CONCENTRATOR_OUTER) for line in tshark.complaints(capture, sender)
    ]


CASES = [*((name, "mschapv2") for name in CONFIGURATIONS), ("plain", "chap"), ("plain", "pap")]


@pytest.mark.parametrize(("name", "authentication"), CASES)
def test_a_whole_session_is_well_formed(
    topology: tuple[Lab, Topology], tmp_path: Path, name: str, authentication: str
) -> None:
    lab, machines = topology
    capture = Capture(machines.concentrator, "middle", tmp_path / "session.pcap")
    lab.at_exit(capture.close)
    concentrator = Concentrator(machines.concentrator, CONFIGURATIONS[name])
    lab.at_exit(concentrator.stop)
    concentrator.wait_until_ready()
    options = [
        "--user",
        "alice",
        "--password",
        "secret",
        "--auth",
        authentication,
        "--hello",
        "0.5",
        "--echo",
        "0.5",
    ]
    options += [
        "--route",
        LAN2_PREFIX,
        *(["--secret", "tunnelpw"] if "tunnelpw" in CONFIGURATIONS[name] else []),
    ]
    options += ["--ipv6"] if name == "ipv6" else []
    client = Running(
        machines.client, [culvert_program(), "dial", CONCENTRATOR_OUTER, *options], tmp_path / "log"
    )
    lab.at_exit(client.stop)
    wait_until_up(client)
    pinged = machines.client.run("ping", "-c", "4", "-i", "0.4", "-W", "2", PC2_ADDRESS, check=False)
    assert pinged.returncode == 0, pinged.stdout + client.tail()
    client.send(signal.SIGTERM)
    assert client.wait_for_end() == 0, client.tail()
    concentrator.wait_for_sessions(0)
    capture.close()
    assert complaints(capture.path) == []


def test_a_refusal_is_well_formed(topology: tuple[Lab, Topology], tmp_path: Path) -> None:
    lab, machines = topology
    capture = Capture(machines.concentrator, "middle", tmp_path / "refusal.pcap")
    lab.at_exit(capture.close)
    concentrator = Concentrator(machines.concentrator, CONFIGURATION + SECRET)
    lab.at_exit(concentrator.stop)
    concentrator.wait_until_ready()
    for number, (password, secret) in enumerate((("wrong", "tunnelpw"), ("secret", "other"))):
        options = ["--user", "alice", "--password", password, "--secret", secret]
        dial = [culvert_program(), "dial", CONCENTRATOR_OUTER, *options]
        assert Running(machines.client, dial, tmp_path / f"{number}.log").wait_for_end(deadline_s=30) == 1
    capture.close()
    assert complaints(capture.path) == []


def test_the_filter_finds_an_avp_that_runs_past_its_message(tmp_path: Path) -> None:
    need_tools("tshark")
    control = "c802 0014 0000 0000 0000 0000" + "8020 0000 0000 0001"  # an AVP of 32 octets in a body of 8
    frame = bytes.fromhex(
        "020000000001 020000000002 0800 4500 0030 0000 4000 4011 b6b6 c0000202 c0000201 06a5 06a5 001c 0000"
        + control
    )
    path = tmp_path / "spoilt.pcap"
    with path.open("wb") as stream:
        Writer(stream).write(0, frame)
    assert tshark.complaints(path, CLIENT_OUTER)
