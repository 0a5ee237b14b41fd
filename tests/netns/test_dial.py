"""``culvert dial`` against ``culvert run``: TUN, address and routes up, used, and away again."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from deploy.lab.concentrator import Concentrator
from deploy.lab.processes import Running
from deploy.lab.topology import (
    ALICE_ADDRESS,
    CLIENT_OUTER_V6,
    CONCENTRATOR_OUTER,
    CONCENTRATOR_OUTER_V6,
    CONFIGURATION,
    GATEWAY,
    LAN2_PREFIX,
    PC2_ADDRESS,
    Topology,
)

pytestmark = pytest.mark.netns

TUN = "cvdial"
RunConcentrator = Callable[..., Concentrator]
RunCulvert = Callable[..., Running]
UP = rf"up: device {TUN}, authentication \w+, address {ALICE_ADDRESS}"


@pytest.fixture
def password(tmp_path: Path) -> str:
    file = tmp_path / "password"
    file.write_text("secret\n")
    return str(file)


def dial(run_culvert: RunCulvert, topology: Topology, password: str, *more: str, lns: str = "") -> Running:
    arguments = [lns or CONCENTRATOR_OUTER, "--user", "alice", "--password-file", password, "--tun", TUN]
    return run_culvert(topology.client, "dial", *arguments, *more)


def addresses(topology: Topology) -> list[dict[str, Any]]:
    shown = topology.client.run("ip", "-j", "address", "show", "dev", TUN, check=False).stdout
    return json.loads(shown)[0]["addr_info"] if shown.strip() else []


def pings(topology: Topology, target: str) -> bool:
    return (
        topology.client.run("ping", "-n", "-c", "3", "-i", "0.2", "-W", "2", target, check=False).returncode
        == 0
    )


@pytest.mark.parametrize("auth", ["pap", "chap", "mschapv2"])
def test_a_dialled_session_reaches_the_lan_and_ends_in_order(
    topology: Topology, run_concentrator: RunConcentrator, run_culvert: RunCulvert, password: str, auth: str
) -> None:
    concentrator = run_concentrator(topology.concentrator, CONFIGURATION)
    client = dial(run_culvert, topology, password, "--route", LAN2_PREFIX, "--auth", auth)
    client.wait_for_output(UP.replace(r"\w+", auth))
    [address] = addresses(topology)
    assert (address["local"], address["address"], address["prefixlen"]) == (ALICE_ADDRESS, GATEWAY, 32)
    assert pings(topology, PC2_ADDRESS)
    [session] = concentrator.active_sessions()
    assert (session["username"], session["ip"]) == ("alice", ALICE_ADDRESS)
    client.send(signal.SIGTERM)
    assert client.wait_for_end() == 0
    assert addresses(topology) == []
    concentrator.wait_for_log(r"session down .*the user hung up")
    assert not [row for row in concentrator.show("tunnels") if row["state"] == "established"]


def test_a_wrong_password_ends_with_status_1_and_says_what_to_do(
    topology: Topology, run_concentrator: RunConcentrator, run_culvert: RunCulvert, tmp_path: Path
) -> None:
    run_concentrator(topology.concentrator, CONFIGURATION)
    wrong = tmp_path / "wrong"
    wrong.write_text("not the password")
    client = dial(run_culvert, topology, str(wrong))
    assert client.wait_for_end() == 1
    said = client.output()
    assert "refused: ppp: the LNS ended it: authentication refused" in said
    assert "check --user and the password" in said
    assert "not the password" not in said


def test_nobody_at_the_port_ends_with_status_1_and_what_icmp_said(
    topology: Topology, run_culvert: RunCulvert, password: str
) -> None:
    client = dial(run_culvert, topology, password, "--timeout", "3", "--port", "1999")
    assert client.wait_for_end() == 1
    assert "ICMP port unreachable: nothing listens there" in client.output()


def test_everything_goes_into_the_tunnel_but_the_tunnel_itself(
    topology: Topology, run_concentrator: RunConcentrator, run_culvert: RunCulvert, password: str
) -> None:
    run_concentrator(topology.concentrator, CONFIGURATION)
    before = topology.client.run("ip", "route").stdout
    client = dial(run_culvert, topology, password, "--default-route")
    client.wait_for_output(UP)
    assert pings(topology, PC2_ADDRESS)
    assert f"dev {TUN}" in topology.client.run("ip", "route", "get", "203.0.113.1").stdout
    assert "dev middle" in topology.client.run("ip", "route", "get", CONCENTRATOR_OUTER).stdout
    assert client.stop() == 0
    assert topology.client.run("ip", "route").stdout == before


def test_redial_brings_the_session_back_after_the_concentrator_has_ended_it(
    topology: Topology, run_concentrator: RunConcentrator, run_culvert: RunCulvert, password: str
) -> None:
    concentrator = run_concentrator(topology.concentrator, CONFIGURATION)
    client = dial(run_culvert, topology, password, "--route", LAN2_PREFIX, "--redial", "0.5")
    client.wait_for_output(UP)
    concentrator.command("terminate", "--all")
    client.wait_for_output(rf"(?s){UP}.*lost: .*dialling again.*{UP}")
    assert pings(topology, PC2_ADDRESS)
    assert client.stop() == 0


def test_while_it_dials_again_nothing_takes_another_way_and_in_the_end_all_is_as_before(
    topology: Topology, run_concentrator: RunConcentrator, run_culvert: RunCulvert, password: str
) -> None:
    concentrator = run_concentrator(topology.concentrator, CONFIGURATION)
    before = topology.client.run("ip", "route").stdout
    client = dial(run_culvert, topology, password, "--default-route", "--redial", "0.5", "--timeout", "3")
    client.wait_for_output(UP)
    concentrator.stop()
    client.wait_for_output(r"(?s)lost: .*dialling again.*dialling ")
    [address] = addresses(topology)
    assert (address["local"], address["address"]) == (ALICE_ADDRESS, GATEWAY)
    assert f"dev {TUN}" in topology.client.run("ip", "route", "get", PC2_ADDRESS).stdout
    assert "dev middle" in topology.client.run("ip", "route", "get", CONCENTRATOR_OUTER).stdout
    assert not pings(topology, PC2_ADDRESS)
    run_concentrator(topology.concentrator, CONFIGURATION)
    client.wait_for_output(rf"(?s){UP}.*lost: .*{UP}", deadline_s=20)
    assert pings(topology, PC2_ADDRESS)
    assert client.stop() == 0
    assert topology.client.run("ip", "route").stdout == before


def test_routes_that_would_swallow_the_dialling_itself_are_let_go(
    topology: Topology, run_concentrator: RunConcentrator, run_culvert: RunCulvert, password: str
) -> None:
    concentrator = run_concentrator(topology.concentrator, CONFIGURATION)
    swallowing = str(ip_network(f"{CONCENTRATOR_OUTER}/25", strict=False))  # the link's own is a /24
    routes = ["--route", swallowing, "--route", LAN2_PREFIX]
    client = dial(run_culvert, topology, password, *routes, "--redial", "0.5")
    client.wait_for_output(UP)
    topology.client.run("ip", "route", "del", f"{CONCENTRATOR_OUTER}/32")  # as when its link has gone
    concentrator.command("terminate", "--all")
    client.wait_for_output(rf"(?s)lost: .*routes taken away.*{UP}", deadline_s=60)
    assert pings(topology, PC2_ADDRESS)
    assert client.stop() == 0


def test_an_outer_ipv6_path_and_inner_ipv6_work(
    topology: Topology, run_concentrator: RunConcentrator, run_culvert: RunCulvert, password: str
) -> None:
    both = CONFIGURATION.replace(CONCENTRATOR_OUTER, CONCENTRATOR_OUTER_V6).replace(
        'pool = "subscribers"', 'pool = "subscribers"\nipv6 = true'
    )
    run_concentrator(topology.concentrator, both)
    client = dial(
        run_culvert,
        topology,
        password,
        "--ipv6",
        "--bind",
        CLIENT_OUTER_V6,
        "--json-status",
        lns=CONCENTRATOR_OUTER_V6,
    )
    client.wait_for_output(rf'"address": "{ALICE_ADDRESS}".*"ipv6": "fe80::')
    assert pings(topology, GATEWAY)
    assert pings(topology, f"fe80::1%{TUN}")
    events = [json.loads(line)["event"] for line in client.output().splitlines()]
    assert events[0] == "progress"
    assert "up" in events
    assert client.stop() == 0
