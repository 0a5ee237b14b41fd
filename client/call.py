"""One call of a client: what it presents, its numbers, and the PPP link in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from client.failure import Failure
from shared.l2tp.header import encode_data_header
from shared.l2tp.sequencing import DataSequence
from shared.ppp.link import Link
from shared.ppp.policy import Authorization, IPv4Service, LinkPolicy
from shared.ppp.terms import Credentials, Side

if TYPE_CHECKING:
    from client.tunnel import ClientTunnel


@dataclass(slots=True, eq=False)
class Call:
    """One session. ``number`` is the owner's; ``peer_session_id`` is 0 until the LNS has answered."""

    tunnel: ClientTunnel
    number: int
    session_id: int
    credentials: Credentials
    peer_session_id: int = 0
    link: Link | None = None
    sequence: DataSequence = field(default_factory=lambda: DataSequence(follow=True))
    closing: bool = False
    failure: Failure | None = None  # the first reason, which later ones only follow

    def connect(
        self, peer_session_id: int, policy: LinkPolicy, *, random: Callable[[int], bytes], ipv6: bool
    ) -> Link:
        """Return the link, now that the call is connected; it is still to be opened."""
        self.peer_session_id = peer_session_id
        self.link = Link(
            policy,
            Side.PEER,
            random=random,
            credentials=self.credentials,
            authorization=_wants(self.credentials.username, ipv6=ipv6),
            local_interface_id=int.from_bytes(random(8), "big") or 1,
        )
        return self.link

    def data_message(self, frame: bytes, *, priority: bool = False) -> bytes:
        """Return ``frame`` with its L2TP header, numbered where the LNS numbers (RFC 2661 §5.4)."""
        tunnel_id = self.tunnel.connection.peer_tunnel_id
        ns = self.sequence.next_ns()
        return encode_data_header(tunnel_id, self.peer_session_id, ns=ns, priority=priority) + frame


def _wants(username: str, *, ipv6: bool) -> Authorization:
    """Return what to ask the LNS for: whatever IPv4 address it gives, and IPv6 if wanted."""
    return Authorization(username, ipv4=IPv4Service("0.0.0.0", "0.0.0.0"), ipv6=ipv6)
