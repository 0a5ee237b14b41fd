"""What LCP and every NCP do alike: packets become the automaton's events (RFC 1661 §5).

A subclass brings its number, its option table, and what it asks for first. Time is in monotonic seconds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from math import inf
from typing import ClassVar, Final, TypeAlias

from shared.ppp.automaton import Event, State
from shared.ppp.options import Option, OptionTable, decode_options, encode_options
from shared.ppp.outputs import Failed, Output, PeerTerminated
from shared.ppp.packet import Code, Packet, decode_packet, encode_packet, peer_text
from shared.ppp.policy import LinkEnd, LinkPolicy
from shared.ppp.restart import RestartMachine

_DEFAULT_MRU: Final = 1500  # §6.1
_NEGOTIATING: Final = frozenset({State.REQ_SENT, State.ACK_RCVD, State.ACK_SENT})
_ENDING: Final = frozenset({State.CLOSING, State.STOPPING})

Answer: TypeAlias = tuple[Code, list[Option]]  # to a Configure-Request


class ControlProtocol(RestartMachine, ABC):
    """One control protocol of one link. Every method returns what came of it, in order."""

    NUMBER: ClassVar[int]
    NAME: ClassVar[str]
    OPTIONS: ClassVar[OptionTable]
    RESEND_AFTER_S: ClassVar[float] = 0.25  # see `_repeat_unheard`

    __slots__ = (
        "_acked",
        "_naked_identifier",
        "_naks_received",
        "_naks_sent",
        "_resent",
        "failed",
        "peer_mru",
        "theirs",
    )

    def __init__(self, policy: LinkPolicy) -> None:
        super().__init__(policy)
        self._acked = b""  # the last request of the peer that we acknowledged, a whole packet
        self._resent = False
        self._naks_sent = self._naks_received = 0
        self._naked_identifier = -1  # of the last request that got a Nak
        self.failed = False
        self.theirs: dict[int, bytes] = {}  # what we acknowledged to the peer
        self.peer_mru = _DEFAULT_MRU

    # What a subclass decides

    @abstractmethod
    def first_options(self) -> dict[int, bytes]:
        """Return what to ask for when a negotiation begins."""

    def missing(self, types: set[int]) -> list[Option]:  # noqa: ARG002 - for subclasses
        """Return what the peer should have asked for, given the ``types`` that it did: appended to a Nak."""
        return []

    def exhausted(self, options: list[Option], naked: list[Option]) -> Answer | None:
        """Return the answer to ``options`` once Max-Failure Naks brought no agreement (§4.6).

        ``naked`` would have been the next Nak. None where `fail` was called.
        """
        types = {option.type for option in options}
        rejected = [option for option in naked if option.type in types]
        if not rejected:
            return Code.CONFIGURE_ACK, options
        refused = {option.type for option in rejected}
        return Code.CONFIGURE_REJECT, [option for option in options if option.type in refused]

    def agreed(self) -> None:
        """Hear that the peer has acknowledged ``ours``; may `fail`."""

    def code_rejected(self, code: int) -> None:
        """Hear that the peer does not know ``code``."""

    # Events

    def next_timeout(self) -> float | None:
        """When `handle_timer` is due."""
        return self.deadline

    def start(self, now: float) -> list[Output]:
        """Open, with the layer below up: sends the first Configure-Request."""
        self._step(Event.OPEN, now)
        self._begin()
        self._step(Event.UP, now)
        return self._drain()

    def down(self, now: float) -> list[Output]:
        """Hear that the layer below is gone."""
        if self.state is not State.INITIAL and self.state is not State.STARTING:
            self._step(Event.DOWN, now)
        return self._drain()

    def close(self, now: float, farewell: bytes = b"") -> list[Output]:
        """End in good order: Terminate-Request, up to Max-Terminate times."""
        self.farewell = farewell
        self._step(Event.CLOSE, now)
        return self._drain()

    def refuse(self, now: float) -> list[Output]:
        """Hear that the peer has Protocol-Rejected this protocol."""
        if self.state >= State.CLOSED:
            self._step(Event.RXJ_CATASTROPHIC, now)
        return self._drain()

    def handle_timer(self, now: float) -> list[Output]:
        """Do what is due at ``now``."""
        if self.deadline is not None and now >= self.deadline:
            self._time_out(now)
        return self._drain()

    def receive(self, octets: memoryview, now: float) -> list[Output]:
        """Take one packet. Raises `ProtocolError`, having done nothing, where it is to be discarded."""
        packet = decode_packet(octets)
        if self.state >= State.CLOSED:
            getattr(self, self.HANDLERS.get(packet.code, "_receive_unknown"))(packet, now)
        return self._drain()

    # Packets

    def _receive_request(self, packet: Packet, now: float) -> None:
        """§5.1."""
        options = decode_options(packet.body)
        self._reply_identifier = packet.identifier
        state = self.state
        if state is State.CLOSED:
            self._step(Event.RCR_GOOD, now)
        elif state not in _ENDING and not self._acked_before(packet, now):
            if state in {State.STOPPED, State.OPENED}:
                self._begin()
            answer = self.judge(options)
            if answer is not None:
                self._answer_request(packet, answer, now)

    def _answer_request(self, packet: Packet, answer: Answer, now: float) -> None:
        code, options = answer
        good = code is Code.CONFIGURE_ACK
        self._reply = encode_packet(code, packet.identifier, encode_options(options))
        if good:
            self.theirs = dict(options)
            self._acked = encode_packet(packet.code, packet.identifier, bytes(packet.body))
        self._repeat_unheard(now)
        self._step(Event.RCR_GOOD if good else Event.RCR_BAD, now)

    def _acked_before(self, packet: Packet, now: float) -> bool:
        """Acknowledge a duplicate of the request that opened us, and say True.

        §4.1 would negotiate anew on any request in Opened. A network that repeats datagrams, or a peer
        that repeats an unanswered request, would take the link down by it; a peer that has truly begun
        again comes with other octets, or repeats them after the restart interval.
        """
        if not self.opened or now >= self._opened_at + self._policy.restart_interval_s:
            return False
        if encode_packet(packet.code, packet.identifier, bytes(packet.body)) != self._acked:
            return False
        self._out.append(encode_packet(Code.CONFIGURE_ACK, packet.identifier, bytes(packet.body)))
        return True

    def _repeat_unheard(self, now: float) -> None:
        """Send our request again, once, when the peer's first arrives and ours had no answer yet.

        The peer was likely not listening when we sent it. It goes out before the answer to the peer, whom
        it therefore never finds in Opened, where it would begin the negotiation anew.
        """
        waited = now - self._sent_at >= self.RESEND_AFTER_S
        if self.state is State.REQ_SENT and waited and not self._answered and not self._resent:
            self._resent = True
            self._out.append(self._request)

    def _receive_ack(self, packet: Packet, now: float) -> None:
        """§5.2: for our last request, of which it must be a copy."""
        if self._answers_request(packet, now) and packet.body == memoryview(self._request)[4:]:
            self._answered = True
            self.agreed()
            if not self.failed:
                self._step(Event.RCA, now)

    def _receive_nak(self, packet: Packet, now: float) -> None:
        """§5.3. More Naks than Max-Failure count as Rejects, so that no pair of peers goes on for ever."""
        options = decode_options(packet.body)
        if not self._answers_request(packet, now):
            return
        self._naks_received += 1
        for kind, suggestion in options:
            if kind in self.ours:
                rule = self.OPTIONS[kind]
                hopeless = self._naks_received > self._policy.max_failure
                self._revise(kind, None if hopeless else rule.revise(self, suggestion))
        self._ask_again(now)

    def _receive_reject(self, packet: Packet, now: float) -> None:
        """§5.4."""
        options = decode_options(packet.body)
        if not self._answers_request(packet, now):
            return
        rejected = [kind for kind, _ in options if kind in self.ours]
        if rejected:
            for kind in rejected:
                self._revise(kind, None)
            self._ask_again(now)

    def _revise(self, kind: int, value: bytes | None) -> None:
        if value is not None:
            self.ours[kind] = value
        elif self.ours.pop(kind, None) is not None:
            self.OPTIONS[kind].dropped(self)

    def _ask_again(self, now: float) -> None:
        self._answered = True
        if not self.failed:
            self._step(Event.RCN, now)

    def _answers_request(self, packet: Packet, now: float) -> bool:
        """True where ``packet`` is the first answer to our last Configure-Request."""
        if self.state in {State.CLOSED, State.STOPPED}:
            self._reply_identifier = packet.identifier
            self._step(Event.RCA, now)
            return False
        waiting = self.state in _NEGOTIATING and not self._answered
        return waiting and packet.identifier == self._request[1]

    def _receive_terminate_request(self, packet: Packet, now: float) -> None:
        """§5.5."""
        self._reply_identifier = packet.identifier
        self._step(Event.RTR, now)
        self._out.append(PeerTerminated(peer_text(packet.body)))

    def _receive_terminate_ack(self, packet: Packet, now: float) -> None:
        """§5.6. Unsolicited, it says that the peer is closed: what we asked has not been heard."""
        closing = self.state in _ENDING
        if closing and self._terminate_request and packet.identifier != self._terminate_request[1]:
            return
        if self.opened:
            self._begin()
        self._sent_at = -inf
        self._step(Event.RTA, now)

    def _receive_code_reject(self, packet: Packet, now: float) -> None:
        """§5.6: the body is a copy of what we sent."""
        if not packet.body:
            return
        code = packet.body[0]
        if Code.CONFIGURE_REQUEST <= code <= Code.CODE_REJECT:
            self._step(Event.RXJ_CATASTROPHIC, now)
        else:
            self.code_rejected(code)
            self._step(Event.RXJ_PERMITTED, now)

    def _receive_unknown(self, packet: Packet, now: float) -> None:
        """§5.6."""
        copy = encode_packet(packet.code, packet.identifier, bytes(packet.body))
        self._reply = encode_packet(Code.CODE_REJECT, self._next_identifier(), copy[: self.peer_mru - 4])
        self._step(Event.RUC, now)

    HANDLERS: ClassVar[Mapping[int, str]] = {  # methods, by name: subclasses have their own
        Code.CONFIGURE_REQUEST: "_receive_request",
        Code.CONFIGURE_ACK: "_receive_ack",
        Code.CONFIGURE_NAK: "_receive_nak",
        Code.CONFIGURE_REJECT: "_receive_reject",
        Code.TERMINATE_REQUEST: "_receive_terminate_request",
        Code.TERMINATE_ACK: "_receive_terminate_ack",
        Code.CODE_REJECT: "_receive_code_reject",
    }

    # Options

    def _begin(self) -> None:
        """Forget what an earlier negotiation has taught us."""
        self.ours = self.first_options()
        self._answered = True
        self._resent = False
        self._naks_sent = self._naks_received = 0
        self._naked_identifier = -1

    def judge(self, options: list[Option]) -> Answer | None:
        """Return the answer to the peer's ``options``; None where there is none for now."""
        rejected, naked = [], []
        for option in options:
            rule = self.OPTIONS.get(option.type)
            accepted = rule.accepted(self, option.value) if rule is not None else None
            if accepted is None:
                rejected.append(option)
            elif accepted != option.value:
                naked.append(Option(option.type, accepted))
        if rejected:
            return Code.CONFIGURE_REJECT, rejected
        naked += self.missing({option.type for option in options})
        if not naked:
            self._naks_sent = 0
            return Code.CONFIGURE_ACK, options
        if self._reply_identifier != self._naked_identifier:  # a request repeated is no new disagreement
            self._naked_identifier = self._reply_identifier
            self._naks_sent += 1
        if self._naks_sent > self._policy.max_failure:
            return self.exhausted(options, naked)
        return Code.CONFIGURE_NAK, naked

    def fail(self, end: LinkEnd, reason: str, code: int = 0) -> None:
        """Give up; the owner hears of it once."""
        if not self.failed:
            self.failed = True
            self._out.append(Failed(end, reason, code))
