"""A routed session end to end, through processes, sockets and TUN devices of its own.

PC1 ──lan── client (culvert dial) ──middle── concentrator (culvert run) ──lan── PC2
"""

from __future__ import annotations

import re
import signal
import socket

import pytest

from deploy.lab.concentrator import Concentrator
from deploy.lab.namespaces import Namespace, masquerade
from deploy.lab.topology import (
    ALICE_ADDRESS,
    CLIENT_LAN,
    CONCENTRATOR_LAN,
    CONCENTRATOR_OUTER_V6,
    CONFIGURATION,
    GATEWAY,
    PC2_ADDRESS,
    Topology,
)
from tests.netns.conftest import RunConcentrator, RunCulvert
from tests.support.dialling import TUN, dial, wait_until_up
from tests.support.flow import EchoServer, VerifiedFlow
from tests.support.wait import wait_for

pytestmark = pytest.mark.netns

BOB = '\n[[user]]\nname = "bob"\npassword = "also secret"\n'
IPV6_OUTER = f'\n[[listen]]\naddress = "{CONCENTRATOR_OUTER_V6}"\n'


def pings(source: Namespace, target: str, *options: str) -> str:
    """Return what ping says about two echo requests, which have to be answered."""
    done = source.run("ping", "-c", "2", "-i", "0.2", "-W", "2", *options, target, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def concentrator(topology: Topology, run_concentrator: RunConcentrator) -> Concentrator:
    return run_concentrator(topology.concentrator, CONFIGURATION + BOB)


def test_a_lan_behind_the_client_reaches_the_lan_behind_the_concentrator(
    topology: Topology, concentrator: Concentrator, run_culvert: RunCulvert
) -> None:
    client = dial(run_culvert, topology.client)
    assert wait_until_up(client) == ALICE_ADDRESS
    masquerade(topology.client, TUN)
    pings(topology.pc1, PC2_ADDRESS)
    (row,) = concentrator.wait_for_sessions(1)
    assert (row["username"], row["ip"], row["service"]) == ("alice", ALICE_ADDRESS, "routed")
    wait_for(lambda: concentrator.show("sessions")[0]["rx_packets"] >= 2, "both pings are counted")


def test_the_largest_packet_fits_and_one_octet_more_is_told_the_mtu(
    topology: Topology, concentrator: Concentrator, run_culvert: RunCulvert
) -> None:
    wait_until_up(dial(run_culvert, topology.client))
    masquerade(topology.client, TUN)
    pings(topology.pc1, PC2_ADDRESS, "-M", "do", "-s", "1434")
    refused = topology.pc1.run(
        "ping", "-M", "do", "-c", "1", "-W", "1", "-s", "1435", PC2_ADDRESS, check=False
    )
    assert re.search(rf"From {CLIENT_LAN} .*mtu = 1462", refused.stdout)


def test_a_packet_for_the_client_that_is_too_large_is_answered_with_the_mtu(
    topology: Topology, concentrator: Concentrator, run_culvert: RunCulvert
) -> None:
    wait_until_up(dial(run_culvert, topology.client))
    pings(topology.pc2, ALICE_ADDRESS, "-M", "do", "-s", "1434")
    refused = topology.pc2.run(
        "ping", "-M", "do", "-c", "1", "-W", "1", "-s", "1435", ALICE_ADDRESS, check=False
    )
    assert re.search(rf"From ({CONCENTRATOR_LAN}|{GATEWAY}) .*mtu = 1462", refused.stdout)


def test_the_client_ends_in_good_order_and_nothing_is_left(
    topology: Topology, concentrator: Concentrator, run_culvert: RunCulvert
) -> None:
    client = dial(run_culvert, topology.client)
    wait_until_up(client)
    client.send(signal.SIGTERM)
    assert client.wait_for_end() == 0, client.tail()
    concentrator.wait_for_sessions(0)
    assert TUN not in topology.client.run("ip", "-brief", "link").stdout
    routes = topology.concentrator.run("ip", "route").stdout
    assert f"{ALICE_ADDRESS} " not in routes


def test_a_session_that_the_operator_ends_takes_the_client_with_it(
    topology: Topology, concentrator: Concentrator, run_culvert: RunCulvert
) -> None:
    client = dial(run_culvert, topology.client)
    wait_until_up(client)
    concentrator.command("terminate", "--user", "alice")
    assert client.wait_for_end() == 1, client.tail()
    concentrator.wait_for_sessions(0)


def test_a_wrong_password_is_refused_with_a_reason_on_both_sides(
    topology: Topology, concentrator: Concentrator, run_culvert: RunCulvert
) -> None:
    client = dial(run_culvert, topology.client, password="wrong")
    assert client.wait_for_end(deadline_s=20) == 1
    assert "password" in client.output().lower() or "authentication" in client.output().lower()
    concentrator.wait_for_log(r"WARNING .*alice.*password")
    assert "wrong" not in re.sub(r"wrong (password|secret)", "", concentrator.log())


def test_a_client_may_send_from_its_own_address_only(
    topology: Topology, concentrator: Concentrator, run_culvert: RunCulvert
) -> None:
    wait_until_up(dial(run_culvert, topology.client))
    topology.client.ip(f"addr add 10.0.0.99/32 dev {TUN}")
    forged = topology.client.run("ping", "-c", "1", "-W", "1", "-I", "10.0.0.99", PC2_ADDRESS, check=False)
    assert "100% packet loss" in forged.stdout
    pings(topology.client, PC2_ADDRESS)


def test_tcp_s_segments_fit_into_the_tunnel(
    topology: Topology, concentrator: Concentrator, run_culvert: RunCulvert
) -> None:
    wait_until_up(dial(run_culvert, topology.client))
    masquerade(topology.client, TUN)
    server = topology.pc2.call(lambda: socket.create_server((PC2_ADDRESS, 8080)))
    with server, topology.pc1.call(lambda: socket.create_connection((PC2_ADDRESS, 8080), 5)) as caller:
        accepted, _ = server.accept()
        with accepted:
            for end in (caller, accepted):
                assert 500 < end.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) <= 1462 - 40
            accepted.sendall(bytes(100_000))
            received = 0
            while received < 100_000:
                received += len(caller.recv(65536))


