"""TUN devices, their addresses and the routes into them, in a namespace of their own."""

from __future__ import annotations

import asyncio
import json
import os
import select
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from deploy.lab.namespaces import Lab, Namespace
from shared.errors import SystemRefused
from system import links, nftables
from system.netlink import KernelRoutes, RouteChange
from system.routes import BATCH, Routes
from system.tun import open_tun

pytestmark = pytest.mark.netns

OpenTun = Callable[[str], int]


@pytest.fixture
def lns(lab: Lab) -> Namespace:
    return lab.namespace("lns")


@pytest.fixture
def tun(lab: Lab, lns: Namespace) -> OpenTun:
    """``tun(name)``: a TUN device in ``lns``, gone with the test."""

    def opened(name: str) -> int:
        descriptor = lns.call(lambda: open_tun(name))
        lab.at_exit(lambda: os.close(descriptor))
        return descriptor

    return opened


@pytest.fixture
def table(lab: Lab, lns: Namespace) -> KernelRoutes:
    """The routing table of ``lns``."""
    made = lns.call(KernelRoutes)
    lab.at_exit(made.close)
    return made


def ipv4_packet(descriptor: int, timeout_s: float = 5) -> bytes:
    """Return the next IPv4 packet of a TUN, passing over the kernel's own IPv6; empty if none comes."""
    while select.select([descriptor], [], [], timeout_s)[0]:
        packet = os.read(descriptor, 2048)
        if packet[0] >> 4 == 4:
            return packet
    return b""


def addresses_of(namespace: Namespace, device: str) -> set[str]:
    [link] = json.loads(namespace.run("ip", "-j", "address", "show", "dev", device).stdout)
    return {f"{entry['local']}/{entry['prefixlen']}" for entry in link["addr_info"]}


def routes_of(namespace: Namespace, family: str = "-4") -> dict[str, str]:
    """Return device by prefix of the routes that are ours."""
    shown = namespace.run("ip", "-j", family, "route", "show", "proto", "71").stdout
    rows: list[dict[str, Any]] = json.loads(shown or "[]")
    return {row["dst"]: row["dev"] for row in rows}


def test_a_packet_to_the_route_of_a_tun_is_read_from_its_descriptor(
    lns: Namespace, tun: OpenTun, table: KernelRoutes
) -> None:
    first, second = tun("culvert0"), tun("culvert1")
    assert lns.call(lambda: links.set_up("culvert0", 1462, ["10.0.0.1"]))
    assert lns.call(lambda: links.set_up("culvert1", 1462, ["10.0.0.1"]))
    assert table.apply([RouteChange("10.0.1.0/24", "culvert1", present=True)]) == []
    with lns.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender:
        sender.sendto(b"hello", ("10.0.1.7", 9))
    packet = ipv4_packet(second)
    assert packet[:4] == bytes.fromhex("4500 0021")  # IPv4, 20 + 8 + 5 octets, and nothing before it
    assert ipv4_packet(first, timeout_s=0) == b""
    assert packet[12:20] == bytes([10, 0, 0, 1, 10, 0, 1, 7])  # from the gateway's address


def test_every_device_owns_the_gateways_and_one_link_local_address(lns: Namespace, tun: OpenTun) -> None:
    tun("culvert0")
    for _ in range(2):  # a second time changes nothing
        lns.call(lambda: links.set_up("culvert0", 1400, ["10.0.0.1", "10.9.0.1"]))
    assert addresses_of(lns, "culvert0") == {"10.0.0.1/32", "10.9.0.1/32", "fe80::1/64"}
    [link] = json.loads(lns.run("ip", "-j", "link", "show", "dev", "culvert0").stdout)
    assert (link["mtu"], link["txqlen"], "UP" in link["flags"]) == (1400, links.QUEUE_PACKETS, True)


def test_a_device_works_without_ipv6(lns: Namespace, tun: OpenTun) -> None:
    tun("culvert0")
    lns.sysctl("ipv6/conf/culvert0/disable_ipv6", 1)
    assert not lns.call(lambda: links.set_up("culvert0", 1462, ["10.0.0.1"]))
    assert addresses_of(lns, "culvert0") == {"10.0.0.1/32"}


def test_a_device_that_another_process_has_is_refused_with_a_hint(lns: Namespace, tun: OpenTun) -> None:
    tun("culvert0")
    with pytest.raises(SystemRefused, match=r"culvert0: .* is another culvert running"):
        tun("culvert0")


def test_a_device_of_another_kind_is_refused(lns: Namespace, tun: OpenTun) -> None:
    lns.ip("link add culvert0 type veth peer name other")
    with pytest.raises(SystemRefused, match="is no TUN; remove it"):
        tun("culvert0")


