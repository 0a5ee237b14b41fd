"""Route changes by rtnetlink(7), with pyroute2's messages: many of them to one `send`.

The kernel works through a whole datagram of messages inside `send` and answers only those that it
refuses, so after `send` every answer is already in the receive queue and nothing is ever waited for.
pyroute2's IPRSocket is used, not IPRoute: it has no event loop, so that any thread may use it (the sockets
of IPRoute belong to one thread, and its datagram endpoint fails under uvloop).
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any, Final, Protocol

from pyroute2 import IPRSocket
from pyroute2.netlink import NLM_F_CREATE, NLM_F_DUMP, NLM_F_REPLACE, NLM_F_REQUEST, NLMSG_ERROR
from pyroute2.netlink.rtnl import (
    RTM_DELROUTE,
    RTM_GETLINK,
    RTM_GETROUTE,
    RTM_NEWLINK,
    RTM_NEWROUTE,
    rt_scope,
    rt_type,
)
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from shared.errors import SystemRefused

ROUTE_PROTOCOL: Final = 71  # marks our routes: `ip route show proto 71`
_TABLE_MAIN: Final = 254

_VERBS: Final = {  # by presence: message type, flags, scope (in a deletion: whatever it is)
    True: (RTM_NEWROUTE, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_REPLACE, rt_scope["link"]),
    False: (RTM_DELROUTE, NLM_F_REQUEST, rt_scope["nowhere"]),
}
_HARMLESS: Final = {True: errno.EEXIST, False: errno.ESRCH}  # it is there already; it is gone already


@dataclass(frozen=True, slots=True)
class RouteChange:
    """A route to have (``present``) or not to have; ``prefix`` is of either family."""

    prefix: str
    device: str
    present: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """A change that the kernel refused, and its reason in words."""

    change: RouteChange
    reason: str


class RouteTable(Protocol):
    """What applies route changes: the kernel, or a list in a test."""

    def apply(self, changes: Sequence[RouteChange]) -> list[Failure]:
        """Apply ``changes`` in order, all that can be; return the others.

        Raises `OSError` where the outcome is unknown, so that all should be applied again.
        """

    def clear(self) -> None:
        """Remove every route that an earlier `apply` of any process made."""

    def close(self) -> None:
        """Give the descriptor back."""


class KernelRoutes:
    """The main routing table of the network namespace in which this was made."""

    def __init__(self) -> None:
        try:
            self._netlink = IPRSocket(strict_check=True)  # dumps are filtered by the kernel
            self._netlink.bind(groups=0)
            self._netlink.socket.setblocking(False)
        except OSError as error:
            raise SystemRefused(f"netlink: {error.strerror}; routes can't be set") from error

    def apply(self, changes: Sequence[RouteChange]) -> list[Failure]:
        """Apply ``changes`` by one `send`; see `RouteTable`."""
        # Asking for an index also reads away what an earlier ENOBUFS has left in the queue.
        indices = {device: self._index_of(device) for device in {change.device for change in changes}}
        failures, messages = [], []
        for sequence, change in enumerate(changes):
            if index := indices[change.device]:
                messages.append(encode(change, index, sequence))
            elif change.present:  # without the device its routes are gone as well
                failures.append(Failure(change, f"no device {change.device}"))
        if messages:
            self._netlink.send(b"".join(messages))
        for sequence, code in self._refusals():
            if code != _HARMLESS[changes[sequence].present]:
                failures.append(Failure(changes[sequence], os.strerror(code)))
        return failures

    def clear(self) -> None:
        """Remove every route with our protocol number, of both families."""
        ours = [route for family in (socket.AF_INET, socket.AF_INET6) for route in self._dump(family)]
        for route in ours:
            self._netlink.put(route, RTM_DELROUTE, NLM_F_REQUEST)
            for _, code in self._refusals():
                if code != errno.ESRCH:
                    raise SystemRefused(f"a route of an earlier run stays: {os.strerror(code)}")

    def close(self) -> None:
        """Close the netlink socket."""
        self._netlink.close()

    def _index_of(self, device: str) -> int:
        """Return the interface index, in this socket's namespace whichever thread asks; 0 without it."""
        self._netlink.put(
            ifinfmsg().setvalue({"attrs": [("IFLA_IFNAME", device)]}), RTM_GETLINK, NLM_F_REQUEST
        )
        found = [answer["index"] for answer in self._answers() if answer["header"]["type"] == RTM_NEWLINK]
        return found[0] if found else 0

    def _dump(self, family: int) -> Iterator[Any]:
        """Yield the message of each of our routes in ``family``; nothing where the kernel lacks it."""
        request = rtmsg().setvalue({"family": family, "table": _TABLE_MAIN, "proto": ROUTE_PROTOCOL})
        self._netlink.put(request, RTM_GETROUTE, NLM_F_REQUEST | NLM_F_DUMP)
        for answer in self._answers():
            if answer["header"]["type"] == RTM_NEWROUTE and answer["proto"] == ROUTE_PROTOCOL:
                yield answer

    def _refusals(self) -> Iterator[tuple[int, int]]:
        """Yield (sequence, errno) of each message that the kernel has refused."""
        for answer in self._answers():
            if answer["header"]["type"] == NLMSG_ERROR and answer["error"]:
                yield answer["header"]["sequence_number"], -answer["error"]

    def _answers(self) -> Iterator[Any]:
        """Yield the messages in the receive queue; ENOBUFS, an `OSError`, where it has overflowed."""
        while True:
            try:
                answers = self._netlink.get()
            except BlockingIOError:
                return
            yield from answers


def encode(change: RouteChange, interface: int, sequence: int) -> bytes:
    """Return the RTM_NEWROUTE or RTM_DELROUTE message for ``change`` on interface index ``interface``."""
    network = ip_network(change.prefix)
    kind, flags, scope = _VERBS[change.present]
    message = rtmsg().setvalue(
        {
            "header": {"type": kind, "flags": flags, "sequence_number": sequence, "pid": 0},
            "family": socket.AF_INET if network.version == 4 else socket.AF_INET6,
            "dst_len": network.prefixlen,
            "table": _TABLE_MAIN,
            "proto": ROUTE_PROTOCOL,
            "scope": scope,
            "type": rt_type["unicast"],
            "attrs": [("RTA_DST", str(network.network_address)), ("RTA_OIF", interface)],
        }
    )
    message.reset()
    message.encode()
    return bytes(message.data)
