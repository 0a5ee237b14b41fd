"""Clients behind a NAT, and what happens when it forgets them.

client 1 ─┐                        ┌─ concentrator ── PC2
          br0 NAT 192.0.2.2 ──── middle
client 2 ─┘                        └─ stranger 192.0.2.66
"""

from __future__ import annotations

import contextlib
import socket
import struct
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from deploy.lab.concentrator import Concentrator
from deploy.lab.namespaces import Lab, Namespace
from deploy.lab.topology import CONCENTRATOR_LAN, CONCENTRATOR_OUTER, CONFIGURATION, PC2_ADDRESS
from tests.netns.conftest import RunConcentrator, RunCulvert
from tests.support.dialling import dial, wait_until_up
from tests.support.flow import EchoServer, VerifiedFlow
from tests.support.wait import wait_for
from tests.support.wire import control, data

pytestmark = pytest.mark.netns

NAT_ADDRESS = "192.0.2.2"
STRANGER = "192.0.2.66"
BOB = '\n[[user]]\nname = "bob"\npassword = "secret"\n'

_TRANSLATION = """
table ip lab {{
    chain postrouting {{
        type nat hook postrouting priority srcnat
        oifname "wan" udp dport 1701 snat to {address}:{first}-{last}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Street:
    """Who lives there."""

    nat: Namespace
    clients: tuple[Namespace, Namespace]
    concentrator: Namespace
    stranger: Namespace
    pc2: Namespace


@pytest.fixture
def street(lab: Lab) -> Street:
    nat, concentrator = lab.namespace("NAT"), lab.namespace("concentrator")
    clients = lab.namespace("client 1"), lab.namespace("client 2")
    stranger, pc2 = lab.namespace("stranger"), lab.namespace("PC2")
    lab.bridge(concentrator, "middle", [f"{CONCENTRATOR_OUTER}/24"])
    lab.bridge(nat, "br0", ["192.168.1.1/24"])
    for number, (outside, name, address) in enumerate(
        ((nat, "wan", NAT_ADDRESS), (stranger, "eth0", STRANGER))
    ):
        lab.link((concentrator, f"port{number}"), (outside, name), addresses=((), [f"{address}/24"]))
        concentrator.ip(f"link set port{number} master middle")
    for number, client in enumerate(clients, 1):
        lab.link((nat, f"lan{number}"), (client, "eth0"), addresses=((), [f"192.168.1.1{number}/24"]))
        nat.ip(f"link set lan{number} master br0")
        client.ip("route add default via 192.168.1.1")
    lab.link(
        (concentrator, "lan"), (pc2, "eth0"), addresses=([f"{CONCENTRATOR_LAN}/24"], [f"{PC2_ADDRESS}/24"])
    )
    pc2.ip(f"route add default via {CONCENTRATOR_LAN}")
    nat.forward()
    concentrator.forward()
    translate(nat, 20000)
    return Street(nat, clients, concentrator, stranger, pc2)


def translate(nat: Namespace, first_port: int) -> None:
    """Let the NAT use ports from ``first_port``, and forget all that it knew."""
    rules = _TRANSLATION.format(address=NAT_ADDRESS, first=first_port, last=first_port + 99)
    nat.run("nft", "-f", "-", stdin="table ip lab\ndelete table ip lab\n" + rules)
    nat.call(_forget_connections)


def _forget_connections() -> None:
    """Empty the connection tracking table: IPCTNL_MSG_CT_DELETE without a filter (ctnetlink)."""
    body = struct.pack("=BBH", socket.AF_INET, 0, 0)
    request = struct.pack("=IHHII", 16 + len(body), (1 << 8) | 2, 0x5, 1, 0) + body  # REQUEST | ACK
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as netfilter:
        netfilter.bind((0, 0))
        netfilter.send(request)
        (error,) = struct.unpack_from("=i", netfilter.recv(4096), 16)
        assert error == 0, f"conntrack was not flushed: {error}"


@pytest.fixture
def concentrator(street: Street, run_concentrator: RunConcentrator) -> Concentrator:
    return run_concentrator(street.concentrator, CONFIGURATION + BOB)


def port_of(row: dict[str, Any]) -> int:
    address, _, port = str(row["peer"]).rpartition(":")
    assert address == NAT_ADDRESS
    return int(port)


def test_two_clients_behind_one_address_work_at_once(
    street: Street, concentrator: Concentrator, run_culvert: RunCulvert
) -> None:
    for client, user in zip(street.clients, ("alice", "bob"), strict=True):
        wait_until_up(dial(run_culvert, client, user=user))
    rows = concentrator.wait_for_sessions(2)
    assert len({port_of(row) for row in rows}) == 2
    echo = EchoServer(street.pc2, PC2_ADDRESS)
    flows = [VerifiedFlow(client, PC2_ADDRESS) for client in street.clients]
    wait_for(lambda: min(flow.answered() for flow in flows) >= 50, "both get answers")
    figures = [flow.close() for flow in flows]
    echo.close()
    assert [(each.wrong, each.sent - each.good) for each in figures] == [(0, 0), (0, 0)]


@pytest.mark.parametrize("talking", [True, False], ids=["while data flow", "while only HELLO is sent"])
def test_a_client_whose_binding_moves_to_another_port_keeps_its_session(
    street: Street, concentrator: Concentrator, run_culvert: RunCulvert, talking: bool
) -> None:
    client = street.clients[0]
    wait_until_up(dial(run_culvert, client, "--hello", "1", "--echo", "0"))
    (before,) = concentrator.wait_for_sessions(1)
    assert port_of(before) < 30000
    echo = EchoServer(street.pc2, PC2_ADDRESS)
    flow = VerifiedFlow(client, PC2_ADDRESS, per_s=20) if talking else None
    translate(street.nat, 30000)
    wait_for(lambda: port_of(concentrator.show("tunnels")[0]) >= 30000, "the tunnel has moved", deadline_s=20)
    if flow is None:
        flow = VerifiedFlow(client, PC2_ADDRESS, per_s=20)
    so_far = flow.answered()
    wait_for(lambda: flow.answered() >= so_far + 20, "data flow at the new place", deadline_s=20)
    assert flow.close().wrong == 0
    echo.close()
    (after,) = concentrator.show("sessions")
    assert (after["tunnel_id"], after["session_id"]) == (before["tunnel_id"], before["session_id"])
    assert port_of(after) >= 30000


def test_a_stranger_who_guesses_the_ids_moves_nothing(
    street: Street, concentrator: Concentrator, run_culvert: RunCulvert
) -> None:
    client = street.clients[0]
    wait_until_up(dial(run_culvert, client))
    (before,) = concentrator.wait_for_sessions(1)
    tunnel_id, session_id = before["tunnel_id"], before["session_id"]
    echo = EchoServer(street.pc2, PC2_ADDRESS)
    flow = VerifiedFlow(client, PC2_ADDRESS)
    with street.stranger.call(lambda: connected((CONCENTRATOR_OUTER, 1701))) as stranger:
        for attempt in range(40):
            for forged in forgeries(tunnel_id, session_id, ns=4 + attempt % 8):
                stranger.send(forged)
            so_far = flow.answered()
            wait_for(partial(reached, flow, so_far + 5), "the client's traffic flows on")
        stranger.settimeout(0.2)
        heard = everything(stranger)
    figures = flow.close()
    echo.close()
    assert not [octets for octets in heard if not octets[0] & 0x80], "data of the client went to the stranger"
    assert (figures.wrong, figures.sent - figures.good) == (0, 0)
    (after,) = concentrator.show("sessions")
    same = ("tunnel_id", "session_id", "peer", "state", "ip")
    assert [after[key] for key in same] == [before[key] for key in same]
    assert [row["peer"] for row in concentrator.show("tunnels") if row["tunnel_id"] == tunnel_id] == [
        before["peer"]
    ]


def forgeries(tunnel_id: int, session_id: int, ns: int) -> list[bytes]:
    """Return a HELLO, a StopCCN, a CDN, an acknowledgement and an IP packet, all with the right IDs."""
    result = struct.pack("!HHHHH", 0x800A, 0, 1, 1, 0)
    assigned_tunnel = struct.pack("!HHHH", 0x8008, 0, 9, 1)
    assigned_session = struct.pack("!HHHH", 0x8008, 0, 14, 1)
    ping = bytes.fromhex("4500001c0000400040010000 0a00000a c0a81664 0800f7ff00000000".replace(" ", ""))
    return [
        control(tunnel_id, 0, ns, 2, 6),
        control(tunnel_id, 0, ns, 2, 4, assigned_tunnel + result),
        control(tunnel_id, session_id, ns, 2, 14, result + assigned_session),
        struct.pack("!HHHHHH", 0xC802, 12, tunnel_id, 0, ns, 3),
        data(tunnel_id, session_id, 0x0021, ping),
        data(tunnel_id, session_id, 0xC021, bytes.fromhex("05010004")),  # LCP Terminate-Request
    ]


def connected(target: tuple[str, int]) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.connect(target)
    return opened


def reached(flow: VerifiedFlow, answers: int) -> bool:
    return flow.answered() >= answers


def everything(source: socket.socket) -> list[bytes]:
    heard = []
    with contextlib.suppress(TimeoutError):
        while True:
            heard.append(source.recv(2048))
    return heard
