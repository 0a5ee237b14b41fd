"""The side that proves who it is, by PAP, CHAP or MS-CHAPv2: our own dialling client."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from shared.ppp import mschap
from shared.ppp.chap import ChapCode, chap_response, decode_value, encode_value
from shared.ppp.frame import Protocol
from shared.ppp.methods import MSCHAPV2, PAP
from shared.ppp.outputs import Failed, Judged, Output
from shared.ppp.packet import Packet, decode_packet, encode_packet, peer_text
from shared.ppp.pap import PapCode, decode_message, encode_request
from shared.ppp.policy import LinkEnd, LinkPolicy
from shared.ppp.terms import Credentials


class Prover(ABC):
    """What both protocols have in common: an answer is repeated until the authenticator has judged it."""

    NUMBER: ClassVar[int]

    __slots__ = ("_credentials", "_policy", "deadline")

    def __init__(self, policy: LinkPolicy, credentials: Credentials) -> None:
        self._policy = policy
        self._credentials = credentials
        self.deadline: float | None = None

    @abstractmethod
    def start(self, now: float) -> list[Output]:
        """Begin."""

    @abstractmethod
    def receive(self, octets: memoryview, now: float) -> list[Output]:
        """Take one packet. Raises `ProtocolError` where it is to be discarded."""

    def handle_timer(self, now: float) -> list[Output]:
        """Do what is due at ``now``."""
        return self._repeat(now) if self.deadline is not None and now >= self.deadline else []

    @abstractmethod
    def _repeat(self, now: float) -> list[Output]:
        """Send what has not been answered once more."""

    def _judged(self, *, accepted: bool, message: str) -> list[Output]:
        self.deadline = None
        return [Judged(accepted, message)]


class PapProver(Prover):
    """Sends name and password until there is an answer (RFC 1334 §2)."""

    NUMBER = Protocol.PAP

    __slots__ = ("_sent",)

    def __init__(self, policy: LinkPolicy, credentials: Credentials) -> None:
        super().__init__(policy, credentials)
        self._sent = 0  # Identifiers 1 to this have been used

    def start(self, now: float) -> list[Output]:
        """Speak first."""
        return self._repeat(now)

    def receive(self, octets: memoryview, _now: float) -> list[Output]:
        """Take the answer, to whichever of our requests."""
        packet = decode_packet(octets)
        if packet.code not in {PapCode.ACK, PapCode.NAK} or not 1 <= packet.identifier <= self._sent:
            return []
        if self.deadline is None:
            return []
        accepted = packet.code == PapCode.ACK
        return self._judged(accepted=accepted, message=peer_text(decode_message(packet.body)))

    def _repeat(self, now: float) -> list[Output]:
        if self._sent >= self._policy.max_configure:
            self.deadline = None
            return [Failed(LinkEnd.AUTHENTICATION_TIMEOUT, f"{self._sent} PAP requests without an answer")]
        self._sent += 1
        self.deadline = now + self._policy.restart_interval_s
        name, password = self._credentials.username.encode(), self._credentials.password.encode()
        return [encode_packet(PapCode.REQUEST, self._sent, encode_request(name[:255], password[:255]))]


class ChapProver(Prover):
    """Answers each Challenge, and makes an MS-CHAPv2 authenticator prove that it knows the password too."""

    NUMBER = Protocol.CHAP

    __slots__ = ("_expected", "_method", "_question", "_random", "_response", "_tries")

    def __init__(
        self, policy: LinkPolicy, credentials: Credentials, method: str, random: Callable[[int], bytes]
    ) -> None:
        super().__init__(policy, credentials)
        self._method = method
        self._random = random
        self._question = b""  # the body of the last Challenge
        self._response = b""  # a whole packet
        self._expected = ""  # "S=..." in the Success message
        self._tries = 0

    def start(self, _now: float) -> list[Output]:
        """Wait for the Challenge."""
        return []

    def receive(self, octets: memoryview, now: float) -> list[Output]:
        """Take a Challenge, or the answer to our last Response."""
        packet = decode_packet(octets)
        if packet.code == ChapCode.CHALLENGE:
            return self._respond(packet, now)
        if self.deadline is None or packet.identifier != self._response[1]:
            return []
        if packet.code == ChapCode.SUCCESS:
            return self._succeeded(packet)
        if packet.code == ChapCode.FAILURE:
            text = peer_text(packet.body)
            message = mschap.failure_reason(text) if self._method == MSCHAPV2 else text
            return self._judged(accepted=False, message=message)
        return []

    def _respond(self, packet: Packet, now: float) -> list[Output]:
        """A repeated Challenge gets the same Response: the authenticator may have judged that already."""
        challenge, _name = decode_value(packet.body)
        self._tries = 0
        if (
            not self._response
            or packet.identifier != self._response[1]
            or packet.body != memoryview(self._question)
        ):
            self._question = bytes(packet.body)
            value = self._prove(packet.identifier, challenge)
            body = encode_value(value, self._credentials.username.encode())
            self._response = encode_packet(ChapCode.RESPONSE, packet.identifier, body)
        return self._repeat(now)

    def _prove(self, identifier: int, challenge: bytes) -> bytes:
        username, password = self._credentials.username, self._credentials.password
        if self._method != MSCHAPV2:
            return chap_response(identifier, password.encode(), challenge)
        own_challenge = self._random(mschap.PEER_CHALLENGE_OCTETS)
        value = mschap.respond_mschapv2(password, username, challenge, own_challenge)
        self._expected = mschap.expect_success(password, username, challenge, value)
        return value

    def _succeeded(self, packet: Packet) -> list[Output]:
        """RFC 2759 §5: the message begins with what proves the authenticator."""
        if not bytes(packet.body).upper().startswith(self._expected.encode()):
            return self._judged(accepted=False, message="the authenticator does not know the password")
        return self._judged(accepted=True, message=peer_text(packet.body))

    def _repeat(self, now: float) -> list[Output]:
        if self._tries >= self._policy.max_configure:
            self.deadline = None
            return [Failed(LinkEnd.AUTHENTICATION_TIMEOUT, f"{self._tries} responses without an answer")]
        self._tries += 1
        self.deadline = now + self._policy.restart_interval_s
        return [self._response]


def make_prover(
    method: str, policy: LinkPolicy, credentials: Credentials, random: Callable[[int], bytes]
) -> Prover:
    """Return the machine for a method of `shared.ppp.methods`."""
    if method == PAP:
        return PapProver(policy, credentials)
    return ChapProver(policy, credentials, method, random)
