"""IPCP: IPv4 addresses and name servers (RFC 1332, RFC 1877), once for each side.

What has no row in the option tables is rejected: IP-Addresses (1, deprecated), IP-Compression-Protocol
(2, Van Jacobson) and Mobile-IPv4 (4) among them.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address
from typing import ClassVar, Final

from shared.ppp.commands import WishAddress
from shared.ppp.control import Answer, ControlProtocol
from shared.ppp.frame import Protocol
from shared.ppp.options import Option, OptionRule, OptionTable, decode_options
from shared.ppp.outputs import Output
from shared.ppp.packet import Packet, decode_packet, encode_packet
from shared.ppp.policy import IPv4Service, LinkEnd, LinkPolicy

ADDRESS: Final = 3
PRIMARY_DNS: Final = 129
PRIMARY_NBNS: Final = 130
SECONDARY_DNS: Final = 131
SECONDARY_NBNS: Final = 132

_UNSPECIFIED: Final = bytes(4)
_NO_ADDRESSES_AGREED: Final = 19  # RFC 3145 §3.4


def address_text(value: bytes | None) -> str | None:
    """Return the dotted quad; None for no address or for 0.0.0.0."""
    return str(IPv4Address(value)) if value is not None and any(value) else None


class IPCP(ControlProtocol):
    """What both sides have in common."""

    NUMBER = Protocol.IPCP
    NAME = "IPCP"

    __slots__ = ()

    @property
    def local_address(self) -> str | None:
        """Our address on the link."""
        return address_text(self.ours.get(ADDRESS))

    @property
    def peer_address(self) -> str | None:
        """The peer's address on the link."""
        return address_text(self.theirs.get(ADDRESS))

    def _accept(self, value: bytes) -> bytes:
        return value


def _judge_server(kind: int) -> Callable[[AssigningIPCP, bytes], bytes | None]:
    """Name servers are as configured; the peer hears so, or that there is none."""
    return lambda ipcp, _value: ipcp.servers.get(kind)


