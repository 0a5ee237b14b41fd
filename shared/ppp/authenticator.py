"""The side that demands proof: PAP (RFC 1334 §2), CHAP and MS-CHAPv2 (RFC 1994, RFC 2759).

The verdict comes from elsewhere: an `Authenticate` goes out, `decide` brings the answer. Lost packets are
the reason for most of what is here: a Challenge is repeated until it is answered, an `Authenticate` until it
is decided, and a verdict for as long as the peer repeats the question.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar, Final

from shared.errors import BadLength
from shared.ppp import mschap
from shared.ppp.chap import CHALLENGE_OCTETS, MD5_RESPONSE_OCTETS, ChapCode, decode_value, encode_value
from shared.ppp.commands import Authenticate
from shared.ppp.frame import Protocol
from shared.ppp.methods import CHAP, MSCHAPV2, PAP
from shared.ppp.outputs import Failed, Judged, Output
from shared.ppp.packet import Packet, decode_packet, encode_packet
from shared.ppp.pap import PapCode, decode_request, encode_message
from shared.ppp.policy import LinkEnd, LinkPolicy

_MAX_TEXT: Final = 255


def peer_name(octets: bytes) -> str:
    """Return the name that the peer gives itself, fit for a log line.

    Raises `BadLength` where it is too long for any user. What is no UTF-8 is read as Latin-1.
    """
    if len(octets) > _MAX_TEXT:
        raise BadLength(f"a name of {len(octets)} octets")
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        text = octets.decode("latin-1")
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


class Authenticator(ABC):
    """What PAP and CHAP have in common: one question at a time to whoever decides."""

    NUMBER: ClassVar[int]

    __slots__ = ("_asked", "_body", "_identifier", "_policy", "_request_ids", "_verdict", "deadline")

    def __init__(self, policy: LinkPolicy, request_ids: Iterator[int]) -> None:
        self._policy = policy
        self._request_ids = request_ids
        self._asked: Authenticate | None = None  # and not yet decided
        self._body = b""  # of the packet that it was made from
        self._identifier = 0
        self._verdict: Judged | None = None
        self.deadline: float | None = None

    def pending(self, request_id: int | None) -> bool:
        """True where a decision is awaited: on ``request_id``, or on any for None."""
        return self._asked is not None and request_id in {None, self._asked.request_id}

    @abstractmethod
    def start(self, now: float) -> list[Output]:
        """Begin to demand."""

    @abstractmethod
    def receive(self, octets: memoryview, now: float) -> list[Output]:
        """Take one packet. Raises `ProtocolError` where it is to be discarded."""

    def handle_timer(self, now: float) -> list[Output]:
        """Do what is due at ``now``: ask again while the question is open."""
        if self.deadline is None or now < self.deadline:
            return []
        return self._repeat(now)

    def decide(self, accepted: bool, message: str, _now: float) -> list[Output]:
        """Tell the peer. To be called while `pending`."""
        self._asked = None
        self._body = b""
        self._verdict = Judged(accepted, message)
        self.deadline = None
        return [self._tell(), self._verdict]

    def _repeat(self, now: float) -> list[Output]:
        if self._asked is None:
            self.deadline = None
            return []
        self.deadline = now + self._policy.restart_interval_s
        return [self._asked]

    def _ask(
        self, packet: Packet, method: str, name: bytes, challenge: bytes, response: bytes, now: float
    ) -> list[Output]:
        username = peer_name(name)
        request_id = next(self._request_ids)
        self._body = bytes(packet.body)
        self._asked = Authenticate(request_id, method, username, packet.identifier, challenge, response)
        return self._repeat(now)

    @abstractmethod
    def _tell(self) -> bytes:
        """Return the frame that tells the peer the outcome."""


class PapAuthenticator(Authenticator):
    """Waits for the peer's name and password."""

    NUMBER = Protocol.PAP

    __slots__ = ()

    def start(self, _now: float) -> list[Output]:
        """Wait: in PAP the peer speaks first, as often as it has to."""
        return []

    def receive(self, octets: memoryview, now: float) -> list[Output]:
        """Take an Authenticate-Request (RFC 1334 §2.2.1)."""
        packet = decode_packet(octets)
        if packet.code != PapCode.REQUEST:
            return []
        name, password = decode_request(packet.body)
        if self._asked is not None and packet.body != memoryview(self._body):
            return []
        self._identifier = packet.identifier
        if self._verdict is not None:
            return [self._tell()]
        return self._ask(packet, PAP, name, b"", password, now) if self._asked is None else self._repeat(now)

    def _tell(self) -> bytes:
        verdict = self._verdict or Judged(accepted=False, message="")
        code = PapCode.ACK if verdict.accepted else PapCode.NAK
        return encode_packet(code, self._identifier, encode_message(verdict.message))


