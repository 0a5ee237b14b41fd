"""What one worker's datapath has done and why it dropped what it dropped: plain integers, read at leisure."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(slots=True)
class DatapathCounters:
    """Totals since the start. Each datagram or packet that is not forwarded adds one to one reason.

    rx is from subscribers, tx to them. Octets are those of IP packets.
    """

    rx_packets: int = 0
    rx_octets: int = 0
    tx_packets: int = 0
    tx_octets: int = 0
    rx_ppp_frames: int = 0  # handed to the PPP machines
    tx_ppp_frames: int = 0
    mss_clamped: int = 0
    fragmented: int = 0  # packets, not fragments
    icmp_too_big: int = 0  # fragmentation needed and packet too big that were sent

    # From the peers.
    malformed_l2tp: int = 0  # control messages and other versions too: none of the worker's business
    no_session: int = 0
    wrong_peer: int = 0  # outer source address is not the tunnel's peer
    out_of_sequence: int = 0
    malformed_ppp: int = 0
    ppp_flood: int = 0  # more frames for one PPP machine than one wake-up allows
    network_closed: int = 0  # the packet's NCP is not open
    malformed_ip: int = 0
    spoofed_source: int = 0  # inner source address is not the subscriber's

    # From the TUN.
    not_ip: int = 0
    multicast: int = 0
    no_destination: int = 0
    redirect: int = 0  # our own kernel's, between two subscribers of one TUN: they have no other router
    too_big: int = 0  # and no ICMP error was due, or its rate was used up

    # At the descriptors.
    udp_receive_failed: int = 0
    udp_send_full: int = 0  # EAGAIN, ENOBUFS
    udp_send_failed: int = 0  # no route, too big for the path, filtered
    tun_read_failed: int = 0
    tun_write_full: int = 0
    tun_write_failed: int = 0

    def totals(self) -> tuple[tuple[str, int], ...]:
        """Return every counter by name."""
        return tuple((item.name, getattr(self, item.name)) for item in fields(self))
