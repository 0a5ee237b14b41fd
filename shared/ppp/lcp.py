"""LCP: the link's own options and messages (RFC 1661 §6, RFC 1570), on the common automaton."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from shared.ppp.automaton import Event
from shared.ppp.commands import Identified
from shared.ppp.control import Answer, ControlProtocol
from shared.ppp.frame import Protocol
from shared.ppp.liveness import Liveness
from shared.ppp.methods import OPTION_VALUES, method_of
from shared.ppp.options import Option, OptionRule, OptionTable
from shared.ppp.outputs import Output, ProtocolRejected
from shared.ppp.packet import Code, Packet, encode_packet, peer_text
from shared.ppp.policy import LinkEnd
from shared.ppp.terms import Terms

MRU: Final = 1
ACCM: Final = 2
AUTHENTICATION: Final = 3
MAGIC: Final = 5
PFC: Final = 7
ACFC: Final = 8

_DEFAULT_MRU: Final = 1500  # §6.1
_MIN_MRU: Final = 128
_MAX_IDENTIFICATIONS: Final = 8  # that are reported, of one link


class LCP(ControlProtocol):
    """The Link Control Protocol of one link."""

    NUMBER = Protocol.LCP
    NAME = "LCP"
    # The peer's daemon often is not attached yet when L2TP is up: whenever it speaks, ask again.
    RESEND_AFTER_S = 0.0

    __slots__ = ("_collisions", "_identifications", "_liveness", "_suggested_magic", "_terms", "_untried")

    def __init__(self, terms: Terms) -> None:
        super().__init__(terms.policy)
        self._terms = terms
        self._untried: list[str] = []
        self._collisions = 0
        self._suggested_magic = b""
        self._identifications = 0
        self._liveness = Liveness(terms.policy.echo_interval_s, terms.policy.echo_failures)

    # What was agreed

    @property
    def method_demanded(self) -> str | None:
        """How the peer has agreed to prove itself."""
        return method_of(self.ours.get(AUTHENTICATION))

    @property
    def method_promised(self) -> str | None:
        """How we have agreed to prove ourselves."""
        return method_of(self.theirs.get(AUTHENTICATION))

    def next_timeout(self) -> float | None:
        """When `handle_timer` is due."""
        echo = self._liveness.deadline
        if self.deadline is None or echo is None:
            return echo if self.deadline is None else self.deadline
        return min(self.deadline, echo)

    # Options

    def first_options(self) -> dict[int, bytes]:
        """Return the options to ask for: nothing that merely states a default."""
        policy = self._policy
        options = {}
        if policy.mru_octets != _DEFAULT_MRU:
            options[MRU] = policy.mru_octets.to_bytes(2, "big")
        if self._terms.assigns and policy.authentication:
            self._untried = list(policy.authentication)
            options[AUTHENTICATION] = OPTION_VALUES[self._untried.pop(0)]
        options[MAGIC] = self.new_magic()
        if policy.send_pfc:
            options[PFC] = b""
        if policy.send_acfc:
            options[ACFC] = b""
        return options

    def new_magic(self) -> bytes:
        """Return a number that is not zero, nor ours or what we suggested last (§6.4)."""
        number = int.from_bytes(self._terms.random(4), "big")
        while (magic := number.to_bytes(4, "big")) in {
            bytes(4),
            self.ours.get(MAGIC),
            self._suggested_magic,
        }:
            number = number + 1 & 0xFFFFFFFF
        return magic

    def judge(self, options: list[Option]) -> Answer | None:
        """See a loop before anything else: what we ask for comes back as the peer's wish (§6.4)."""
        magic = self.ours.get(MAGIC)
        if magic is None or Option(MAGIC, magic) not in options:
            return super().judge(options)
        self._collisions += 1
        if self._collisions > self._policy.max_failure:
            self.fail(LinkEnd.LOOPED_BACK, "the link is looped back: our own magic number arrives")
            return None
        self._suggested_magic = self.new_magic()
        return Code.CONFIGURE_NAK, [Option(MAGIC, self._suggested_magic)]

    def agreed(self) -> None:
        """Our magic number is told from the peer's."""
        self._collisions = 0

    def _judge_mru(self, value: bytes) -> bytes:
        return max(value, _MIN_MRU.to_bytes(2, "big"))

    def _revise_mru(self, suggestion: bytes) -> bytes:
        """Take a smaller MRU than ours; ours is the path's, so a larger one would not do."""
        sensible = len(suggestion) == 2 and suggestion >= _MIN_MRU.to_bytes(2, "big")
        return min(suggestion, self.ours[MRU]) if sensible else self.ours[MRU]

    def _judge_authentication(self, value: bytes) -> bytes | None:
        """Reject on the AUTHENTICATOR's side and without credentials; else agree, or name what we prefer."""
        accepted = self._policy.authentication
        if self._terms.assigns or self._terms.credentials is None or not accepted:
            return None
        return value if method_of(value) in accepted else OPTION_VALUES[accepted[0]]

    def _revise_authentication(self, suggestion: bytes) -> bytes | None:
        """Offer what the peer names if it is of our list, else the next of the list."""
        wanted = method_of(suggestion)
        if wanted not in self._untried:
            wanted = self._untried[0] if self._untried else None
        if wanted is None:
            return None
        self._untried.remove(wanted)
        return OPTION_VALUES[wanted]

    def _authentication_dropped(self) -> None:
        offered = ", ".join(self._policy.authentication)
        self.fail(LinkEnd.NO_COMMON_AUTHENTICATION, f"the peer refuses to authenticate itself by {offered}")

    def _judge_magic(self, value: bytes) -> bytes:
        return value if any(value) else self.new_magic()

    def _accept(self, value: bytes) -> bytes:
        return value

    OPTIONS: ClassVar[OptionTable] = {
        MRU: OptionRule("Maximum-Receive-Unit", (2,), _judge_mru, _revise_mru),
        ACCM: OptionRule("Async-Control-Character-Map", (4,), _accept),  # L2TP escapes nothing
        AUTHENTICATION: OptionRule(
            "Authentication-Protocol",
            (),
            _judge_authentication,
            _revise_authentication,
            _authentication_dropped,
        ),
        MAGIC: OptionRule("Magic-Number", (4,), _judge_magic, lambda lcp, _: lcp.new_magic()),
        PFC: OptionRule("Protocol-Field-Compression", (0,), _accept),
        ACFC: OptionRule("Address-and-Control-Field-Compression", (0,), _accept),
    }

    # Messages

    @property
    def magic(self) -> bytes:
        """Our magic number; zero where the peer has rejected the option."""
        return self.ours.get(MAGIC, bytes(4))

    def protocol_reject(self, protocol: int, information: memoryview) -> bytes:
        """Return the Protocol-Reject for a packet of ``protocol``, within the peer's MRU (§5.7)."""
        copy = protocol.to_bytes(2, "big") + bytes(information[: self.peer_mru - 6])
        return encode_packet(Code.PROTOCOL_REJECT, self._next_identifier(), copy)

    def handle_timer(self, now: float) -> list[Output]:
        """Restart as every protocol does, and see whether the peer still answers."""
        if self._liveness.due(now):
            if self._liveness.lost:
                self.fail(LinkEnd.ECHO_LOST, f"{self._policy.echo_failures} LCP echoes without an answer")
            else:
                identifier = self._next_identifier()
                self._liveness.asked(identifier, now)
                self._out.append(encode_packet(Code.ECHO_REQUEST, identifier, self.magic))
        return super().handle_timer(now)

    def code_rejected(self, code: int) -> None:
        """Live with a peer who has no echo."""
        if code == Code.ECHO_REQUEST:
            self._liveness.stop()

    def _layer_up(self, now: float) -> None:
        mru = self.theirs.get(MRU)
        self.peer_mru = _DEFAULT_MRU if mru is None else int.from_bytes(mru, "big")
        self._liveness.start(now)
        super()._layer_up(now)

    def _layer_down(self, now: float) -> None:
        self._liveness.stop()
        super()._layer_down(now)

    def _receive_protocol_reject(self, packet: Packet, now: float) -> None:
        """§5.7: of no meaning but in Opened."""
        if self.opened and len(packet.body) >= 2:
            protocol = int.from_bytes(packet.body[:2], "big")
            itself = protocol == Protocol.LCP
            self._step(Event.RXJ_CATASTROPHIC if itself else Event.RXJ_PERMITTED, now)
            if not itself:
                self._out.append(ProtocolRejected(protocol))

    def _receive_echo_request(self, packet: Packet, now: float) -> None:
        """§5.8. Our own magic number comes by a loop, where an answer would prove nothing."""
        looped = any(packet.body[:4]) and packet.body[:4] == memoryview(self.magic)
        if len(packet.body) >= 4 and not looped:
            body = self.magic + bytes(packet.body[4 : self.peer_mru - 4])
            self._reply = encode_packet(Code.ECHO_REPLY, packet.identifier, body)
            self._step(Event.RXR, now)

    def _receive_echo_reply(self, packet: Packet, _now: float) -> None:
        self._liveness.heard(packet.identifier)

    def _receive_identification(self, packet: Packet, _now: float) -> None:
        """RFC 1570 §2.1."""
        if len(packet.body) > 4 and self._identifications < _MAX_IDENTIFICATIONS:
            self._identifications += 1
            self._out.append(Identified(peer_text(packet.body[4:])))

    def _receive_and_ignore(self, packet: Packet, now: float) -> None:
        """Discard-Request (§5.9) and Time-Remaining (RFC 1570 §2.2) want nothing of us."""

    HANDLERS: ClassVar[Mapping[int, str]] = {
        **ControlProtocol.HANDLERS,
        Code.PROTOCOL_REJECT: "_receive_protocol_reject",
        Code.ECHO_REQUEST: "_receive_echo_request",
        Code.ECHO_REPLY: "_receive_echo_reply",
        Code.DISCARD_REQUEST: "_receive_and_ignore",
        Code.IDENTIFICATION: "_receive_identification",
        Code.TIME_REMAINING: "_receive_and_ignore",
    }