class ChapAuthenticator(Authenticator):
    """Challenges the peer: at first, and again at an interval if so configured."""

    NUMBER = Protocol.CHAP

    __slots__ = ("_challenge", "_method", "_random", "_tries")

    def __init__(
        self, policy: LinkPolicy, request_ids: Iterator[int], method: str, random: Callable[[int], bytes]
    ) -> None:
        super().__init__(policy, request_ids)
        self._method = method
        self._random = random
        self._identifier = random(1)[0]
        self._challenge = b""
        self._tries = 0

    def start(self, now: float) -> list[Output]:
        """Send a Challenge that nobody could have foreseen (RFC 1994 §2.3)."""
        self._identifier = self._identifier + 1 & 0xFF
        self._challenge = self._random(CHALLENGE_OCTETS)
        self._tries = 0
        self._verdict = None
        return self._send_challenge(now)

    def receive(self, octets: memoryview, now: float) -> list[Output]:
        """Take a Response (RFC 1994 §4.1) to the last Challenge."""
        packet = decode_packet(octets)
        if packet.code != ChapCode.RESPONSE or packet.identifier != self._identifier or not self._challenge:
            return []
        if self._verdict is not None:
            return [self._tell()]
        if self._asked is not None:
            return self._repeat(now) if packet.body == memoryview(self._body) else []
        value, name = decode_value(packet.body)
        size = mschap.RESPONSE_OCTETS if self._method == MSCHAPV2 else MD5_RESPONSE_OCTETS
        if len(value) != size:
            raise BadLength(f"a Response of {len(value)} octets to {self._method}")
        return self._ask(packet, self._method, name, self._challenge, value, now)

    def decide(self, accepted: bool, message: str, now: float) -> list[Output]:
        """Tell the peer, and remember when to challenge it again."""
        if not accepted and self._method == MSCHAPV2 and not message.startswith("E="):
            message = mschap.failure_message(
                self._random(CHALLENGE_OCTETS), message or "Authentication failed"
            )
        told = super().decide(accepted, message, now)
        if accepted and self._policy.rechallenge_interval_s > 0:
            self.deadline = now + self._policy.rechallenge_interval_s
        return told

    def _repeat(self, now: float) -> list[Output]:
        if self._asked is not None:
            return super()._repeat(now)
        return self.start(now) if self._verdict is not None else self._send_challenge(now)

    def _send_challenge(self, now: float) -> list[Output]:
        """The same octets again for as long as there is no answer.

        RFC 1994 §4.1 wants a new Identifier and Value each time. With those, a peer whose answer takes
        longer than our interval would never be heard; no two questions are ever the same.
        """
        if self._tries >= self._policy.max_configure:
            self.deadline = None
            return [Failed(LinkEnd.AUTHENTICATION_TIMEOUT, f"{self._tries} challenges without a response")]
        self._tries += 1
        self.deadline = now + self._policy.restart_interval_s
        body = encode_value(self._challenge, self._policy.local_name.encode())
        return [encode_packet(ChapCode.CHALLENGE, self._identifier, body)]

    def _tell(self) -> bytes:
        verdict = self._verdict or Judged(accepted=False, message="")
        code = ChapCode.SUCCESS if verdict.accepted else ChapCode.FAILURE
        return encode_packet(code, self._identifier, verdict.message.encode())


def make_authenticator(
    method: str, policy: LinkPolicy, request_ids: Iterator[int], random: Callable[[int], bytes]
) -> Authenticator:
    """Return the machine for a method of `shared.ppp.methods`."""
    if method in {CHAP, MSCHAPV2}:
        return ChapAuthenticator(policy, request_ids, method, random)
    return PapAuthenticator(policy, request_ids)
