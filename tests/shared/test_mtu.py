"""What fits into a tunnel. Expected figures come from the header formats in the RFCs, added up by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.mtu import CIPHERS, GTP_OCTETS, Path, derive, fitting_link_mtu


@pytest.mark.parametrize(
    ("path", "mtu"),
    [
        (Path(), 1462),  # 1500 - 20 IPv4 - 8 UDP - 6 L2TP - 4 PPP
        (Path(length=True), 1460),
        (Path(length=True, sequence=True), 1456),
        (Path(bcp=True), 1446),  # 16 less: BCP 2, Ethernet 14
        (Path(bcp=True, vlan=True), 1442),
        (Path(vlan=True), 1462),  # nothing is tagged in a routed session
        (Path(outer_ipv6=True), 1442),
        (Path(length=True, sequence=True, offset=0), 1454),  # what Cisco sends
        (Path(offset=2), 1458),
        (Path(acfc=True, pfc=True), 1465),
        (Path(gtp="lte"), 1426),  # 36 less: IPv4 20, UDP 8, GTP-U 8
        (Path(gtp="lte", gtp_ipv6=True), 1406),
        (Path(gtp="5g"), 1418),
        (Path(link_mtu_octets=9000), 8962),
    ],
)
def test_the_mtu_is_the_links_less_every_header(path: Path, mtu: int) -> None:
    assert derive(path).mtu_octets == mtu


@pytest.mark.parametrize(
    ("cipher", "nat_t", "mtu"),
    [
        # 1500 - 20 IP - 8 ESP - 16 IV - 12 ICV = 1444, in blocks of 16: 1440; - 2 trailer - 8 UDP - 6 - 4
        ("aes-cbc-sha1", False, 1420),
        ("aes-cbc-sha1", True, 1404),  # 8 more for NAT-T leave 1436, in blocks of 16: 1424
        ("aes-cbc-sha256", False, 1420),  # 1440 is a multiple of 16
        ("aes-cbc-sha256", True, 1404),
        ("aes-gcm", False, 1428),  # 1500 - 20 - 8 - 8 - 16 = 1448, in fours: 1448, - 2 - 8 - 6 - 4
        ("aes-gcm", True, 1420),
        ("3des-cbc-sha1", False, 1428),  # 1500 - 20 - 8 - 8 - 12 = 1452, in eights: 1448
    ],
)
def test_esp_pads_to_its_block(cipher: str, nat_t: bool, mtu: int) -> None:
    assert derive(Path(ipsec=cipher, nat_t=nat_t)).mtu_octets == mtu


def test_the_mss_is_the_mtu_less_ip_and_tcp() -> None:
    derivation = derive(Path())
    assert (derivation.mss_ipv4_octets, derivation.mss_ipv6_octets) == (1422, 1402)


PATHS = st.builds(
    Path,
    link_mtu_octets=st.integers(1280, 9216),
    outer_ipv6=st.booleans(),
    gtp=st.none() | st.sampled_from(sorted(GTP_OCTETS)),
    gtp_ipv6=st.booleans(),
    ipsec=st.none() | st.sampled_from(sorted(CIPHERS)),
    nat_t=st.booleans(),
    length=st.booleans(),
    sequence=st.booleans(),
    offset=st.none() | st.integers(0, 64),
    acfc=st.booleans(),
    pfc=st.booleans(),
    bcp=st.booleans(),
    vlan=st.booleans(),
)


@given(PATHS)
def test_the_layers_and_the_mtu_add_up_to_the_link(path: Path) -> None:
    derivation = derive(path)
    assert sum(layer.octets for layer in derivation.layers) + derivation.mtu_octets == path.link_mtu_octets
    assert all(layer.octets > 0 for layer in derivation.layers)


@given(PATHS, st.integers(576, 1500))
def test_the_smallest_link_that_fits_is_the_smallest(path: Path, mtu: int) -> None:
    link = fitting_link_mtu(path, mtu)
    assert derive(replace(path, link_mtu_octets=link)).mtu_octets >= mtu
    assert derive(replace(path, link_mtu_octets=link - 1)).mtu_octets < mtu
