"""One PPP link, from LCP to the network protocols and down again. No I/O.

The owner gives frames, decisions and time, and performs the commands that come back, in order. Nothing that
a peer can send makes `Link.receive` raise.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from shared.errors import ProtocolError
from shared.ppp.authenticator import Authenticator
from shared.ppp.causes import link_down
from shared.ppp.commands import (
    Authenticate,
    Identified,
    LinkCommand,
    LinkDown,
    NetworkDown,
    NetworkUp,
    SendFrame,
    WishAddress,
)
from shared.ppp.frame import Protocol, split_frame
from shared.ppp.ipcp import IPCP, AskingIPCP, AssigningIPCP
from shared.ppp.ipv6cp import IPV6CP
from shared.ppp.phases import Phase, Phases
from shared.ppp.policy import Authorization, LinkEnd, LinkPolicy
from shared.ppp.terms import Credentials, Side, Terms

__all__ = [
    "Authenticate",
    "Credentials",
    "Identified",
    "Link",
    "LinkCommand",
    "LinkDown",
    "NetworkDown",
    "NetworkUp",
    "Phase",
    "SendFrame",
    "Side",
    "WishAddress",
]


class Link(Phases):
    """One link as its owner sees it."""

    __slots__ = ()

    def __init__(
        self,
        policy: LinkPolicy,
        side: Side,
        *,
        random: Callable[[int], bytes],
        credentials: Credentials | None = None,
        authorization: Authorization | None = None,
        local_interface_id: int = 1,
        claim_interface_id: Callable[[int], bool] = lambda _interface_id: True,
    ) -> None:
        """Make a link.

        ``authorization`` is what a decision without one of its own grants, and what a PEER asks for.
        ``claim_interface_id`` says whether the peer has an interface identifier from now on.
        """
        super().__init__(
            Terms(policy, side, random, credentials, authorization, local_interface_id, claim_interface_id)
        )

    # What was agreed

    @property
    def authorization(self) -> Authorization | None:
        """What was granted."""
        return self._terms.authorization

    @property
    def authentication(self) -> str | None:
        """The protocol that LCP has settled: "pap", "chap" or "mschapv2"; None where there is none."""
        if not self._lcp.opened:
            return None
        return self._lcp.method_demanded if self._terms.assigns else self._lcp.method_promised

    @property
    def ipv4(self) -> str | None:
        """The peer's IPv4 address, once IPCP is Opened."""
        ipcp = self._ncps.get(Protocol.IPCP)
        return ipcp.peer_address if isinstance(ipcp, IPCP) and ipcp.opened else None

    @property
    def remote_ipv4(self) -> str | None:
        """The same, by the name that suits a PEER."""
        return self.ipv4

    @property
    def local_ipv4(self) -> str | None:
        """Our own IPv4 address, once IPCP is Opened."""
        ipcp = self._ncps.get(Protocol.IPCP)
        return ipcp.local_address if isinstance(ipcp, IPCP) and ipcp.opened else None

    @property
    def dns(self) -> tuple[str, ...]:
        """The name servers that a PEER was told."""
        ipcp = self._ncps.get(Protocol.IPCP)
        return ipcp.dns if isinstance(ipcp, AskingIPCP) and ipcp.opened else ()

    @property
    def interface_id(self) -> int | None:
        """The peer's interface identifier, once IPV6CP is Opened."""
        ipv6cp = self._ncps.get(Protocol.IPV6CP)
        return ipv6cp.peer_id if isinstance(ipv6cp, IPV6CP) and ipv6cp.opened else None

    @property
    def local_interface_id(self) -> int:
        """Our own interface identifier."""
        ipv6cp = self._ncps.get(Protocol.IPV6CP)
        return ipv6cp.local_id if isinstance(ipv6cp, IPV6CP) else self._terms.local_interface_id

    @property
    def peer_mru(self) -> int:
        """The largest PPP payload that the peer takes, in octets."""
        return self._lcp.peer_mru

    # Events

    def open(self, now: float) -> list[LinkCommand]:
        """Begin, once. The layer below is up."""
        self.phase = Phase.ESTABLISH
        self._deadline = now + self._terms.policy.establish_timeout_s
        self._after_lcp(self._lcp.start(now), now)
        return self._drain()

    def receive(self, frame: bytes | memoryview, now: float) -> list[LinkCommand]:
        """Take one PPP frame."""
        parts = split_frame(memoryview(frame)) if self.phase is not Phase.DEAD else None
        if parts is not None:
            with suppress(ProtocolError):  # "silently discarded", as the RFCs say
                self._receive(*parts, now)
        return self._drain()

    def decide(
        self,
        accepted: bool,
        message: str,
        reason: str,
        authorization: Authorization | None,
        now: float,
        request_id: int | None = None,
    ) -> list[LinkCommand]:
        """Answer an `Authenticate`. A ``request_id`` that is not the one being asked changes nothing."""
        demanding = self._authentication
        if isinstance(demanding, Authenticator) and demanding.pending(request_id):
            if accepted and authorization is not None and self.phase is Phase.AUTHENTICATE:
                self._terms.authorization = authorization
            self._after_authentication(demanding.decide(accepted, message, now), now, reason)
        return self._drain()

    def decide_address(self, address: str, now: float) -> list[LinkCommand]:
        """Answer a `WishAddress`: the peer gets ``address``."""
        ipcp = self._ncps.get(Protocol.IPCP)
        if isinstance(ipcp, AssigningIPCP):
            self._after_ncp(ipcp, ipcp.decide(address, now), now)
        return self._drain()

    def close(self, end: LinkEnd, reason: str, now: float) -> list[LinkCommand]:
        """End in good order: Terminate-Request, and `LinkDown` once it is answered or given up on."""
        self._close(link_down(end, reason), now)
        return self._drain()

    def next_timeout(self) -> float | None:
        """When `handle_timer` is due; None where nothing is awaited."""
        if self.phase is Phase.DEAD:
            return None
        times = [self._deadline, self._lcp.next_timeout()]
        times += [ncp.next_timeout() for ncp in self._ncps.values()]
        if self._authentication is not None:
            times.append(self._authentication.deadline)
        return min((time for time in times if time is not None), default=None)

    def handle_timer(self, now: float) -> list[LinkCommand]:
        """Do everything that is due at ``now``."""
        if self.phase is not Phase.DEAD:
            self._after_lcp(self._lcp.handle_timer(now), now)
            if self._authentication is not None:
                self._after_authentication(self._authentication.handle_timer(now), now)
            for ncp in tuple(self._ncps.values()):
                self._after_ncp(ncp, ncp.handle_timer(now), now)
            if self._deadline is not None and now >= self._deadline:
                self._phase_timed_out(now)
        return self._drain()
