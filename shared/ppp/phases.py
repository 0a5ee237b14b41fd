"""The phases of a link (RFC 1661 §3): what each does with what its protocols say. `Link` is the way in."""

from __future__ import annotations

from enum import Enum
from itertools import count
from typing import Final

from shared.ppp.authenticator import Authenticator, make_authenticator
from shared.ppp.automaton import State
from shared.ppp.causes import farewell, link_down
from shared.ppp.commands import (
    Authenticate,
    Identified,
    LinkCommand,
    LinkDown,
    NetworkDown,
    NetworkUp,
    SendFrame,
    WishAddress,
)
from shared.ppp.control import ControlProtocol
from shared.ppp.frame import Protocol, make_frame
from shared.ppp.lcp import ACFC, LCP, PFC
from shared.ppp.ncps import DATA_PROTOCOLS, NETWORK_PROTOCOLS
from shared.ppp.outputs import Failed, Judged, Layer, Output, PeerTerminated, ProtocolRejected
from shared.ppp.packet import Code
from shared.ppp.policy import LinkEnd
from shared.ppp.prover import Prover, make_prover
from shared.ppp.terms import Terms

_SILENT: Final = DATA_PROTOCOLS | {Protocol.PAP, Protocol.CHAP}  # known, so never Protocol-Rejected
_ECHOES: Final = frozenset({Code.ECHO_REQUEST, Code.ECHO_REPLY})
_UNREACHABLE: Final = frozenset({LinkEnd.LCP_TIMEOUT, LinkEnd.ECHO_LOST, LinkEnd.LOOPED_BACK})
_UNREADABLE: Final = "\N{REPLACEMENT CHARACTER}"
_MAX_RESTARTS: Final = 10  # of LCP or an NCP after it was Opened ...
_RESTARTS_WITHIN_S: Final = 60.0  # ... in this time


class Phase(Enum):
    """§3.2."""

    DEAD = 0
    ESTABLISH = 1
    AUTHENTICATE = 2
    NETWORK = 3
    TERMINATE = 4