def test_setting_up_a_device_that_is_not_there_is_refused(lns: Namespace) -> None:
    with pytest.raises(SystemRefused, match="culvert7"):
        lns.call(lambda: links.set_up("culvert7", 1462, []))


def test_routes_of_both_families_follow_the_latest_wish(lns: Namespace, tun: OpenTun) -> None:
    tun("culvert0"), tun("culvert1")
    lns.call(lambda: links.set_up("culvert0", 1462, []))
    lns.call(lambda: links.set_up("culvert1", 1462, []))

    async def change() -> None:
        routes = Routes(asyncio.get_running_loop(), lns.call(KernelRoutes))
        for index in range(1000):
            routes.replace(f"10.{index // 256}.{index % 256}.0/24", "culvert0")
        routes.replace("2001:db8:1::/48", "culvert0")
        routes.replace("192.0.2.9/32", "culvert0")
        await routes.flush()
        routes.replace("192.0.2.9/32", "culvert1")  # moves
        routes.remove("192.0.2.9/32", "culvert0")  # late news of the old device
        routes.remove("10.0.1.0/24", "culvert0")
        routes.remove("10.77.0.0/24", "culvert0")  # was never there
        await routes.close()
        assert routes.failed == 0

    uvloop.run(change())
    found = routes_of(lns)
    assert len(found) == 1000
    assert found["192.0.2.9"] == "culvert1"
    assert "10.0.1.0/24" not in found
    assert routes_of(lns, "-6") == {"2001:db8:1::/48": "culvert0"}


def test_routes_of_an_earlier_process_are_cleared_and_nobody_elses(
    lns: Namespace, tun: OpenTun, table: KernelRoutes
) -> None:
    tun("culvert0")
    lns.call(lambda: links.set_up("culvert0", 1462, []))
    lns.ip("route add 203.0.113.0/24 dev culvert0")
    changes = [RouteChange(f"10.0.{index}.0/24", "culvert0", present=True) for index in range(100)]
    table.apply([*changes, RouteChange("2001:db8:1::/48", "culvert0", present=True)])
    table.clear()
    assert routes_of(lns) == routes_of(lns, "-6") == {}
    assert "203.0.113.0/24" in lns.run("ip", "route").stdout


def test_a_refused_route_is_named_and_the_others_are_set(
    lns: Namespace, tun: OpenTun, table: KernelRoutes
) -> None:
    tun("culvert0")
    lns.call(lambda: links.set_up("culvert0", 1462, []))
    tun("culvert1")  # stays down
    failures = table.apply(
        [
            RouteChange("10.0.1.0/24", "culvert1", present=True),
            RouteChange("10.0.2.0/24", "culvert9", present=True),
            RouteChange("10.0.3.0/24", "culvert9", present=False),
            RouteChange("10.0.4.0/24", "culvert0", present=True),
        ]
    )
    assert {failure.change.prefix: failure.reason for failure in failures} == {
        "10.0.1.0/24": "Network is down",
        "10.0.2.0/24": "no device culvert9",
    }
    assert routes_of(lns) == {"10.0.4.0/24": "culvert0"}


def test_every_refusal_of_a_whole_batch_is_reported(
    lns: Namespace, tun: OpenTun, table: KernelRoutes
) -> None:
    tun("culvert0")  # stays down
    changes = [RouteChange(f"10.0.{index}.0/24", "culvert0", present=True) for index in range(BATCH)]
    for _ in range(2):  # nothing is left over from the first time
        assert [failure.change for failure in table.apply(changes)] == changes


def masquerade_rules(namespace: Namespace) -> str:
    return namespace.run("nft", "list", "ruleset").stdout


def in_namespace(namespace: Namespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Put an `nft` before the real one that enters ``namespace`` first."""
    wrapper = tmp_path / "nft"
    wrapper.write_text(f'#!/bin/sh\nPATH={os.environ["PATH"]} exec nsenter --net={namespace.path} nft "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


def test_our_table_is_replaced_as_a_whole_and_removed(
    lns: Namespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    in_namespace(lns, monkeypatch, tmp_path)
    lns.run("nft", "add", "table", "inet", "other")
    nftables.install_masquerade(["10.0.0.0/16", "10.9.0.0/24"])
    nftables.install_masquerade(["10.0.0.0/16", "2001:db8::/32"])
    rules = masquerade_rules(lns)
    assert 'ip saddr 10.0.0.0/16 oifname != "culvert*" masquerade' in rules
    assert 'ip6 saddr 2001:db8::/32 oifname != "culvert*" masquerade' in rules
    assert rules.count("masquerade") == 2
    nftables.remove_masquerade()
    nftables.remove_masquerade()
    assert "table inet other" in masquerade_rules(lns)
    assert "table inet culvert" not in masquerade_rules(lns)
