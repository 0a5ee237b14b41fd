"""The client's TUN device: its address, MTU and routes, and the way to the LNS that must not lead into it."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any, Final

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from shared.errors import SystemRefused
from system.tun import open_tun

_ADDR_GEN_MODE_NONE: Final = 1
_BATCH: Final = 64
_LARGEST: Final = 65536
_SCOPE_LINK: Final = 253


@dataclass(frozen=True, slots=True)
class Addresses:
    """What PPP has settled; ``ipv6_interface_id`` is ours."""

    ipv4: str | None
    ipv4_peer: str | None
    ipv6_interface_id: int | None
    mtu_octets: int

    @property
    def link_local(self) -> str | None:
        """Our IPv6 address on the link (RFC 5072 §5)."""
        if self.ipv6_interface_id is None:
            return None
        return str(ip_address((0xFE80 << 112) | self.ipv6_interface_id))


class Device:
    """One TUN device, which lives until `close`. Methods that set things up talk to the kernel and may wait.

    With ``hold`` addresses and routes stay while there is no session, so that no packet takes another way.
    Raises `SystemRefused` where the kernel refuses.
    """

    def __init__(self, name: str, routes: Sequence[str], lns: str, *, hold: bool = False) -> None:
        self.name = name
        self.hold = hold
        self.up = False
        self.dropped = 0  # packets that the kernel did not take
        self._routes = routes
        self._lns = lns
        self._addresses: list[dict[str, Any]] = []  # that the device has from us
        self._pin: dict[str, Any] | None = None  # the route to the LNS, if it is ours
        self._buffer = bytearray(_LARGEST)
        self._descriptor = open_tun(name)

    def fileno(self) -> int:
        """Return the descriptor, for the event loop to watch."""
        return self._descriptor

    def configure(self, addresses: Addresses) -> None:
        """Bring the device up with ``addresses`` and the routes."""
        try:
            with IPRoute() as netlink:
                self._pin_the_lns(netlink)
                index = socket.if_nametoindex(self.name)
                _link_up(netlink, index, addresses)
                self.up = True
                self._own_addresses(netlink, index, self._held(addresses) + _wanted(addresses))
                for prefix in self._routes:
                    if _reachable(prefix, addresses):
                        netlink.route("replace", dst=prefix, oif=index, scope=_SCOPE_LINK)
        except NetlinkError as error:
            raise SystemRefused(f"device {self.name}: {error.args[1]}") from error
        except OSError as error:
            raise SystemRefused(f"device {self.name}: {error.strerror}") from error

    def deconfigure(self) -> None:
        """Take addresses and routes away again; the device stays, down."""
        try:
            with IPRoute() as netlink:
                self.up = False
                index = socket.if_nametoindex(self.name)
                self._own_addresses(netlink, index, [])
                netlink.link("set", index=index, state="down")
                self._unpin_the_lns(netlink)
        except (NetlinkError, OSError) as error:
            raise SystemRefused(f"device {self.name}: {error}") from error

    def let_go_of_the_lns(self) -> bool:
        """Take all away if what we send to the LNS would lead into the device; whether it was so.

        The route of its own that the LNS had goes with its link, and ours would keep us from dialling.
        """
        if not self.up:
            return False
        try:
            with IPRoute() as netlink:
                way = netlink.route("get", dst=self._lns)[0].get("oif")
        except NetlinkError:  # there is none at all
            return False
        if way != socket.if_nametoindex(self.name):
            return False
        self.deconfigure()
        return True

    def read(self, take: Callable[[memoryview], None]) -> None:
        """Hand each waiting packet to ``take``, writable; the memory is re-used after its return."""
        for _ in range(_BATCH):
            try:
                octets = os.readv(self._descriptor, [self._buffer])
            except OSError:  # none there, or the device is down
                return
            take(memoryview(self._buffer)[:octets])

    def write(self, packet: memoryview) -> None:
        """Give ``packet`` to the kernel, or count it as dropped."""
        try:
            os.write(self._descriptor, packet)
        except OSError:  # malformed, or the device is down
            self.dropped += 1

    def close(self) -> None:
        """Remove the device, with its addresses and routes; the LNS's own goes with `deconfigure`."""
        os.close(self._descriptor)

    def _held(self, addresses: Addresses) -> list[dict[str, Any]]:
        """Return the addresses to keep of a version of IP that is not open again yet."""
        open_now = {4: addresses.ipv4, 6: addresses.link_local}
        return [
            address
            for address in self._addresses
            if self.hold and open_now[ip_address(address["address"]).version] is None
        ]

    def _own_addresses(self, netlink: IPRoute, index: int, wanted: list[dict[str, Any]]) -> None:
        """Have the addresses in ``wanted`` and no other that we gave it.

        The new ones first: the kernel takes the routes away with the last IPv4 address.
        """
        old, self._addresses = self._addresses, wanted
        for address in wanted:
            netlink.addr("replace", index=index, **address)
        for address in old:
            if address not in wanted:
                netlink.addr("del", index=index, **address)

    def _pin_the_lns(self, netlink: IPRoute) -> None:
        """Keep the present way to the LNS by a route of its own, where ours would lead into the tunnel."""
        lns = ip_address(self._lns)
        if self._pin is not None or not any(
            lns in network for network in map(ip_network, self._routes) if network.version == lns.version
        ):
            return
        present = netlink.route("get", dst=self._lns)[0]
        pin = {"dst": f"{self._lns}/{lns.max_prefixlen}", "oif": present.get("oif")}
        gateway = present.get("gateway")
        pin |= {"scope": _SCOPE_LINK} if gateway is None else {"gateway": gateway}
        try:
            netlink.route("add", **pin)
        except NetlinkError:  # it has a route of its own already, which is not ours to remove
            return
        self._pin = pin

    def _unpin_the_lns(self, netlink: IPRoute) -> None:
        if self._pin is not None:
            pin, self._pin = self._pin, None
            with contextlib.suppress(NetlinkError):  # it went with its link
                netlink.route("del", **pin)


def _reachable(prefix: str, addresses: Addresses) -> bool:
    return (addresses.ipv4 if ip_network(prefix).version == 4 else addresses.link_local) is not None


def _link_up(netlink: IPRoute, index: int, addresses: Addresses) -> None:
    # The kernel would make up an IPv6 address; where it does not know IPv6, that only matters if we want it.
    with contextlib.nullcontext() if addresses.link_local else contextlib.suppress(NetlinkError):
        mode = {"attrs": [("IFLA_INET6_ADDR_GEN_MODE", _ADDR_GEN_MODE_NONE)]}
        netlink.link("set", index=index, IFLA_AF_SPEC={"attrs": [("AF_INET6", mode)]})
    netlink.link("set", index=index, mtu=addresses.mtu_octets, state="up")


def _wanted(addresses: Addresses) -> list[dict[str, Any]]:
    """Return pyroute2's arguments for each address: IPv4 point to point, IPv6 link-local."""
    wanted: list[dict[str, Any]] = []
    if addresses.ipv4 is not None:
        peer = addresses.ipv4_peer or addresses.ipv4
        wanted.append({"local": addresses.ipv4, "address": peer, "prefixlen": 32})
    if addresses.link_local is not None:
        wanted.append({"address": addresses.link_local, "prefixlen": 64})
    return wanted