class Phases:
    """The protocols of one link, and how they follow each other."""

    __slots__ = (
        "_authentication",
        "_commands",
        "_deadline",
        "_ending",
        "_given_up",
        "_lcp",
        "_ncps",
        "_request_ids",
        "_restarts",
        "_restarts_since",
        "_terms",
        "phase",
    )

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self.phase = Phase.DEAD
        self._lcp = LCP(terms)
        self._authentication: Authenticator | Prover | None = None
        self._ncps: dict[int, ControlProtocol] = {}
        self._given_up: dict[int, Failed] = {}  # NCPs that can't open any more, by number
        self._request_ids = count(1)
        self._commands: list[LinkCommand] = []
        self._deadline: float | None = None  # of the phase
        self._ending: LinkDown | None = None
        self._restarts = 0
        self._restarts_since = 0.0

    @property
    def acfc(self) -> bool:
        """Whether our frames go without Address and Control: the peer and the operator want it."""
        return self._terms.policy.send_acfc and self._lcp.opened and ACFC in self._lcp.theirs

    @property
    def pfc(self) -> bool:
        """Whether our frames go with a Protocol field of one octet where that is possible."""
        return self._terms.policy.send_pfc and self._lcp.opened and PFC in self._lcp.theirs

    # Frames

    def _receive(self, protocol: int, payload: memoryview, now: float) -> None:
        if protocol == Protocol.LCP:
            self._after_lcp(self._lcp.receive(payload, now), now)
        elif not self._lcp.opened:
            return
        elif self._authentication is not None and protocol == self._authentication.NUMBER:
            self._after_authentication(self._authentication.receive(payload, now), now)
        elif self.phase is Phase.NETWORK:
            self._receive_network(protocol, payload, now)

    def _receive_network(self, protocol: int, payload: memoryview, now: float) -> None:
        """Before this phase, what is no LCP and no authentication is discarded without a word (§3.5)."""
        ncp = self._ncps.get(protocol)
        if ncp is not None:
            self._after_ncp(ncp, ncp.receive(payload, now), now)
        elif protocol not in _SILENT:
            self._send(Protocol.LCP, self._lcp.protocol_reject(protocol, payload))

    def _send(self, protocol: int, packet: bytes) -> None:
        if self.phase is Phase.DEAD:
            return
        frame = make_frame(protocol, packet, acfc=self.acfc, pfc=self.pfc)
        self._commands.append(SendFrame(frame, priority=protocol == Protocol.LCP and packet[0] in _ECHOES))

    # What LCP says

    def _after_lcp(self, outputs: list[Output], now: float) -> None:
        for output in outputs:
            match output:
                case bytes():
                    self._send(Protocol.LCP, output)
                case Layer.UP:
                    self._lcp_up(now)
                case Layer.DOWN:
                    self._lcp_down(now)
                case Layer.FINISHED:
                    self._lcp_finished(now)
                case PeerTerminated(text):
                    self._peer_terminated(text, now)
                case ProtocolRejected(protocol):
                    self._protocol_rejected(protocol, now)
                case Failed(end, reason, code):
                    self._close(link_down(end, reason, code=code), now)
                case Identified():
                    self._commands.append(output)

    def _lcp_up(self, now: float) -> None:
        """§3.5: authentication, where one of the sides has demanded it, comes before anything else."""
        terms = self._terms
        if terms.assigns and self._lcp.method_demanded is not None:
            method = self._lcp.method_demanded
            self._authentication = make_authenticator(method, terms.policy, self._request_ids, terms.random)
        elif self._lcp.method_promised is not None and terms.credentials is not None:
            method = self._lcp.method_promised
            self._authentication = make_prover(method, terms.policy, terms.credentials, terms.random)
        else:
            self._begin_network(now)
            return
        self.phase = Phase.AUTHENTICATE
        self._deadline = now + terms.policy.authenticate_timeout_s
        self._after_authentication(self._authentication.start(now), now)

    def _lcp_down(self, now: float) -> None:
        """The peer negotiates anew: every later phase is to be gone through again."""
        if self.phase is Phase.TERMINATE:
            return
        self.phase = Phase.ESTABLISH
        self._deadline = now + self._terms.policy.establish_timeout_s
        self._stop_upper_layers(now)
        self._count_restart(now)

    def _lcp_finished(self, now: float) -> None:
        if self._ending is None:
            end = LinkEnd.LCP_TIMEOUT if self._lcp.timed_out else LinkEnd.NEGOTIATION_FAILED
            reason = "the peer does not answer LCP" if self._lcp.timed_out else "the peer rejects LCP"
            self._ending = link_down(end, reason)
        self._finish(now)

    def _peer_terminated(self, text: str, now: float) -> None:
        """End at once.

        RFC 1661 §3.7 would wait, lest our Terminate-Ack be lost: the CDN that follows tells the peer too.
        """
        if self._ending is None:
            told = f": {text}" if text and _UNREADABLE not in text else ""  # Windows sends no text
            self._ending = link_down(LinkEnd.PEER_TERMINATED, f"the peer terminated the link{told}")
        self._finish(now)

    def _protocol_rejected(self, protocol: int, now: float) -> None:
        ncp = self._ncps.get(protocol)
        if ncp is not None:
            reason = f"the peer rejects {ncp.NAME}"
            self._give_up(ncp, Failed(LinkEnd.NO_NETWORK_PROTOCOL, reason), ncp.refuse(now), now)
        elif self.phase is Phase.AUTHENTICATE and protocol in {Protocol.PAP, Protocol.CHAP}:
            reason = "the peer rejects the authentication protocol that it has agreed to"
            self._close(link_down(LinkEnd.NO_COMMON_AUTHENTICATION, reason, protocol), now)

    # What authentication says

    def _after_authentication(self, outputs: list[Output], now: float, reason: str = "") -> None:
        authentication = self._authentication
        if authentication is None:
            return
        for output in outputs:
            match output:
                case bytes():
                    self._send(authentication.NUMBER, output)
                case Authenticate():
                    self._commands.append(output)
                case Judged(True):
                    if self.phase is Phase.AUTHENTICATE:
                        self._begin_network(now)
                case Judged(False, message):
                    refusal = reason or f"authentication refused: {message}"
                    ending = link_down(LinkEnd.AUTHENTICATION_FAILED, refusal, authentication.NUMBER)
                    self._close(ending, now)
                case Failed(end, why):
                    self._close(link_down(end, why, authentication.NUMBER), now)

    # What the network protocols say

    def _begin_network(self, now: float) -> None:
        self.phase = Phase.NETWORK
        self._deadline = now + self._terms.policy.network_timeout_s
        for row in NETWORK_PROTOCOLS:
            ncp = row.make(self._terms)
            if ncp is not None:
                ncp.peer_mru = self._lcp.peer_mru
                self._ncps[row.number] = ncp
        if not self._ncps:
            reason = "no address and no network protocol is granted to the peer"
            self._close(link_down(LinkEnd.NO_ADDRESS, reason, Protocol.IPCP), now)
        for ncp in tuple(self._ncps.values()):
            self._after_ncp(ncp, ncp.start(now), now)

    def _after_ncp(self, ncp: ControlProtocol, outputs: list[Output], now: float) -> None:
        for output in outputs:
            match output:
                case bytes():
                    self._send(ncp.NUMBER, output)
                case Layer.UP:
                    self._given_up.pop(ncp.NUMBER, None)
                    self._deadline = None
                    self._commands.append(NetworkUp(ncp.NUMBER))
                case Layer.DOWN:
                    self._ncp_down(ncp, now)
                case Failed():
                    self._give_up(ncp, output, ncp.close(now, output.reason.encode()), now)
                case WishAddress():
                    self._commands.append(output)

    def _ncp_down(self, ncp: ControlProtocol, now: float) -> None:
        self._commands.append(NetworkDown(ncp.NUMBER))
        if self.phase is Phase.NETWORK:
            if not any(other.opened for other in self._ncps.values()):
                self._deadline = now + self._terms.policy.network_timeout_s
            self._count_restart(now)

    def _give_up(self, ncp: ControlProtocol, why: Failed, outputs: list[Output], now: float) -> None:
        """End the link too, if this was the last network protocol that could have opened."""
        self._given_up[ncp.NUMBER] = why
        self._after_ncp(ncp, outputs, now)
        if self._given_up.keys() == self._ncps.keys():
            self._close(link_down(why.end, why.reason, ncp.NUMBER, why.code), now)

    # Ends

    def _phase_timed_out(self, now: float) -> None:
        self._deadline = None
        if self.phase is Phase.ESTABLISH:
            self._close(link_down(LinkEnd.LCP_TIMEOUT, "LCP did not open in time"), now)
        elif self.phase is Phase.AUTHENTICATE and self._authentication is not None:
            reason, protocol = "authentication did not end in time", self._authentication.NUMBER
            self._close(link_down(LinkEnd.AUTHENTICATION_TIMEOUT, reason, protocol), now)
        elif self.phase is Phase.NETWORK:
            known = "; ".join(why.reason for why in self._given_up.values())
            reason = known or "no network protocol opened in time"
            self._close(link_down(LinkEnd.NETWORK_TIMEOUT, reason, next(iter(self._ncps), 0)), now)

    def _count_restart(self, now: float) -> None:
        """Bound what a peer can cost that opens and closes for ever."""
        if now - self._restarts_since > _RESTARTS_WITHIN_S:
            self._restarts, self._restarts_since = 0, now
        self._restarts += 1
        if self._restarts > _MAX_RESTARTS:
            self._close(link_down(LinkEnd.NEGOTIATION_FAILED, "the peer negotiates anew without end"), now)

    def _close(self, ending: LinkDown, now: float) -> None:
        """Send a Terminate-Request and wait for its answer; not for that of a peer who answers nothing."""
        if self._ending is not None or self.phase is Phase.DEAD:
            return
        self._ending = ending
        self.phase = Phase.TERMINATE
        self._deadline = None
        self._stop_upper_layers(now)
        self._after_lcp(self._lcp.close(now, farewell(ending.end, ending.reason).encode()[:200]), now)
        if ending.end in _UNREACHABLE or self._lcp.state < State.CLOSING:
            self._finish(now)

    def _stop_upper_layers(self, now: float) -> None:
        self._authentication = None
        ncps, self._ncps = self._ncps, {}
        self._given_up.clear()
        for ncp in ncps.values():
            self._after_ncp(ncp, ncp.down(now), now)

    def _finish(self, now: float) -> None:
        if self.phase is not Phase.DEAD and self._ending is not None:
            self.phase = Phase.TERMINATE
            self._stop_upper_layers(now)
            self.phase = Phase.DEAD
            self._commands.append(self._ending)

    def _drain(self) -> list[LinkCommand]:
        commands, self._commands = self._commands, []
        return commands
