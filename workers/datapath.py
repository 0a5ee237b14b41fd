"""Forwarding, batch in, batch out, without a descriptor: the reference, and the definition of what is right.

A compiled twin has this interface and passes the same tests. `workers.pump` reads and writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from shared.addresses import Address
from shared.ip.fragment import MIN_MTU_OCTETS, fragment_ipv4, may_fragment
from shared.ip.icmp import (
    IPV6_MIN_MTU_OCTETS,
    fragmentation_needed,
    is_ipv4_redirect,
    is_ipv6_redirect,
    packet_too_big,
)
from shared.ip.mss import clamp_mss
from shared.ip.packet import Packet, read_ipv4, read_ipv6
from shared.l2tp.header import parse_data_header
from shared.ppp.frame import Protocol, split_frame
from workers.counters import DatapathCounters
from workers.destinations import Destinations
from workers.rate import RateLimit
from workers.session import Key, Network, Session, checked_address

FRAMES_PER_SESSION: Final = 16  # for one PPP machine from one batch
MOVED_INTERVAL_S: Final = 1.0  # between two reports about one tunnel
ICMP_PER_SECOND: Final = 100.0
ICMP_BURST: Final = 50.0


class Frame(NamedTuple):
    """A PPP frame for the session's machine; it owns its octets."""

    session: Session
    octets: bytes


class Moved(NamedTuple):
    """Data for a tunnel arrive from a source that is not its peer."""

    tunnel_id: int
    source: Address


class Datagram(NamedTuple):
    """A data message for the session's peer, from the session's socket."""

    session: Session
    octets: bytes


@dataclass(slots=True)
class Uplink:
    """What a batch from the peers comes to. Packets are slices of it: write them before it is refilled."""

    packets: list[memoryview] = field(default_factory=list)  # for the TUN
    frames: list[Frame] = field(default_factory=list)
    moved: list[Moved] = field(default_factory=list)


@dataclass(slots=True)
class Downlink:
    """What a batch from the TUN comes to."""

    datagrams: list[Datagram] = field(default_factory=list)
    packets: list[bytes] = field(default_factory=list)  # ICMP errors, back into the TUN


