"""The end that dials a worker: the PEER side of a link, and a datapath of its own for its packets."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address
from random import Random

from shared.addresses import Address
from shared.l2tp.sequencing import DataSequence
from shared.ppp.commands import LinkCommand, LinkDown, NetworkUp, SendFrame
from shared.ppp.frame import Protocol
from shared.ppp.link import Credentials, Link, Side
from shared.ppp.policy import Authorization, LinkPolicy
from tests.workers.sessions import ipv4, ipv6
from workers.datapath import Datagram, Datapath
from workers.session import Session


class Peer:
    """Alice, as a router: any source may lie behind the worker, so everything is routed there.

    ``ids`` are her tunnel and session ID, then the worker's.
    """

    def __init__(
        self,
        ids: tuple[int, int, int, int],
        lns: Address,
        datapath: Datapath,
        transmit: Callable[[Datagram], None],
        *,
        seed: int,
        wish: Authorization | None = None,
    ) -> None:
        self.session = Session(*ids, 0, lns, None, DataSequence(follow=True))
        self.ended = False
        self.link = Link(
            LinkPolicy(echo_interval_s=0.0),
            Side.PEER,
            random=Random(seed).randbytes,
            credentials=Credentials("alice", "secret"),
            authorization=wish,
            local_interface_id=0xA,
        )
        self._datapath = datapath
        self._transmit = transmit
        datapath.add(self.session)

    def open(self, now: float) -> None:
        """Begin with LCP."""
        self._perform(self.link.open(now))

    def receive(self, frame: bytes, now: float) -> None:
        """Take a frame that is no packet."""
        self._perform(self.link.receive(frame, now))

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        self._perform(self.link.handle_timer(now))

    def abandon(self) -> None:
        """Fall silent."""
        self.ended = True
        self._datapath.remove(self.session)

    def _perform(self, commands: list[LinkCommand]) -> None:
        for command in commands:
            match command:
                case SendFrame(frame, priority):
                    self._transmit(self._datapath.frame(self.session, frame, priority=priority))
                case NetworkUp(Protocol.IPCP):
                    assert self.link.remote_ipv4 is not None
                    gateway = str(IPv4Address(self.link.remote_ipv4))
                    self._datapath.open_ipv4(self.session, ipv4(gateway, "0.0.0.0/0"))
                case NetworkUp(Protocol.IPV6CP):
                    gateway = f"fe80::{self.link.interface_id:x}"
                    self._datapath.open_ipv6(self.session, ipv6(gateway, "::/0"))
                case LinkDown():
                    self.abandon()
