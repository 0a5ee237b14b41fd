"""What a CDN says when PPP has ended: Result Code (RFC 2661 §4.4.2) and PPP Disconnect Cause (RFC 3145).

RFC 2661 has no result for "wrong password": its codes are those of a telephone call. Refusing somebody is
the LNS's decision, so it is 3, "administrative reasons" (as of other LNSs); what happened in PPP stands in
RFC 3145's AVP, 16 for a bad name or password. A peer that is simply gone is 1, "loss of carrier"; one
that never spoke LCP is 11, "no appropriate framing"; one that gets no address is 4, "temporarily".
"""

from __future__ import annotations

from typing import Final

from shared.ipc.messages import LinkDown
from shared.l2tp.results import CallResult, Direction, DisconnectCause, Result
from shared.ppp.policy import LinkEnd

_LCP: Final = 0xC021
_IPCP: Final = 0x8021

Verdict = tuple[Result, DisconnectCause | None]

# LinkEnd: Result Code, RFC 3145 code, PPP protocol, direction
_ENDS: Final = {
    LinkEnd.PEER_TERMINATED: (CallResult.ADMINISTRATIVE, 3, _LCP, Direction.AT_PEER),
    LinkEnd.ADMINISTRATIVE: (CallResult.ADMINISTRATIVE, 1, 0, Direction.GLOBAL),
    LinkEnd.AUTHENTICATION_FAILED: (CallResult.ADMINISTRATIVE, 16, 0, Direction.AT_PEER),
    LinkEnd.NO_COMMON_AUTHENTICATION: (CallResult.ADMINISTRATIVE, 15, 0, Direction.AT_PEER),
    LinkEnd.LCP_TIMEOUT: (CallResult.NO_FRAMING, 5, _LCP, Direction.GLOBAL),
    LinkEnd.AUTHENTICATION_TIMEOUT: (CallResult.ADMINISTRATIVE, 13, 0, Direction.AT_PEER),
    LinkEnd.NETWORK_TIMEOUT: (CallResult.ADMINISTRATIVE, 17, _IPCP, Direction.AT_PEER),
    LinkEnd.NEGOTIATION_FAILED: (CallResult.ADMINISTRATIVE, 0, _LCP, Direction.GLOBAL),
    LinkEnd.ECHO_LOST: (CallResult.LOST_CARRIER, 8, _LCP, Direction.AT_PEER),
    LinkEnd.SESSION_TIMEOUT: (CallResult.ADMINISTRATIVE, 1, 0, Direction.GLOBAL),
    LinkEnd.IDLE_TIMEOUT: (CallResult.ADMINISTRATIVE, 1, 0, Direction.GLOBAL),
    LinkEnd.LOOPED_BACK: (CallResult.NO_FRAMING, 7, _LCP, Direction.GLOBAL),
    LinkEnd.NO_ADDRESS: (CallResult.NO_FACILITIES_NOW, 19, _IPCP, Direction.AT_LOCAL),
    LinkEnd.NO_NETWORK_PROTOCOL: (CallResult.ADMINISTRATIVE, 18, 0, Direction.AT_PEER),
}

# A peer may be its own LAC: which of name and password was wrong is for the log alone.
_UNTOLD: Final = {LinkEnd.AUTHENTICATION_FAILED: "authentication failed"}


def verdict_of(end: LinkEnd, reason: str) -> Verdict:
    """Return what the CDN says when a link ends so."""
    result, code, protocol, direction = _ENDS[end]
    return Result(result, message=reason), DisconnectCause(code, protocol, direction)


def verdict_of_link(message: LinkDown) -> Verdict:
    """The same, with what the PPP machine knows better."""
    result, cause = verdict_of(message.end, _UNTOLD.get(message.end, message.reason))
    if message.ppp_code:
        cause = DisconnectCause(
            message.ppp_code, message.ppp_protocol, message.ppp_direction, message.ppp_message
        )
    return result, cause
