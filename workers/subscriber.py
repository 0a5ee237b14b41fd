"""One session: drives its PPP link, and turns what the link says into forwarding and into messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from ipaddress import IPv4Address
from typing import Any, Final

from shared.ipc import messages as ipc
from shared.ppp import commands as ppp
from shared.ppp.frame import Protocol, make_frame
from shared.ppp.link import Link, Side
from shared.ppp.policy import LinkEnd
from workers.datapath import Datagram, Datapath
from workers.session import Network, Prefix, Session

LINK_LOCAL: Final = bytes.fromhex("fe80000000000000")


class Subscriber:
    """One PPP session of this worker. ``transmit`` and ``report`` are called in the order of events.

    After `LinkDown` has been reported ``ended`` is true and nothing may be called any more.
    """

    def __init__(
        self,
        assigned: ipc.SessionAssigned,
        datapath: Datapath,
        *,
        transmit: Callable[[Datagram], None],
        report: Callable[[ipc.FromWorker], object],
        random: Callable[[int], bytes],
        claim_interface_id: Callable[[int], bool],
    ) -> None:
        self.assigned = assigned
        self.session = Session.assigned(assigned)
        self.ended = False
        self.link = Link(
            assigned.policy,
            Side.AUTHENTICATOR,
            random=random,
            authorization=assigned.authorization,
            claim_interface_id=claim_interface_id,
        )
        self._datapath = datapath
        self._transmit = transmit
        self._report = report
        self._asked: ipc.AuthRequest | None = None  # and not answered yet
        self._wished: ipc.AddressWish | None = None
        self._up_at: float | None = None
        datapath.add(self.session)

    # --------------------------------------------------------------------------------- events

    def open(self, now: float) -> None:
        """Begin with LCP."""
        self._perform(self.link.open(now), now)

    def receive(self, frame: bytes, now: float) -> None:
        """Take a PPP frame from the peer that is not a packet to forward."""
        self._perform(self.link.receive(frame, now), now)

    def decide(self, decision: ipc.AuthDecision, now: float) -> None:
        """Take the answer to an `AuthRequest`; one to an earlier request is out of date and ignored."""
        if self._asked is None or self._asked.request_id != decision.request_id:
            return
        self._asked = None
        commands = self.link.decide(
            decision.accepted,
            decision.message,
            decision.reason,
            decision.authorization,
            now,
            decision.request_id,
        )
        self._perform(commands, now)

    def decide_address(self, decision: ipc.AddressDecision, now: float) -> None:
        """Take the answer to an `AddressWish`."""
        if self._wished is not None:
            self._wished = None
            self._perform(self.link.decide_address(decision.address, now), now)

    def close(self, end: LinkEnd, reason: str, now: float) -> None:
        """Terminate the link in order; `LinkDown` follows."""
        self._perform(self.link.close(end, reason, now), now)

    def abandon(self) -> None:
        """Forget the session without a word to anybody."""
        self.ended = True
        self._datapath.remove(self.session)

    def announce(self) -> None:
        """Say again what a controller that has just started must know."""
        for question in (self._asked, self._wished):
            if question is not None:
                self._report(question)
        if self.up:
            self._report_up()

    @property
    def up(self) -> bool:
        """Whether packets are forwarded."""
        return self.session.ipv4 is not None or self.session.ipv6 is not None

    # --------------------------------------------------------------------------------- timers

    def next_timeout(self) -> float | None:
        """When `handle_timer` is due."""
        deadlines = (self.link.next_timeout(), self._session_deadline(), self._idle_deadline())
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """Do what is due at ``now``."""
        due = self.link.next_timeout()
        if due is not None and due <= now:
            self._perform(self.link.handle_timer(now), now)
        self._limit(self._session_deadline(), LinkEnd.SESSION_TIMEOUT, "session timeout", now)
        self._limit(self._idle_deadline(), LinkEnd.IDLE_TIMEOUT, "idle timeout", now)

    def _limit(self, deadline: float | None, end: LinkEnd, reason: str, now: float) -> None:
        if deadline is not None and deadline <= now and not self.ended:
            self._up_at = None  # these limits have done their work
            self.close(end, reason, now)

    def _session_deadline(self) -> float | None:
        grant = self.link.authorization
        if self._up_at is None or grant is None or not grant.session_timeout_s:
            return None
        return self._up_at + grant.session_timeout_s

    def _idle_deadline(self) -> float | None:
        grant = self.link.authorization
        if self._up_at is None or grant is None or not grant.idle_timeout_s:
            return None
        return max(self._up_at, self.session.active_at) + grant.idle_timeout_s

    # ------------------------------------------------------------------- what the link commands

    def _perform(self, commands: list[ppp.LinkCommand], now: float) -> None:
        for command in commands:
            if self.ended:
                return
            self._perform_one(command, now)

    def _perform_one(self, command: ppp.LinkCommand, now: float) -> None:
        match command:
            case ppp.SendFrame(frame, priority):
                self._transmit(self._datapath.frame(self.session, frame, priority=priority))
            case ppp.Authenticate():
                self._asked = ipc.AuthRequest(*self.session.key, *_values(command))
                self._report(self._asked)
            case ppp.WishAddress(address):
                self._wished = ipc.AddressWish(*self.session.key, address)
                self._report(self._wished)
            case ppp.NetworkUp(protocol):
                self._network_up(protocol, now)
            case ppp.NetworkDown(protocol):
                self._network_down(protocol)
            case ppp.Identified(text):
                self._report(ipc.Identified(*self.session.key, text))
            case ppp.LinkDown():
                self.abandon()
                self._report(ipc.LinkDown(*self.session.key, *_values(command)))

    def _network_up(self, protocol: int, now: float) -> None:
        if self._up_at is None:
            self._up_at = now
        if protocol == Protocol.IPCP:
            self._datapath.open_ipv4(self.session, self._ipv4())
        elif protocol == Protocol.IPV6CP:
            self._datapath.open_ipv6(self.session, self._ipv6())
        self._report_up()

    def _network_down(self, protocol: int) -> None:
        if protocol == Protocol.IPCP:
            self._datapath.close_ipv4(self.session)
        elif protocol == Protocol.IPV6CP:
            self._datapath.close_ipv6(self.session)
        if self.up:
            self._report_up()

    def _report_up(self) -> None:
        ipv4 = self.link.ipv4 if self.session.ipv4 is not None else None
        interface_id = self.link.interface_id if self.session.ipv6 is not None else None
        self._report(ipc.LinkUp(*self.session.key, ipv4, interface_id, self._mtu_octets()))

    # ------------------------------------------------------------------ what was agreed with the peer

    def _ipv4(self) -> Network:
        """Return what IPCP has settled: the address that was given, and the routes."""
        address = IPv4Address(self.link.ipv4).packed if self.link.ipv4 else None
        return self._network(4, Protocol.IPV4, address)

    def _ipv6(self) -> Network:
        """Return what IPV6CP has settled: a link-local address each (RFC 5072 §5), and the routes."""
        peer = self.link.interface_id
        address = LINK_LOCAL + peer.to_bytes(8, "big") if peer else None
        return self._network(6, Protocol.IPV6, address)

    def _network(self, version: int, protocol: int, address: bytes | None) -> Network:
        grant = self.link.authorization
        mtu = self._mtu_octets()
        clamp = min(mtu, self.assigned.policy.mru_octets) if grant is None or grant.mss_clamp else 0
        header = make_frame(protocol, b"", acfc=self.link.acfc, pfc=self.link.pfc)
        prefixes = map(Prefix.parse, grant.routes if grant is not None else ())
        routes = tuple(prefix for prefix in prefixes if prefix.version == version)
        return Network(address, routes, mtu, clamp, header)

    def _mtu_octets(self) -> int:
        """Return the largest packet for the peer: what it can receive, within what the path carries."""
        grant = self.link.authorization
        limit = grant.mtu_octets if grant is not None else self.assigned.policy.mru_octets
        return min(limit, self.link.peer_mru)


def _values(command: ppp.Authenticate | ppp.LinkDown) -> tuple[Any, ...]:
    """Return the fields of a command whose message has the same ones."""
    return tuple(getattr(command, item.name) for item in fields(command))
