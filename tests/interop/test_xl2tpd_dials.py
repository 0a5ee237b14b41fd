"""Clients that nobody here wrote: xl2tpd and pppd dial in, are authenticated and reach the LAN.

    guest ──tap── br0 of "lab", culvert run ──veth── LAN host

The short ones run side by side ahead of the tests that look at them (`Runner`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import cast

import pytest

from deploy.lab.processes import LabFailure
from tests.interop.cases import CASES, Case
from tests.interop.conftest import LAN_HOST, OUTER, Network, Runner
from tests.support import tshark
from tests.support.needs import need_tools
from tests.support.peers import UP, Guest, Lac, Result
from tests.support.wait import wait_for

pytestmark = [pytest.mark.interop, pytest.mark.timeout(330)]


@pytest.fixture(scope="session")
def results(request: pytest.FixtureRequest, network: Network, runner: Runner) -> Runner:
    """Start every case that a selected test looks at."""
    chosen = {name for item in request.session.items for name in CASES if f"[{name}]" in item.name}
    for name in CASES:
        if name in chosen:
            runner.start(name, partial(_run, network, name, CASES[name]))
    return runner


def _run(network: Network, name: str, case: Case) -> Result:
    guest = network.guest(re.sub(r"\W+", "-", name), case.address)
    guest.dial(OUTER, case.lac)
    try:
        return guest.result()
    finally:
        guest.close()


def sessions_from(network: Network, address: str) -> list[dict[str, object]]:
    rows = network.concentrator.show("sessions")
    return [row for row in rows if row["peer"].startswith(f"{address}:")]


@pytest.mark.parametrize("name", CASES)
def test_xl2tpd(network: Network, results: Runner, name: str) -> None:
    case, result = CASES[name], cast("Result", results.result(name))
    assert result.status == case.status, result.story()
    pppd = result.log("pppd.1.log")
    for line in case.pppd:
        assert line in pppd, result.story()
    if case.log:
        network.concentrator.wait_for_log(case.log)
    gone = partial(_no_sessions, network, case.address)
    wait_for(gone, f"the sessions of {case.address} are gone", deadline_s=20, step_s=0.2)


def _no_sessions(network: Network, address: str) -> bool:
    return not sessions_from(network, address)


def test_a_wrong_password_reaches_the_client_as_a_cdn_that_says_why(results: Runner) -> None:
    result = cast("Result", results.result("wrong password, pap"))
    # Result 3, disconnected for administrative reasons (RFC 2661 §4.4.2).
    assert re.search(
        r"Connection closed.*\b3\b|Result code.*\b3\b|result_code_avp.*\b3\b", result.log("xl2tpd.1.log")
    )


@pytest.fixture
def client(network: Network, request: pytest.FixtureRequest) -> Iterator[Guest]:
    """A guest whose address and name the test gives by ``@pytest.mark.parametrize(..., indirect=True)``."""
    label, address = request.param
    guest = network.guest(label, address, capture=label != "iperf")
    yield guest
    guest.close()


@pytest.mark.parametrize("client", [("eight", "10.99.0.28")], indirect=True)
def test_eight_tunnels_from_one_client_are_up_at_once(network: Network, client: Guest) -> None:
    client.dial(OUTER, Lac("sub-%d", options=("--tunnels", "8", "--up-timeout", "40"), command=UP))
    client.wait_until_up(90)
    rows = sessions_from(network, client.address)
    assert sorted(str(row["username"]) for row in rows) == [f"sub-{number}" for number in range(1, 9)]
    assert len({row["tunnel_id"] for row in rows}) == len({row["ip"] for row in rows}) == 8
    each = "for i in $PPP_IFACES; do ping -I $i -c 1 -W 3 $PPP_REMOTE > /dev/null || exit 1; done"
    assert client.run(each).returncode == 0
    assert client.stop().status == 0


@pytest.mark.parametrize("client", [("redial", "10.99.0.29")], indirect=True)
def test_a_client_whose_tunnel_we_close_dials_again(network: Network, client: Guest) -> None:
    client.dial(OUTER, Lac(options=("--redial", "1"), command=UP))
    client.wait_until_up()
    (before,) = sessions_from(network, client.address)
    network.concentrator.command("terminate", "--tunnel", str(before["tunnel_id"]))

    def again() -> bool:
        rows = sessions_from(network, client.address)
        return [row["state"] for row in rows] == ["active"] and rows[0]["tunnel_id"] != before["tunnel_id"]

    wait_for(again, "the client is back", deadline_s=40, step_s=0.2)
    pinged = client.run("for n in 1 2 3 4 5; do ping -c 1 -W 2 10.0.0.1 && exit; sleep 0.5; done; exit 1")
    assert pinged.returncode == 0, pinged.stdout
    client.stop()


@pytest.mark.parametrize("client", [("iperf", "10.99.0.30")], indirect=True)
def test_tcp_flows_both_ways_and_the_session_stays(network: Network, client: Guest) -> None:
    need_tools("iperf3")
    server = network.host.run
    client.dial(OUTER, Lac(options=("--timeout", "150"), command=UP))
    client.wait_until_up()
    (before,) = sessions_from(network, client.address)
    assert client.run(f"ip route add {LAN_HOST} dev $PPP_IFACE").returncode == 0
    server("iperf3", "--server", "--daemon", "--pidfile", str(client.folder / "iperf3.pid"))
    try:
        for direction in ("", "--reverse"):
            done = client.run(f"iperf3 -c {LAN_HOST} -t 4 {direction}", deadline_s=60)
            assert done.returncode == 0, done.stdout + done.stderr
            moved = re.search(r"([\d.]+) ([KMG])Bytes .*receiver", done.stdout)
            assert moved, done.stdout
            assert float(moved[1]) * {"K": 1e-3, "M": 1, "G": 1e3}[moved[2]] > 1, done.stdout
    finally:
        pid = (client.folder / "iperf3.pid").read_text().strip("\0\n ")
        server("kill", pid)
    (after,) = sessions_from(network, client.address)
    assert (after["session_id"], after["state"]) == (before["session_id"], "active")
    assert cast("int", after["rx_bytes"]) > 1_000_000 < cast("int", after["tx_bytes"])
    client.stop()


def test_in_the_end_no_tunnel_is_left(network: Network, results: Runner) -> None:
    """A tunnel ends with its StopCCN.

    xl2tpd sends none when it is silenced, nor when our CDN came before its SIGTERM. Then it is an unanswered
    HELLO that tells, 2 + 63 s after the last word (`ConnectionSettings`).
    """
    for name in results.started:
        results.result(name)

    def none() -> bool:
        return all(row["state"] == "closing" for row in network.concentrator.show("tunnels"))

    wait_for(none, "every tunnel is gone", deadline_s=100, step_s=0.5)


def test_tshark_has_nothing_against_what_we_sent(network: Network, results: Runner) -> None:
    need_tools("tshark")
    for name in results.started:
        results.result(name)
    if not network.pcaps:
        raise LabFailure("no captures: this test looks at those of the others")
    looked = 0
    for pcap in network.pcaps:
        looked += tshark.count(pcap, f"ip.src == {OUTER} && l2tp")
        assert tshark.complaints(pcap, OUTER) == [], pcap.name
    assert looked > 20 * len(network.pcaps) // 2
