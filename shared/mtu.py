"""How large a packet fits into a tunnel: what each layer takes, from the link inwards.

A `Layer` takes octets from what the layer outside it carries. The list of them is the derivation that
``culvert mtu`` prints; nothing here is measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

IPV4_OCTETS: Final = 20  # RFC 791 §3.1, no options
IPV6_OCTETS: Final = 40  # RFC 8200 §3, no extension headers
UDP_OCTETS: Final = 8  # RFC 768
TCP_OCTETS: Final = 20  # RFC 9293 §3.1, no options: the MSS does not count them (RFC 6691)
L2TP_OCTETS: Final = 6  # RFC 2661 §3.1: flags and version, tunnel ID, session ID
ETHERNET_OCTETS: Final = 14  # destination, source, type
VLAN_TAG_OCTETS: Final = 4  # IEEE 802.1Q
SEQUENCE_OCTETS: Final = 4  # RFC 2661 §3.1: Ns, Nr
BCP_OCTETS: Final = 2  # RFC 3518 §4.2: flags and pads, MAC type


@dataclass(frozen=True, slots=True)
class Cipher:
    """What ESP needs for one algorithm pair, in octets; ``block`` is what the ciphertext is a multiple of."""

    iv: int
    block: int
    icv: int
    source: str


CIPHERS: Final[dict[str, Cipher]] = {
    "aes-cbc-sha1": Cipher(16, 16, 12, "RFC 3602, RFC 2404"),
    "aes-cbc-sha256": Cipher(16, 16, 16, "RFC 3602, RFC 4868"),
    "aes-cbc-sha384": Cipher(16, 16, 24, "RFC 3602, RFC 4868"),
    "aes-cbc-sha512": Cipher(16, 16, 32, "RFC 3602, RFC 4868"),
    "aes-gcm": Cipher(8, 4, 16, "RFC 4106"),
    "aes-gcm-12": Cipher(8, 4, 12, "RFC 4106"),
    "aes-gcm-8": Cipher(8, 4, 8, "RFC 4106"),
    "chacha20-poly1305": Cipher(8, 4, 16, "RFC 7634"),
    "3des-cbc-sha1": Cipher(8, 8, 12, "RFC 2451, RFC 2404"),
}
_ESP_HEADER_OCTETS: Final = 8  # RFC 4303 §2: SPI, sequence number
_ESP_TRAILER_OCTETS: Final = 2  # pad length, next header

# GTPv1-U, 3GPP TS 29.281 §5.1. In 5G four octets of optional fields follow, since any extension header needs
# them, and the four of the PDU Session Container (TS 38.415).
GTP_OCTETS: Final[dict[str, int]] = {"lte": 8, "5g": 16}


@dataclass(frozen=True, slots=True)
class Path:
    """What lies between the link and the subscriber's packet."""

    link_mtu_octets: int = 1500
    outer_ipv6: bool = False
    gtp: str | None = None  # a key of `GTP_OCTETS`: the peer's own uplink is a mobile network
    gtp_ipv6: bool = False  # the mobile network's transport is IPv6
    ipsec: str | None = None  # a key of `CIPHERS`: L2TP in ESP transport mode (RFC 3193)
    nat_t: bool = False  # ESP in UDP (RFC 3948)
    length: bool = False  # the L2TP Length field
    sequence: bool = False  # Ns and Nr
    offset: int | None = None  # the Offset Size field, and so many octets of padding
    acfc: bool = False  # RFC 1661 §6.6
    pfc: bool = False  # RFC 1661 §6.5
    bcp: bool = False  # bridged Ethernet; no multilink (RFC 1990), so one frame in one PPP frame
    vlan: bool = False  # the bridged frames carry an 802.1Q tag


@dataclass(frozen=True, slots=True)
class Layer:
    """``octets`` that one layer takes, leaving ``left`` for what is inside it."""

    name: str
    octets: int
    left: int
    source: str


@dataclass(frozen=True, slots=True)
class Derivation:
    """The layers from the link inwards and what is left: the MTU of the subscriber's IP."""

    link_mtu_octets: int
    layers: tuple[Layer, ...]

    @property
    def mtu_octets(self) -> int:
        """The largest IP packet, header included; under zero where the layers alone do not fit."""
        return self.layers[-1].left

    @property
    def mss_ipv4_octets(self) -> int:
        """The TCP MSS over IPv4."""
        return self.mtu_octets - IPV4_OCTETS - TCP_OCTETS

    @property
    def mss_ipv6_octets(self) -> int:
        """The TCP MSS over IPv6."""
        return self.mtu_octets - IPV6_OCTETS - TCP_OCTETS


