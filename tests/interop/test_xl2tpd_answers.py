"""An LNS that nobody here wrote, xl2tpd with pppd, accepts `culvert dial`.

culvert dial in "lab" (10.99.0.1) ──br0──tap── guest with xl2tpd as LNS (10.99.0.80)
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from deploy.lab.processes import Running, culvert_program
from tests.interop.conftest import OUTER, Network
from tests.support import tshark
from tests.support.needs import need_tools
from tests.support.peers import Guest
from tests.support.wait import wait_for

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]

LNS_ADDRESS = "10.99.0.80"


@pytest.fixture(scope="module", params=["pap", "chap", "mschapv2"])
def lns(request: pytest.FixtureRequest, network: Network) -> object:
    """A guest that serves one kind of authentication."""
    guest = network.guest(f"lns-{request.param}", LNS_ADDRESS)
    secret = ("--secret", "tunnelpw") if request.param == "chap" else ()
    guest.listen(request.param, "alice:secret", options=secret)
    guest.wait_until_up()
    yield guest, request.param
    guest.stop()
    guest.close()


def test_culvert_dial_brings_up_a_tun_through_xl2tpd(
    lns: tuple[Guest, str], network: Network, tmp_path: Path
) -> None:
    _, authentication = lns
    dial = [
        culvert_program(),
        "dial",
        LNS_ADDRESS,
        "--user",
        "alice",
        "--password-file",
        str(tmp_path / "password"),
    ]
    (tmp_path / "password").write_text("secret\n")
    if authentication == "chap":
        (tmp_path / "secret").write_text("tunnelpw\n")
        dial += ["--secret-file", str(tmp_path / "secret")]
    dialled = Running(network.namespace, [*dial, "--tun", "dialled"], tmp_path / "dial.log")
    try:
        wait_for(
            lambda: "172.31.0." in network.namespace.run("ip", "-brief", "address").stdout,
            "an address on the TUN",
            deadline_s=20,
        )
        pinged = network.namespace.run("ping", "-c", "3", "-i", "0.2", "-W", "2", "172.31.0.1", check=False)
        assert pinged.returncode == 0, pinged.stdout + dialled.tail()
        dialled.send(signal.SIGTERM)
        assert dialled.wait_for_end() == 0, dialled.tail()
    finally:
        dialled.stop()


def test_tshark_has_nothing_against_what_the_client_sent(lns: tuple[Guest, str]) -> None:
    need_tools("tshark")
    guest, _ = lns
    pcap = guest.pcap
    assert pcap is not None
    wait_for(  # tcpdump gets packets from the kernel by the block
        lambda: tshark.count(pcap, f"ip.src == {OUTER} && l2tp.avp.message_type == 4") > 0,
        "the capture has our StopCCN",
        deadline_s=20,
        step_s=0.5,
    )
    assert tshark.count(pcap, f"ip.src == {OUTER} && l2tp") > 10
    assert tshark.complaints(pcap, OUTER) == []
