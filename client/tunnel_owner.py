"""What a `client.tunnel.ClientTunnel` needs of the program around it, and tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from client.failure import Failure
from shared.addresses import Address

if TYPE_CHECKING:
    from client.call import Call
    from client.tunnel import ClientTunnel


class Owner(Protocol):
    """The program. Its methods may ask the tunnel for more at once."""

    def transmit(self, tunnel: ClientTunnel, datagram: bytes, to: Address, /) -> None:
        """Send a datagram."""

    def packet(self, call: Call, protocol: int, packet: memoryview, /) -> None:
        """Take an IP packet from the LNS, borrowed; ``protocol`` is that of the PPP frame."""

    def tunnel_up(self, tunnel: ClientTunnel, /) -> None:
        """Note that the control connection is established: calls can be placed."""

    def tunnel_down(self, tunnel: ClientTunnel, failure: Failure, /) -> None:
        """Note that the control connection has ended; its calls have been reported already."""

    def closed_by_lns(self, tunnel: ClientTunnel, /) -> None:
        """Note the LNS's StopCCN: its repetitions are still acknowledged (RFC 2661 §5.7), nothing else."""

    def released(self, tunnel: ClientTunnel, /) -> None:
        """Forget the tunnel: nothing of it is to be sent or received any more."""

    def call_connected(self, call: Call, /) -> None:
        """Note that ICCN was sent; PPP begins."""

    def network_up(self, call: Call, protocol: int, /) -> None:
        """Note that the network control protocol of this number is open."""

    def network_down(self, call: Call, protocol: int, /) -> None:
        """Note that it has left that state."""

    def call_down(self, call: Call, failure: Failure, /) -> None:
        """Note that the call has ended, or never came up."""

    def note(self, tunnel: ClientTunnel, text: str, /) -> None:
        """Take something worth a line in a log."""