def derive(path: Path) -> Derivation:
    """Return how the MTU inside ``path`` comes about."""
    layers: list[Layer] = []
    left = path.link_mtu_octets
    for name, octets, source in _fixed_outside(path):
        left -= octets
        layers.append(Layer(name, octets, left, source))
    if path.ipsec is not None:
        layers.append(_padding(CIPHERS[path.ipsec], left))
        left = layers[-1].left
    for name, octets, source in _fixed_inside(path):
        left -= octets
        layers.append(Layer(name, octets, left, source))
    return Derivation(path.link_mtu_octets, tuple(layers))


def fitting_link_mtu(path: Path, mtu_octets: int) -> int:
    """Return the smallest link MTU at which a packet of ``mtu_octets`` fits unfragmented."""
    link = 2 * mtu_octets - derive(replace(path, link_mtu_octets=mtu_octets)).mtu_octets
    while derive(replace(path, link_mtu_octets=link - 1)).mtu_octets >= mtu_octets:
        link -= 1  # ESP's padding depends on the size
    while derive(replace(path, link_mtu_octets=link)).mtu_octets < mtu_octets:
        link += 1
    return link


def _fixed_outside(path: Path) -> Iterator[tuple[str, int, str]]:
    """Yield name, octets and source of what surrounds UDP and L2TP, or ESP's padded part."""
    if path.gtp is not None:
        yield _ip("transport ", ipv6=path.gtp_ipv6)
        yield "transport UDP", UDP_OCTETS, "RFC 768"
        yield f"GTP-U ({path.gtp})", GTP_OCTETS[path.gtp], "3GPP TS 29.281 §5"
    yield _ip("outer ", ipv6=path.outer_ipv6)
    if path.ipsec is None:
        return
    cipher = CIPHERS[path.ipsec]
    if path.nat_t:
        yield "NAT-T UDP", UDP_OCTETS, "RFC 3948 §2.1"
    yield "ESP SPI, sequence", _ESP_HEADER_OCTETS, "RFC 4303 §2"
    yield f"ESP IV ({path.ipsec})", cipher.iv, cipher.source
    yield f"ESP ICV ({path.ipsec})", cipher.icv, cipher.source


def _padding(cipher: Cipher, room: int) -> Layer:
    """Return ESP's trailer: the ciphertext is a multiple of the block, the rest of ``room`` stays unused."""
    ciphertext = room // cipher.block * cipher.block
    left = ciphertext - _ESP_TRAILER_OCTETS
    unused = room - ciphertext
    note = f"; {unused} unusable, the block is {cipher.block}" if unused else ""
    return Layer("ESP trailer", room - left, left, f"RFC 4303 §2.4{note}")


def _fixed_inside(path: Path) -> Iterator[tuple[str, int, str]]:
    """Yield name, octets and source from UDP inwards to the subscriber's IP packet."""
    yield "UDP", UDP_OCTETS, "RFC 768"
    yield "L2TP", L2TP_OCTETS, "RFC 2661 §3.1"
    if path.length:
        yield "L2TP Length", 2, "RFC 2661 §3.1"
    if path.sequence:
        yield "L2TP Ns, Nr", SEQUENCE_OCTETS, "RFC 2661 §3.1"
    if path.offset is not None:
        yield "L2TP Offset Size, pad", 2 + path.offset, "RFC 2661 §3.1"
    if not path.acfc:
        yield "PPP address, control", 2, "RFC 1662 §3.1"
    # Compressible: the numbers of IPv4 (0x0021), IPv6 (0x0057) and Bridging (0x0031) all begin with zero.
    yield "PPP protocol", 1 if path.pfc else 2, "RFC 1661 §2"
    if path.bcp:
        yield "BCP", BCP_OCTETS, "RFC 3518 §4.2"
        yield "Ethernet", ETHERNET_OCTETS, "IEEE 802.3"
    if path.bcp and path.vlan:
        yield "VLAN tag", VLAN_TAG_OCTETS, "IEEE 802.1Q"


def _ip(where: str, *, ipv6: bool) -> tuple[str, int, str]:
    if ipv6:
        return f"{where}IPv6", IPV6_OCTETS, "RFC 8200 §3"
    return f"{where}IPv4", IPV4_OCTETS, "RFC 791 §3.1"
