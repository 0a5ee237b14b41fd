"""How a link's end is told to an L2TP peer: PPP Disconnect Cause Code (RFC 3145)."""

from __future__ import annotations

from typing import Final

from shared.ppp.commands import LinkDown
from shared.ppp.frame import Protocol
from shared.ppp.policy import LinkEnd

GLOBAL: Final = 0
AT_PEER: Final = 1
LOCAL: Final = 2

_CAUSES: Final = {  # Disconnect Code (§3), Direction (§2.1)
    LinkEnd.PEER_TERMINATED: (3, AT_PEER),
    LinkEnd.ADMINISTRATIVE: (1, GLOBAL),
    LinkEnd.AUTHENTICATION_FAILED: (16, AT_PEER),
    LinkEnd.NO_COMMON_AUTHENTICATION: (15, AT_PEER),
    LinkEnd.LCP_TIMEOUT: (5, AT_PEER),
    LinkEnd.AUTHENTICATION_TIMEOUT: (13, AT_PEER),
    LinkEnd.NETWORK_TIMEOUT: (17, AT_PEER),
    LinkEnd.NEGOTIATION_FAILED: (0, GLOBAL),
    LinkEnd.ECHO_LOST: (8, AT_PEER),
    LinkEnd.SESSION_TIMEOUT: (3, LOCAL),
    LinkEnd.IDLE_TIMEOUT: (3, LOCAL),
    LinkEnd.LOOPED_BACK: (7, GLOBAL),
    LinkEnd.NO_ADDRESS: (20, LOCAL),
    LinkEnd.NO_NETWORK_PROTOCOL: (18, AT_PEER),
}

_FOR_THE_PEER: Final = {  # where the reason in our log is nothing to tell a stranger
    LinkEnd.AUTHENTICATION_FAILED: "authentication failed",
}


def farewell(end: LinkEnd, reason: str) -> str:
    """Return what to tell the peer: in the Terminate-Request, and in the AVP."""
    return _FOR_THE_PEER.get(end, reason)


def link_down(end: LinkEnd, reason: str, protocol: int = Protocol.LCP, code: int = 0) -> LinkDown:
    """Return the last command of a link. ``protocol`` is the one that failed; ``code`` 0: the usual one."""
    usual, direction = _CAUSES[end]
    return LinkDown(end, reason, code or usual, protocol, direction, farewell(end, reason))
