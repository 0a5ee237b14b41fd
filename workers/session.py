"""One session as the datapath sees it: where its packets go, what may come from it, what it has carried."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import TypeAlias

from shared.addresses import Address
from shared.ipc.messages import SessionAssigned
from shared.l2tp.header import encode_data_header
from shared.l2tp.sequencing import DataSequence

Key: TypeAlias = tuple[int, int]  # local tunnel ID, local session ID


@dataclass(frozen=True, slots=True)
class Prefix:
    """An IP prefix as numbers: quick to match, and the same for a compiled twin."""

    version: int
    network: int
    length: int
    mask: int

    @classmethod
    def parse(cls, text: str) -> Prefix:
        """Read ``192.0.2.0/24`` or ``2001:db8::/32``; host bits are cleared. Raises `ValueError`."""
        network = ip_network(text, strict=False)
        return cls(network.version, int(network.network_address), network.prefixlen, int(network.netmask))

    def covers(self, address: bytes) -> bool:
        """Whether ``address``, in network order and of this prefix's version, lies within."""
        return int.from_bytes(address, "big") & self.mask == self.network


@dataclass(slots=True, eq=False)
class Network:
    """What IPCP or IPV6CP has settled for one version of IP."""

    own_address: bytes | None  # the subscriber's; None where `routes` alone say what is its own
    routes: tuple[Prefix, ...]
    mtu_octets: int  # the largest packet to the subscriber
    clamp_octets: int  # MTU that TCP MSS are clamped to; 0: leave them alone
    ppp_header: bytes

    def owns(self, address: bytes) -> bool:
        """Whether the subscriber may use ``address`` as its source."""
        return address == self.own_address or any(route.covers(address) for route in self.routes)


@dataclass(slots=True, eq=False)
class Session:
    """Made from `SessionAssigned`; only the datapath changes it afterwards."""

    tunnel_id: int
    session_id: int
    peer_tunnel_id: int
    peer_session_id: int
    listen: int  # index of the UDP socket
    peer: Address
    local_address: str | None  # to send from, where the socket is bound to all addresses
    sequence: DataSequence
    ipv4: Network | None = None
    ipv6: Network | None = None
    active_at: float = 0.0  # when the last packet was forwarded, either way
    rx_packets: int = 0
    rx_octets: int = 0
    tx_packets: int = 0
    tx_octets: int = 0
    header: bytes = field(init=False)  # of a data message without sequence numbers

    def __post_init__(self) -> None:
        self.header = encode_data_header(self.peer_tunnel_id, self.peer_session_id)

    @classmethod
    def assigned(cls, message: SessionAssigned) -> Session:
        """Return the session that ``message`` asks for, with nothing open yet.

        Raises `ValueError` where the peer's address is none.
        """
        return cls(
            message.tunnel_id,
            message.session_id,
            message.peer_tunnel_id,
            message.peer_session_id,
            message.listen,
            checked_address(message.peer),
            message.local_address,
            DataSequence(sending=message.sequencing),
        )

    @property
    def key(self) -> Key:
        """The IDs by which the peer addresses this session."""
        return self.tunnel_id, self.session_id

    def next_header(self, *, priority: bool = False) -> bytes:
        """Return the L2TP header of the next data message: no optional field unless there is need."""
        ns = self.sequence.next_ns()
        if ns is None and not priority:
            return self.header
        return encode_data_header(self.peer_tunnel_id, self.peer_session_id, ns=ns, priority=priority)


def checked_address(address: Address) -> Address:
    """Return ``address`` if it is an IP address and a port, else `ValueError`: a name would be looked up."""
    ip_address(address[0])
    if not 0 < address[1] <= 0xFFFF:
        raise ValueError(f"port {address[1]}")
    return address
