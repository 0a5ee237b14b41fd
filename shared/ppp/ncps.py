"""The network control protocols that we have. One more is one more row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from shared.ppp.control import ControlProtocol
from shared.ppp.frame import Protocol
from shared.ppp.ipcp import AskingIPCP, AssigningIPCP
from shared.ppp.ipv6cp import IPV6CP
from shared.ppp.terms import Terms


class NetworkProtocol(NamedTuple):
    """An NCP and what it opens the link for."""

    number: int
    data: tuple[int, ...]  # protocols of its packets: for the datapath, not for the control machines
    make: Callable[[Terms], ControlProtocol | None]  # None where it is not granted


def _make_ipcp(terms: Terms) -> ControlProtocol | None:
    granted = terms.authorization
    if granted is None:
        return None if terms.assigns else AskingIPCP(terms.policy)
    if granted.ipv4 is None:
        return None
    if terms.assigns:
        return AssigningIPCP(terms.policy, granted.ipv4)
    return AskingIPCP(terms.policy, granted.ipv4.local_address)


def _make_ipv6cp(terms: Terms) -> ControlProtocol | None:
    granted = terms.authorization
    wanted = not terms.assigns if granted is None else granted.ipv6
    return IPV6CP(terms) if wanted else None


NETWORK_PROTOCOLS: Final = (
    NetworkProtocol(Protocol.IPCP, (Protocol.IPV4,), _make_ipcp),
    NetworkProtocol(Protocol.IPV6CP, (Protocol.IPV6,), _make_ipv6cp),
)

DATA_PROTOCOLS: Final = frozenset(data for row in NETWORK_PROTOCOLS for data in row.data)
