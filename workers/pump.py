"""One wake-up: read a batch, let the datapath decide, write what it says."""

from __future__ import annotations

from collections.abc import Sequence

from workers.datapath import Datagram, Datapath, Uplink
from workers.ports import TunPort, UdpPort


class Pump:
    """A datapath with its descriptors: one UDP port for each listen address, and the TUN."""

    def __init__(self, datapath: Datapath, udp: Sequence[UdpPort], tun: TunPort) -> None:
        self.datapath = datapath
        self.udp = udp
        self.tun = tun

    def from_udp(self, listen: int, now: float) -> Uplink:
        """Forward what waits at one UDP port; the answer holds what Python has to see to."""
        uplink = self.datapath.uplink(self.udp[listen].receive(), now)
        self.tun.send(uplink.packets)
        return uplink

    def from_tun(self, now: float) -> None:
        """Forward what waits at the TUN. Raises `OSError` where the device is gone."""
        downlink = self.datapath.downlink(self.tun.receive(), now)
        for datagram in downlink.datagrams:
            self.transmit(datagram)
        self.tun.send(downlink.packets)

    def transmit(self, datagram: Datagram) -> None:
        """Send one data message from the socket that its session came in by."""
        self.udp[datagram.session.listen].send(datagram)