class AssigningIPCP(IPCP):
    """The side that knows the addresses: it tells its own, and Naks the peer's into what was assigned."""

    __slots__ = ("_held", "_refused_wish", "_service", "assigned", "servers")

    def __init__(self, policy: LinkPolicy, service: IPv4Service) -> None:
        super().__init__(policy)
        self._service = service
        self.assigned = IPv4Address(service.peer_address).packed
        self._held = b""  # the Configure-Request that waits for `decide`, a whole packet
        self._refused_wish = b""
        wanted = {PRIMARY_DNS: service.dns[:1], SECONDARY_DNS: service.dns[1:2]}
        wanted |= {PRIMARY_NBNS: service.nbns[:1], SECONDARY_NBNS: service.nbns[1:2]}
        self.servers = {kind: IPv4Address(found[0]).packed for kind, found in wanted.items() if found}

    @property
    def peer_address(self) -> str | None:
        """What the peer asked for and got; a peer that never asks has what it was told in our Naks."""
        return super().peer_address or address_text(self.assigned)

    def first_options(self) -> dict[int, bytes]:
        """Return our own address."""
        return {ADDRESS: IPv4Address(self._service.local_address).packed}

    def missing(self, types: set[int]) -> list[Option]:
        """Tell a peer that does not ask for an address which one is its own."""
        return [] if ADDRESS in types else [Option(ADDRESS, self.assigned)]

    def exhausted(self, options: list[Option], naked: list[Option]) -> Answer | None:
        """End with a peer that insists on an address of its own; let the others go on (RFC 1661 §4.6)."""
        for option in options:
            if option.type == ADDRESS and option.value != self.assigned:
                theirs, own = address_text(option.value), address_text(self.assigned)
                reason = f"the peer insists on the address {theirs}, but {own} is assigned to it"
                self.fail(LinkEnd.NEGOTIATION_FAILED, reason, _NO_ADDRESSES_AGREED)
                return None
        return super().exhausted(options, naked)

    # The peer's own choice

    def decide(self, address: str, now: float) -> list[Output]:
        """Assign ``address``, the answer to a `WishAddress`, and answer the request that waited for it."""
        held, self._held = self._held, b""
        if held:
            self.assigned = IPv4Address(address).packed
            packet = decode_packet(memoryview(held))
            wished = dict(decode_options(packet.body))[ADDRESS]
            self._refused_wish = b"" if wished == self.assigned else wished
            self._receive_request(packet, now)
        return self._drain()

    def _receive_request(self, packet: Packet, now: float) -> None:
        self._held = b""
        super()._receive_request(packet, now)
        if self._held:
            self._held = encode_packet(packet.code, packet.identifier, bytes(packet.body))

    def judge(self, options: list[Option]) -> Answer | None:
        """Hold the answer back while the controller thinks about the peer's own choice."""
        wished = dict(options).get(ADDRESS, _UNSPECIFIED)
        if self._service.honour_wish and self._is_new_wish(wished):
            self._out.append(WishAddress(str(IPv4Address(wished))))
            self._held = wished
            return None
        return super().judge(options)

    def _is_new_wish(self, address: bytes) -> bool:
        known = {_UNSPECIFIED, self.assigned, self._refused_wish, self.ours.get(ADDRESS)}
        return len(address) == 4 and address not in known

    def _judge_address(self, _value: bytes) -> bytes:
        return self.assigned

    def _keep_address(self, _suggestion: bytes) -> bytes:
        return self.ours[ADDRESS]

    OPTIONS: ClassVar[OptionTable] = {
        ADDRESS: OptionRule("IP-Address", (4,), _judge_address, _keep_address),
        PRIMARY_DNS: OptionRule("Primary-DNS-Address", (4,), _judge_server(PRIMARY_DNS)),
        PRIMARY_NBNS: OptionRule("Primary-NBNS-Address", (4,), _judge_server(PRIMARY_NBNS)),
        SECONDARY_DNS: OptionRule("Secondary-DNS-Address", (4,), _judge_server(SECONDARY_DNS)),
        SECONDARY_NBNS: OptionRule("Secondary-NBNS-Address", (4,), _judge_server(SECONDARY_NBNS)),
    }


class AskingIPCP(IPCP):
    """The side that asks: for ``wish`` or any address, and for name servers; it takes what it is given."""

    __slots__ = ("_wish",)

    def __init__(self, policy: LinkPolicy, wish: str = "0.0.0.0") -> None:
        super().__init__(policy)
        self._wish = IPv4Address(wish).packed

    @property
    def dns(self) -> tuple[str, ...]:
        """The name servers that we were told."""
        found = (address_text(self.ours.get(kind)) for kind in (PRIMARY_DNS, SECONDARY_DNS))
        return tuple(server for server in found if server is not None)

    def first_options(self) -> dict[int, bytes]:
        """Return our wish, and zeros that stand for "tell me"."""
        return {ADDRESS: self._wish, PRIMARY_DNS: _UNSPECIFIED, SECONDARY_DNS: _UNSPECIFIED}

    def agreed(self) -> None:
        """See whether we have an address at all."""
        if not any(self.ours.get(ADDRESS, b"")):
            self._no_address()

    def _no_address(self) -> None:
        self.fail(LinkEnd.NO_ADDRESS, "the peer gives us no address", _NO_ADDRESSES_AGREED)

    def _judge_address(self, value: bytes) -> bytes | None:
        """Accept the peer's own address; we have none to give to one that asks."""
        return value if any(value) else None

    def _adopt(self, suggestion: bytes) -> bytes | None:
        return suggestion if len(suggestion) == 4 else None

    OPTIONS: ClassVar[OptionTable] = {
        ADDRESS: OptionRule("IP-Address", (4,), _judge_address, _adopt, _no_address),
        PRIMARY_DNS: OptionRule("Primary-DNS-Address", (4,), revise=_adopt),
        SECONDARY_DNS: OptionRule("Secondary-DNS-Address", (4,), revise=_adopt),
    }
