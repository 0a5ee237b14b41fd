"""The automaton with its Restart timer and its actions: what is sent, and how often (RFC 1661 §4.4, §4.6)."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import ClassVar, Final

from shared.ppp.automaton import Action, Automaton, Event, State
from shared.ppp.options import encode_options
from shared.ppp.outputs import Layer, Output
from shared.ppp.packet import Code, encode_packet
from shared.ppp.policy import LinkPolicy

_TIMED: Final = frozenset({State.CLOSING, State.STOPPING, State.REQ_SENT, State.ACK_RCVD, State.ACK_SENT})


class RestartMachine:
    """One automaton that sends. Its events come from `shared.ppp.control`."""

    __slots__ = (
        "_answered",
        "_automaton",
        "_identifier",
        "_opened_at",
        "_out",
        "_policy",
        "_reply",
        "_reply_identifier",
        "_request",
        "_restart_count",
        "_sent_at",
        "_terminate_request",
        "deadline",
        "farewell",
        "ours",
        "timed_out",
    )

    def __init__(self, policy: LinkPolicy) -> None:
        self._policy = policy
        self._automaton = Automaton()
        self._out: list[Output] = []
        self._identifier = 0
        self._restart_count = 0
        self._request = b""  # the last Configure-Request, a whole packet
        self._answered = True  # it has had its answer, so another one needs a new Identifier
        self._sent_at = -inf
        self._opened_at = -inf
        self._reply = b""  # to what is being received
        self._reply_identifier = 0
        self._terminate_request = b""
        self.deadline: float | None = None
        self.timed_out = False  # the last event was TO-
        self.farewell = b""  # the text of our Terminate-Request
        self.ours: dict[int, bytes] = {}  # what we ask for; once Opened, what was agreed

    @property
    def state(self) -> State:
        """Where the automaton is."""
        return self._automaton.state

    @property
    def opened(self) -> bool:
        """True in the state Opened."""
        return self._automaton.state is State.OPENED

    def _step(self, event: Event, now: float) -> None:
        actions = self._automaton.step(event)
        if Action.INITIALIZE_RESTART_COUNT in actions:
            self._initialize_restart_count(ends=Action.SEND_TERMINATE_REQUEST in actions)
        for action in actions:
            if action in self._PERFORM:
                getattr(self, self._PERFORM[action])(now)
        if self.state not in _TIMED:
            self.deadline = None

    def _initialize_restart_count(self, *, ends: bool) -> None:
        self._restart_count = self._policy.max_terminate if ends else self._policy.max_configure
        if ends:
            identifier = self._next_identifier()
            self._terminate_request = encode_packet(Code.TERMINATE_REQUEST, identifier, self.farewell)

    def _time_out(self, now: float) -> None:
        self.timed_out = self._restart_count <= 0
        self._step(Event.TIMEOUT_LAST if self.timed_out else Event.TIMEOUT, now)

    def _layer_up(self, now: float) -> None:
        self._opened_at = now
        self._out.append(Layer.UP)

    def _layer_down(self, _now: float) -> None:
        self._out.append(Layer.DOWN)

    def _layer_started(self, _now: float) -> None:
        self._out.append(Layer.STARTED)

    def _layer_finished(self, _now: float) -> None:
        self._out.append(Layer.FINISHED)

    def _zero_restart_count(self, now: float) -> None:
        self._restart_count = 0
        self.deadline = now + self._policy.restart_interval_s

    def _send_configure_request(self, now: float) -> None:
        """The same octets again while there is no answer: whichever copy arrives, its answer fits."""
        if self._answered:
            body = encode_options(self.ours.items())
            self._request = encode_packet(Code.CONFIGURE_REQUEST, self._next_identifier(), body)
            self._answered = False
        self._sent_at = now
        self._send_and_wait(self._request, now)

    def _send_terminate_request(self, now: float) -> None:
        self._send_and_wait(self._terminate_request, now)

    def _send_and_wait(self, packet: bytes, now: float) -> None:
        self._restart_count -= 1
        self.deadline = now + self._policy.restart_interval_s
        self._out.append(packet)

    def _send_terminate_ack(self, _now: float) -> None:
        self._out.append(encode_packet(Code.TERMINATE_ACK, self._reply_identifier))

    def _send_reply(self, _now: float) -> None:
        self._out.append(self._reply)

    def _next_identifier(self) -> int:
        self._identifier = self._identifier + 1 & 0xFF
        return self._identifier

    def _drain(self) -> list[Output]:
        out, self._out = self._out, []
        return out

    _PERFORM: ClassVar[Mapping[Action, str]] = {  # methods, by name: subclasses have their own
        Action.THIS_LAYER_UP: "_layer_up",
        Action.THIS_LAYER_DOWN: "_layer_down",
        Action.THIS_LAYER_STARTED: "_layer_started",
        Action.THIS_LAYER_FINISHED: "_layer_finished",
        Action.ZERO_RESTART_COUNT: "_zero_restart_count",
        Action.SEND_CONFIGURE_REQUEST: "_send_configure_request",
        Action.SEND_CONFIGURE_ACK: "_send_reply",
        Action.SEND_CONFIGURE_NAK: "_send_reply",
        Action.SEND_TERMINATE_REQUEST: "_send_terminate_request",
        Action.SEND_TERMINATE_ACK: "_send_terminate_ack",
        Action.SEND_CODE_REJECT: "_send_reply",
        Action.SEND_ECHO_REPLY: "_send_reply",
    }
