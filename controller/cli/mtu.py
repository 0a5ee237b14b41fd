"""``culvert mtu``: which packet fits, and what takes the rest."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated, Final

import typer

from controller.cli import tables
from controller.cli.options import AsJSON
from shared.mtu import CIPHERS, GTP_OCTETS, Derivation, Path, derive, fitting_link_mtu

_USUAL_LAN_OCTETS: Final = 1500
_LEAST_OCTETS: Final = 68  # RFC 791 §3.2: every link takes a packet of this size

_COLUMNS: Final = (
    tables.Column("layer", "name"),
    tables.Column("octets", "octets", justify="right"),
    tables.Column("left", "left", justify="right"),
    tables.Column("source", "source"),
)

Link = Annotated[
    int, typer.Option("--link-mtu", metavar="OCTETS", min=68, max=65535, help="MTU of the path outside.")
]
IPv6 = Annotated[bool, typer.Option("--ipv6", help="The outer packets are IPv6.")]
GTP = Annotated[
    str | None,
    typer.Option(
        "--gtp", metavar="KIND", help=f"The client is on a mobile network: {', '.join(GTP_OCTETS)}."
    ),
]
GTPv6 = Annotated[bool, typer.Option("--gtp-ipv6", help="The mobile network's own transport is IPv6.")]
IPsec = Annotated[
    str | None,
    typer.Option("--ipsec", metavar="CIPHER", help=f"ESP in transport mode: {', '.join(CIPHERS)}."),
]
NatT = Annotated[bool, typer.Option("--nat-t", help="ESP in UDP, as behind a NAT.")]
Length = Annotated[bool, typer.Option("--length", help="The L2TP Length field is sent.")]
Sequence = Annotated[bool, typer.Option("--sequence", help="L2TP sequence numbers are sent.")]
Offset = Annotated[
    int | None,
    typer.Option(
        "--offset", metavar="OCTETS", min=0, max=65535, help="L2TP Offset Size is sent, and padding."
    ),
]
ACFC = Annotated[bool, typer.Option("--acfc", help="PPP address and control are left out.")]
PFC = Annotated[bool, typer.Option("--pfc", help="The PPP protocol takes one octet.")]
BCP = Annotated[bool, typer.Option("--bcp", help="Bridged Ethernet, without multilink.")]
VLAN = Annotated[bool, typer.Option("--vlan", help="Bridged frames carry a VLAN tag.")]


def mtu(
    link_mtu: Link = 1500,
    ipv6: IPv6 = False,
    gtp: GTP = None,
    gtp_ipv6: GTPv6 = False,
    ipsec: IPsec = None,
    nat_t: NatT = False,
    length: Length = False,
    sequence: Sequence = False,
    offset: Offset = None,
    acfc: ACFC = False,
    pfc: PFC = False,
    bcp: BCP = False,
    vlan: VLAN = False,
    as_json: AsJSON = False,
) -> None:
    """Derive which MTU fits into a tunnel.

    Header by header, with the TCP MSS that goes with it. Nothing is measured.
    """
    _known("--gtp", gtp, GTP_OCTETS)
    _known("--ipsec", ipsec, CIPHERS)
    _needs("--gtp-ipv6", gtp_ipv6, "--gtp", gtp is not None)
    _needs("--nat-t", nat_t, "--ipsec", ipsec is not None)
    _needs("--vlan", vlan, "--bcp", bcp)
    path = Path(
        link_mtu_octets=link_mtu,
        outer_ipv6=ipv6,
        gtp=gtp,
        gtp_ipv6=gtp_ipv6,
        ipsec=ipsec,
        nat_t=nat_t,
        length=length,
        sequence=sequence,
        offset=offset,
        acfc=acfc,
        pfc=pfc,
        bcp=bcp,
        vlan=vlan,
    )
    derivation = derive(path)
    if derivation.mtu_octets < _LEAST_OCTETS:
        raise typer.BadParameter(
            f"a link of {link_mtu} octets leaves no room for IP inside all these headers"
        )
    if as_json:
        typer.echo(json.dumps(_document(path, derivation), indent=2, ensure_ascii=False))
    else:
        _print(path, derivation)


def _document(path: Path, derivation: Derivation) -> dict[str, object]:
    return {
        **asdict(derivation),
        "mtu_octets": derivation.mtu_octets,
        "mss_ipv4_octets": derivation.mss_ipv4_octets,
        "mss_ipv6_octets": derivation.mss_ipv6_octets,
        "link_mtu_for_1500_octets": fitting_link_mtu(path, _USUAL_LAN_OCTETS),
    }


def _print(path: Path, derivation: Derivation) -> None:
    link = {"name": "link", "octets": "", "left": derivation.link_mtu_octets, "source": ""}
    tables.show(_COLUMNS, [link, *map(asdict, derivation.layers)])
    what = "of the bridged LAN" if path.bcp else "of the subscriber"
    ipv4, ipv6 = derivation.mss_ipv4_octets, derivation.mss_ipv6_octets
    typer.echo(f"\nMTU {what}: {derivation.mtu_octets}; TCP MSS: {ipv4} over IPv4, {ipv6} over IPv6")
    needed = fitting_link_mtu(path, _USUAL_LAN_OCTETS)
    typer.echo(f"For {_USUAL_LAN_OCTETS} octets inside, the path outside has to carry {needed}.")
    if path.bcp and derivation.mtu_octets < _USUAL_LAN_OCTETS:
        typer.echo("Ethernet can't be fragmented: what is larger is dropped, so TCP MSS has to be clamped.")


def _known(option: str, value: str | None, known: Iterable[str]) -> None:
    if value is not None and value not in known:
        raise typer.BadParameter(f"{option}: {value!r} is none of {', '.join(known)}")


def _needs(option: str, given: bool, other: str, there: bool) -> None:
    if given and not there:
        raise typer.BadParameter(f"{option} means nothing without {other}")