def test_two_users_have_addresses_of_their_own_and_are_reached_there(
    topology: Topology, concentrator: Concentrator, run_culvert: RunCulvert
) -> None:
    masquerade(topology.client, "middle")  # so that PC1 can dial by itself, through the client router
    assert wait_until_up(dial(run_culvert, topology.client)) == ALICE_ADDRESS
    address = wait_until_up(dial(run_culvert, topology.pc1, user="bob", password="also secret"))
    assert address != ALICE_ADDRESS
    rows = concentrator.wait_for_sessions(2)
    assert {row["ip"]: row["username"] for row in rows} == {ALICE_ADDRESS: "alice", address: "bob"}
    for subscriber in (ALICE_ADDRESS, address):
        pings(topology.pc2, subscriber)
    pings(topology.pc1, PC2_ADDRESS)


def test_every_octet_arrives_as_it_was_sent(
    topology: Topology, concentrator: Concentrator, run_culvert: RunCulvert
) -> None:
    wait_until_up(dial(run_culvert, topology.client))
    echo = EchoServer(topology.pc2, PC2_ADDRESS)
    flow = VerifiedFlow(topology.client, PC2_ADDRESS, per_s=500, octets=1000)
    wait_for(lambda: flow.answered() >= 300, "300 right answers")
    figures = flow.close()
    echo.close()
    assert figures.wrong == 0
    assert figures.good == figures.sent


def test_the_outer_path_may_be_ipv6(
    topology: Topology, run_concentrator: RunConcentrator, run_culvert: RunCulvert
) -> None:
    concentrator = run_concentrator(topology.concentrator, IPV6_OUTER + CONFIGURATION)
    wait_until_up(dial(run_culvert, topology.client, "--mtu", "1442", lns=CONCENTRATOR_OUTER_V6))
    pings(topology.client, PC2_ADDRESS)
    (row,) = concentrator.wait_for_sessions(1)
    assert row["peer"].startswith("[2001:db8::2]:")


def test_masquerade_hides_subscribers_and_goes_with_the_service(
    topology: Topology, run_concentrator: RunConcentrator, run_culvert: RunCulvert
) -> None:
    concentrator = run_concentrator(topology.concentrator, CONFIGURATION + "\n[nat]\nmasquerade = true\n")
    topology.pc2.ip("route del default")  # it can answer nobody but its own LAN
    wait_until_up(dial(run_culvert, topology.client))
    pings(topology.client, PC2_ADDRESS)
    assert "table inet culvert" in (tables := topology.concentrator.run("nft", "list", "tables").stdout) or (
        "table ip culvert" in tables
    )
    assert concentrator.process.stop() == 0
    assert "culvert" not in topology.concentrator.run("nft", "list", "tables").stdout


def test_what_the_service_made_is_gone_when_it_stops(
    topology: Topology, concentrator: Concentrator, run_culvert: RunCulvert
) -> None:
    client = dial(run_culvert, topology.client)
    wait_until_up(client)
    assert "culvert0" in topology.concentrator.run("ip", "-brief", "link").stdout
    assert concentrator.process.stop() == 0, concentrator.process.tail()
    assert "culvert" not in topology.concentrator.run("ip", "-brief", "link").stdout
    assert client.wait_for_end(deadline_s=20) == 1  # it was told


def test_health_and_readiness_are_served(concentrator: Concentrator) -> None:
    for page in ("healthz", "readyz", "metrics"):
        assert concentrator.http_status(f"/{page}") == 200


def test_a_session_has_its_time_and_no_more(
    topology: Topology, run_concentrator: RunConcentrator, run_culvert: RunCulvert
) -> None:
    limited = CONFIGURATION.replace('service = "routed"', 'service = "routed"\nsession_timeout_s = 2.0')
    concentrator = run_concentrator(topology.concentrator, limited)
    client = dial(run_culvert, topology.client)
    wait_until_up(client)
    assert client.wait_for_end(deadline_s=15) == 1
    concentrator.wait_for_sessions(0)


def test_a_bad_configuration_is_refused_with_every_mistake_at_once(
    topology: Topology, run_concentrator: RunConcentrator
) -> None:
    wrong = CONFIGURATION.replace("count = 2", "count = 0").replace(
        'pool = "subscribers"', 'pool = "nowhere"'
    )
    concentrator = run_concentrator(topology.concentrator, wrong + "\n[htpp]\n", ready=False)
    assert concentrator.process.wait_for_end() == 2
    said = concentrator.log()
    for key in ("workers.count", "profile.default.pool", "htpp"):
        assert re.search(
            rf"^{re.escape(str(concentrator.file))}: {re.escape(key)}: \S", said, re.MULTILINE
        ), said
