"""What to do about a refusal, by stage and code."""

from __future__ import annotations

from typing import Final

from client.failure import Failure, Stage
from shared.l2tp.results import CallResult, StopResult
from shared.ppp.policy import LinkEnd

_SECRETS: Final = "check that the tunnel secret (--secret-file) is the one that the LNS has for this address"
_CREDENTIALS: Final = "check --user and the password; the LNS's log says which of them it did not like"
_PROTOCOLS: Final = "allow what the LNS wants: --auth any, or the protocol that the reason names"
_BY_STOP: Final[dict[int, str]] = {
    StopResult.GENERAL_ERROR: "the LNS did not understand us or is out of resources; see its log",
    StopResult.ALREADY_EXISTS: "an earlier tunnel is still there; try again in a minute",
    StopResult.NOT_AUTHORIZED: _SECRETS,
    StopResult.BAD_VERSION: "the LNS does not speak L2TPv2",
    StopResult.SHUTTING_DOWN: "the LNS is going down; try again later, or use --redial",
}
_BY_CDN: Final[dict[int, str]] = {
    CallResult.GENERAL_ERROR: "the LNS refuses calls for now; see its log",
    CallResult.ADMINISTRATIVE: "an operator or a rule of the LNS ended the call; see its log",
    CallResult.NO_FACILITIES_NOW: "the LNS is full; try again later, or use --redial",
    CallResult.NO_FACILITIES: "the LNS has no place for such calls at all; see its log",
}
_BY_END: Final[dict[int, str]] = {
    LinkEnd.PEER_TERMINATED: "the LNS had a reason of its own; often --user, the password, or --auth any",
    LinkEnd.AUTHENTICATION_FAILED: _CREDENTIALS,
    LinkEnd.NO_COMMON_AUTHENTICATION: _PROTOCOLS,
    LinkEnd.LCP_TIMEOUT: "the LNS speaks L2TP but PPP gets no answer; see its log",
    LinkEnd.AUTHENTICATION_TIMEOUT: "the LNS does not answer; its RADIUS server or controller may be down",
    LinkEnd.NETWORK_TIMEOUT: "the LNS does not settle addresses; see its log about IPCP",
    LinkEnd.NO_ADDRESS: "the LNS has no address for this user; its pool may be used up",
    LinkEnd.NO_NETWORK_PROTOCOL: "the LNS offers neither IPv4 nor IPv6 to this user",
    LinkEnd.ECHO_LOST: "the path to the LNS is broken; --redial dials again by itself",
    LinkEnd.LOOPED_BACK: "our own frames come back: something on the path reflects packets",
}
_UNGIVEN: Final = "no password was given: --password-file, CULVERT_PASSWORD, or --password - to be asked"


def advice(
    failure: Failure, network_error: str | None, *, was_up: bool = False, password_given: bool = True
) -> str:
    """Return one line about what to do next.

    ``network_error`` is what ICMP or routing said, if anything; ``was_up`` tells a loss from a refusal.
    """
    if was_up and failure.by_peer:
        return "the session was up: see the log of the LNS; --redial dials again by itself"
    if failure.end is not None and failure.end in _BY_END:
        hopeless = failure.end is LinkEnd.AUTHENTICATION_FAILED and not password_given
        return _UNGIVEN if hopeless else _BY_END[failure.end]
    if network_error is not None:
        return f"the network said: {network_error}; check address, --port, routes and firewalls"
    if failure.code:
        known = _BY_STOP if failure.stage is Stage.TUNNEL else _BY_CDN
        if (line := known.get(failure.code)) is not None and failure.by_peer:
            return line
    if failure.stage is Stage.TUNNEL and not failure.by_peer:
        return f"check address, --port, routes and firewalls; an LNS with a secret may be silent: {_SECRETS}"
    return "see the log of the LNS"