class Datapath:
    """The sessions of one worker and the way of packets through them. Nothing that arrives makes it raise."""

    NAME: Final = "reference"

    def __init__(self) -> None:
        self.counters = DatapathCounters()
        self.sessions: dict[Key, Session] = {}
        self._tunnels: dict[int, dict[int, Session]] = {}
        self._ipv4 = Destinations(32)
        self._ipv6 = Destinations(128)
        self._moved_at: dict[int, float] = {}  # by tunnel ID, of those in `_tunnels` only
        self._icmp = RateLimit(ICMP_PER_SECOND, ICMP_BURST)
        self._from_peer = {Protocol.IPV4: self._ipv4_from_peer, Protocol.IPV6: self._ipv6_from_peer}

    # ------------------------------------------------------------------------------- sessions

    def add(self, session: Session) -> None:
        """Take ``session`` in, in place of one with the same IDs."""
        if (old := self.sessions.get(session.key)) is not None:
            self.remove(old)
        self.sessions[session.key] = session
        self._tunnels.setdefault(session.tunnel_id, {})[session.session_id] = session

    def remove(self, session: Session) -> None:
        """Forget ``session`` and what it has claimed; harmless where it is not known."""
        if self.sessions.get(session.key) is not session:
            return
        self.close_ipv4(session)
        self.close_ipv6(session)
        del self.sessions[session.key]
        tunnel = self._tunnels[session.tunnel_id]
        del tunnel[session.session_id]
        if not tunnel:
            del self._tunnels[session.tunnel_id]
            self._moved_at.pop(session.tunnel_id, None)

    def open_ipv4(self, session: Session, network: Network) -> None:
        """Begin to forward IPv4, as IPCP has settled it; again on a change."""
        self.close_ipv4(session)
        session.ipv4 = network
        self._ipv4.claim(session, network)

    def close_ipv4(self, session: Session) -> None:
        """Forward IPv4 no more."""
        if session.ipv4 is not None:
            self._ipv4.release(session, session.ipv4)
            session.ipv4 = None

    def open_ipv6(self, session: Session, network: Network) -> None:
        """Begin to forward IPv6, as IPV6CP has settled it; again on a change."""
        self.close_ipv6(session)
        session.ipv6 = network
        self._ipv6.claim(session, network)

    def close_ipv6(self, session: Session) -> None:
        """Forward IPv6 no more."""
        if session.ipv6 is not None:
            self._ipv6.release(session, session.ipv6)
            session.ipv6 = None

    def move_tunnel(self, tunnel_id: int, peer: Address) -> None:
        """Send all of the tunnel's sessions to ``peer``, which has proven that it is there.

        Raises `ValueError` where ``peer`` is no address.
        """
        checked_address(peer)
        for session in self._tunnels.get(tunnel_id, {}).values():
            session.peer = peer

    # ------------------------------------------------------------------------ from the peers

    def uplink(self, batch: Sequence[tuple[memoryview, Address]], now: float) -> Uplink:
        """Take UDP payloads and their sources. The views are writable: TCP SYNs are altered in place."""
        out = Uplink()
        frames: dict[Key, int] = {}
        for datagram, source in batch:
            session, payload = self._admit(datagram, source, out, now)
            if session is None:
                continue
            if (frame := split_frame(payload)) is None:
                self.counters.malformed_ppp += 1
            elif (forward := self._from_peer.get(frame[0])) is not None:
                forward(session, frame[1], out, now)
            else:
                self._to_machine(session, payload, out, frames)
        return out

    def _admit(
        self, datagram: memoryview, source: Address, out: Uplink, now: float
    ) -> tuple[Session | None, memoryview]:
        """Return the session of a data message from its peer, in sequence, and the PPP frame in it."""
        header = parse_data_header(datagram)
        if header is None:
            self.counters.malformed_l2tp += 1
            return None, datagram
        session = self.sessions.get((header.tunnel_id, header.session_id))
        if session is None:
            self.counters.no_session += 1
        elif source != session.peer:
            self.counters.wrong_peer += 1
            self._report_moved(session.tunnel_id, source, out, now)
        elif not session.sequence.receive(header.ns):
            self.counters.out_of_sequence += 1
        else:
            return session, datagram[header.offset_of_payload : header.end_of_payload]
        return None, datagram

    def _report_moved(self, tunnel_id: int, source: Address, out: Uplink, now: float) -> None:
        last = self._moved_at.get(tunnel_id)
        if last is None or now - last >= MOVED_INTERVAL_S:
            self._moved_at[tunnel_id] = now
            out.moved.append(Moved(tunnel_id, source))

    def _to_machine(self, session: Session, frame: memoryview, out: Uplink, frames: dict[Key, int]) -> None:
        taken = frames.get(session.key, 0)
        if taken >= FRAMES_PER_SESSION:
            self.counters.ppp_flood += 1
            return
        frames[session.key] = taken + 1
        self.counters.rx_ppp_frames += 1
        out.frames.append(Frame(session, bytes(frame)))

    def _ipv4_from_peer(self, session: Session, payload: memoryview, out: Uplink, now: float) -> None:
        self._packet_from_peer(session, session.ipv4, read_ipv4(payload), payload, out, now)

    def _ipv6_from_peer(self, session: Session, payload: memoryview, out: Uplink, now: float) -> None:
        self._packet_from_peer(session, session.ipv6, read_ipv6(payload), payload, out, now)

    def _packet_from_peer(
        self,
        session: Session,
        network: Network | None,
        packet: Packet | None,
        payload: memoryview,
        out: Uplink,
        now: float,
    ) -> None:
        if network is None:
            self.counters.network_closed += 1
        elif packet is None:
            self.counters.malformed_ip += 1
        elif not network.owns(packet.source):
            self.counters.spoofed_source += 1
        else:
            view = payload[: packet.octets]
            if network.clamp_octets and clamp_mss(view, network.clamp_octets):
                self.counters.mss_clamped += 1
            self._received(session, view, out, now)

    def _received(self, session: Session, packet: memoryview, out: Uplink, now: float) -> None:
        session.active_at = now
        session.rx_packets += 1
        session.rx_octets += len(packet)
        self.counters.rx_packets += 1
        self.counters.rx_octets += len(packet)
        out.packets.append(packet)

    # -------------------------------------------------------------------------- from the TUN

    def downlink(self, batch: Sequence[memoryview], now: float) -> Downlink:
        """Take IP packets, each in a writable view: TCP SYNs are altered in place."""
        out = Downlink()
        for packet in batch:
            if (ipv4 := read_ipv4(packet)) is not None:
                self._ipv4_to_peer(packet[: ipv4.octets], ipv4, out, now)
            elif (ipv6 := read_ipv6(packet)) is not None:
                self._ipv6_to_peer(packet[: ipv6.octets], ipv6, out, now)
            else:
                self.counters.not_ip += 1
        return out

    def _ipv4_to_peer(self, view: memoryview, packet: Packet, out: Downlink, now: float) -> None:
        if packet.destination[0] >= 224:  # multicast, reserved, limited broadcast
            self.counters.multicast += 1
            return
        session = self._ipv4.find(packet.destination)
        if session is None or (network := session.ipv4) is None:
            self.counters.no_destination += 1
            return
        if is_ipv4_redirect(view):
            self.counters.redirect += 1
            return
        mtu = max(network.mtu_octets, MIN_MTU_OCTETS)
        if len(view) <= mtu:
            if network.clamp_octets and clamp_mss(view, network.clamp_octets):
                self.counters.mss_clamped += 1
            self._sent(session, network, [view], len(view), out, now)
        elif may_fragment(view):
            self.counters.fragmented += 1
            self._sent(session, network, fragment_ipv4(view, mtu), len(view), out, now)
        else:
            self._refuse(fragmentation_needed(view, mtu, packet.destination), out, now)

    def _ipv6_to_peer(self, view: memoryview, packet: Packet, out: Downlink, now: float) -> None:
        if packet.destination[0] == 0xFF:
            self.counters.multicast += 1
            return
        session = self._ipv6.find(packet.destination)
        if session is None or (network := session.ipv6) is None:
            self.counters.no_destination += 1
            return
        if is_ipv6_redirect(view):
            self.counters.redirect += 1
            return
        # Whatever its MRU, a peer takes 1500 octets (RFC 1661 §6.1), and no IPv6 link has less than 1280.
        mtu = max(network.mtu_octets, IPV6_MIN_MTU_OCTETS)
        if len(view) > mtu:
            self._refuse(packet_too_big(view, mtu, packet.destination), out, now)
            return
        if network.clamp_octets and clamp_mss(view, network.clamp_octets):
            self.counters.mss_clamped += 1
        self._sent(session, network, [view], len(view), out, now)

    def _refuse(self, error: bytes | None, out: Downlink, now: float) -> None:
        """Drop a packet that is too big, with ``error`` to its sender where one is due and allowed.

        The error's source is the address that the packet was for. RFC 1812 §4.3.2.4 wants the gateway's
        own, but the kernel takes that one for forged when it comes in from the TUN (it is local to this
        host), and in IPv6 it is link-local, which no router forwards. Senders don't look at it.
        """
        if error is None or not self._icmp.allows(now):
            self.counters.too_big += 1
        else:
            self.counters.icmp_too_big += 1
            out.packets.append(error)

    def _sent(
        self,
        session: Session,
        network: Network,
        packets: Sequence[memoryview | bytes],
        octets: int,
        out: Downlink,
        now: float,
    ) -> None:
        session.active_at = now
        session.tx_packets += 1
        session.tx_octets += octets
        self.counters.tx_packets += 1
        self.counters.tx_octets += octets
        for packet in packets:
            header = session.next_header()
            out.datagrams.append(Datagram(session, b"".join((header, network.ppp_header, packet))))

    # ----------------------------------------------------------------- from the PPP machines

    def frame(self, session: Session, octets: bytes, *, priority: bool) -> Datagram:
        """Return ``octets``, a PPP frame of the session's own machine, as a data message."""
        self.counters.tx_ppp_frames += 1
        return Datagram(session, session.next_header(priority=priority) + octets)
