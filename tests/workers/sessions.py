"""Sessions for the datapath's tests, as PPP leaves them."""

from __future__ import annotations

from ipaddress import ip_address

from shared.addresses import Address
from shared.l2tp.sequencing import DataSequence
from workers.datapath import Datapath
from workers.session import Network, Prefix, Session

PEER: Address = ("198.51.100.7", 1701)
FULL_PPP4 = bytes.fromhex("ff030021")
FULL_PPP6 = bytes.fromhex("ff030057")


def ipv4(
    address: str | None, *routes: str, mtu: int = 1462, clamp: int = 0, ppp: bytes = FULL_PPP4
) -> Network:
    own = ip_address(address).packed if address else None
    return Network(own, tuple(Prefix.parse(route) for route in routes), mtu, clamp, ppp)


def ipv6(
    address: str | None, *routes: str, mtu: int = 1462, clamp: int = 0, ppp: bytes = FULL_PPP6
) -> Network:
    own = ip_address(address).packed if address else None
    return Network(own, tuple(Prefix.parse(route) for route in routes), mtu, clamp, ppp)


def session(
    tunnel_id: int = 1,
    session_id: int = 2,
    *,
    peer: Address = PEER,
    sequencing: bool = False,
    peer_tunnel_id: int = 0x1111,
    peer_session_id: int = 0x2222,
) -> Session:
    return Session(
        tunnel_id,
        session_id,
        peer_tunnel_id,
        peer_session_id,
        0,
        peer,
        None,
        DataSequence(sending=sequencing),
    )


def datapath(*sessions: Session) -> Datapath:
    made = Datapath()
    for item in sessions:
        made.add(item)
    return made


def writable(octets: bytes) -> memoryview:
    return memoryview(bytearray(octets))
