"""One dial-up of the client, without a socket, a device or a clock: tunnel, call, PPP, and down again."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final, Protocol, cast

from client.call import Call
from client.dial_options import DialOptions
from client.failure import Failure
from client.tunnel import ClientTunnel
from shared.addresses import Address
from shared.ip.mss import clamp_mss
from shared.ip.packet import read_ipv4, read_ipv6
from shared.l2tp.header import is_control, parse_data_header
from shared.l2tp.session import CallInfo
from shared.l2tp.settings import ConnectionSettings
from shared.ppp.frame import Protocol as PPPProtocol
from shared.ppp.policy import LinkPolicy
from shared.ppp.terms import Credentials
from shared.timers import TimerQueue

_SESSION_ID: Final = 1
_READ: Final = {PPPProtocol.IPV4: read_ipv4, PPPProtocol.IPV6: read_ipv6}
_LINGER_S: Final = 0.2  # in which the LNS's StopCCN is acknowledged
_BY_VERSION: Final = {4: PPPProtocol.IPV4, 6: PPPProtocol.IPV6}
_NETWORK_OF: Final = {PPPProtocol.IPCP: PPPProtocol.IPV4, PPPProtocol.IPV6CP: PPPProtocol.IPV6}


class Surroundings(Protocol):
    """The program around a `DialSession`."""

    def transmit(self, datagram: bytes, to: Address) -> None:
        """Send a datagram to the LNS."""

    def deliver(self, packet: memoryview) -> None:
        """Give an IP packet from the LNS to the device; it is borrowed."""

    def changed(self, session: DialSession) -> None:
        """Note that a network protocol has opened or closed: see ``session.networks``."""

    def progress(self, text: str) -> None:
        """Take something worth a line."""


class Ending(Enum):
    """How far the end of a session has come."""

    NOT = 0
    CLOSING = 1
    OVER = 2  # nothing is to be sent any more


class DialSession:
    """One tunnel with one call. Drive it by `receive`, `send_packet` and `handle_timers`."""

    def __init__(
        self,
        options: DialOptions,
        lns: Address,
        local_tunnel_id: int,
        surroundings: Surroundings,
        *,
        random: Callable[[int], bytes],
    ) -> None:
        self.timers: TimerQueue[object] = TimerQueue()
        self.failure: Failure | None = None  # why it ended, other than by `close`
        self.networks: set[int] = set()  # of `PPPProtocol.IPV4` and `IPV6`, those that are open
        self.was_up = False
        self.ending = Ending.NOT
        self.tunnel = ClientTunnel(
            self,
            self.timers,
            _settings(options),
            _policy(options),
            local_tunnel_id,
            lns,
            random=random,
            ipv6=options.ipv6,
        )
        credentials = Credentials(options.user, options.password)
        self.call = Call(self.tunnel, 0, _SESSION_ID, credentials)
        self._mtu_octets = options.mtu_octets
        self._surroundings = surroundings
        self._now = 0.0

    @property
    def mtu_octets(self) -> int:
        """The largest IP packet for the LNS: our own limit or what it takes."""
        link = self.call.link
        return self._mtu_octets if link is None else min(self._mtu_octets, link.peer_mru)

    def begin(self, now: float) -> None:
        """Send the SCCRQ."""
        self._now = now
        self.tunnel.open(now)

    def receive(self, datagram: memoryview, source: Address, now: float) -> None:
        """Take any datagram; its memory is borrowed and may be altered."""
        self._now = now
        if is_control(datagram):
            self.tunnel.receive_control(datagram, source, now)
            return
        header = parse_data_header(datagram)
        if header is not None and header.tunnel_id == self.tunnel.connection.local_tunnel_id:
            self.tunnel.receive_data(header, datagram, now)

    def send_packet(self, packet: memoryview) -> None:
        """Send an IP packet from the device to the LNS, if its network protocol is open."""
        protocol = _BY_VERSION.get(packet[0] >> 4) if packet else None
        if protocol is not None and (whole := self._passes(protocol, packet)) is not None:
            self.tunnel.send_packet(self.call, protocol, whole)

    def handle_timers(self, now: float) -> None:
        """Do all that is due."""
        self._now = now
        for key in self.timers.pop_due(now):
            if key is Ending.OVER:
                self.ending = Ending.OVER
            else:
                _, session_id = cast("tuple[ClientTunnel, int]", key)
                self.tunnel.handle_timer(session_id, now)

    def close(self, reason: str, now: float) -> None:
        """Hang up: LCP Terminate-Request, CDN, StopCCN."""
        self._now = now
        if self.ending is Ending.NOT:
            self.ending = Ending.CLOSING
            self.tunnel.close(reason, now)

    def _passes(self, protocol: int, packet: memoryview) -> memoryview | None:
        """Return the IP packet in ``packet``, its TCP MSS clamped; None where it is none or may not pass."""
        if protocol not in self.networks or (read := _READ[protocol](packet)) is None:
            return None
        whole = packet[: read.octets]
        clamp_mss(whole, self.mtu_octets)
        return whole

    # ------------------------------------------------------------------------- what the tunnel tells

    def transmit(self, _tunnel: ClientTunnel, datagram: bytes, to: Address, /) -> None:
        """Send ``datagram``."""
        self._surroundings.transmit(datagram, to)

    def packet(self, _call: Call, protocol: int, packet: memoryview, /) -> None:
        """Give an IP packet to the device, if its network protocol is open."""
        if (whole := self._passes(protocol, packet)) is not None:
            self._surroundings.deliver(whole)

    def tunnel_up(self, tunnel: ClientTunnel, /) -> None:
        """Place the call."""
        connection = tunnel.connection
        who = f"{connection.peer_hostname!r} ({connection.peer_vendor or 'vendor unknown'})"
        ids = f"tunnel ID {connection.local_tunnel_id} here, {connection.peer_tunnel_id} there"
        self._surroundings.progress(f"tunnel established with {who}: {ids}")
        tunnel.place_call(self.call, CallInfo(serial_number=1), self._now)

    def call_connected(self, call: Call, /) -> None:
        """Say so."""
        ids = f"session ID {call.session_id} here, {call.peer_session_id} there"
        self._surroundings.progress(f"call connected: {ids}")

    def network_up(self, _call: Call, protocol: int, /) -> None:
        """Let packets pass."""
        if (network := _NETWORK_OF.get(protocol)) is not None:
            self.was_up = True
            self.networks.add(network)
            self._surroundings.changed(self)

    def network_down(self, _call: Call, protocol: int, /) -> None:
        """Let packets pass no more."""
        if (network := _NETWORK_OF.get(protocol)) in self.networks:
            self.networks.discard(network)
            self._surroundings.changed(self)

    def call_down(self, _call: Call, failure: Failure, /) -> None:
        """Without its call the tunnel is of no use."""
        if self.ending is Ending.NOT and self.failure is None:
            self.failure = failure
        if self.networks:
            self.networks.clear()
            self._surroundings.changed(self)
        self.tunnel.close("the call has ended", self._now)

    def tunnel_down(self, _tunnel: ClientTunnel, failure: Failure, /) -> None:
        """Keep the reason where none is known yet."""
        if self.ending is Ending.NOT and self.failure is None:
            self.failure = failure

    def closed_by_lns(self, _tunnel: ClientTunnel, /) -> None:
        """Stay a moment to acknowledge it."""
        self.timers.set(Ending.OVER, self._now + _LINGER_S)

    def released(self, _tunnel: ClientTunnel, /) -> None:
        """Note that our StopCCN has been acknowledged, or given up."""
        self.ending = Ending.OVER

    def note(self, _tunnel: ClientTunnel, text: str, /) -> None:
        """Pass it on."""
        self._surroundings.progress(text)


def _settings(options: DialOptions) -> ConnectionSettings:
    return ConnectionSettings(
        hostname=options.hostname,
        secret=options.secret,
        hello_interval_s=options.hello_interval_s,
        setup_timeout_s=options.timeout_s,
        max_sessions=1,
    )


def _policy(options: DialOptions) -> LinkPolicy:
    return LinkPolicy(
        mru_octets=options.mtu_octets,
        authentication=options.authentication,
        establish_timeout_s=options.timeout_s,
        authenticate_timeout_s=options.timeout_s,
        network_timeout_s=options.timeout_s,
        echo_interval_s=options.echo_interval_s,
    )
