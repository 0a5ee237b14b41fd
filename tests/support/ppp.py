"""PPP links without a network: one whose peer is the test, and two joined by a wire of the test's making."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

from shared.l2tp.header import is_control, parse_data_header
from shared.ppp import mschap
from shared.ppp.chap import verify_chap
from shared.ppp.commands import Authenticate, LinkCommand, LinkDown, SendFrame
from shared.ppp.link import Credentials, Link, Side
from shared.ppp.policy import Authorization, IPv4Service, LinkPolicy
from tests.support.captures import datagrams
from tests.support.lossy import Wire

GRANT = Authorization("alice", IPv4Service("10.0.0.1", "10.0.0.10", dns=("192.168.22.1",)), ipv6=True)
IPV4_ONLY = Authorization("alice", IPv4Service("10.0.0.1", "10.0.0.10"))
Said: TypeAlias = "str | LinkCommand"


def spell(commands: Iterable[LinkCommand]) -> list[Said]:
    """Return frames as hexadecimal digits without Address and Control; other commands as they are."""
    return [_hex(item.frame) if isinstance(item, SendFrame) else item for item in commands]


def _hex(frame: bytes) -> str:
    return frame.removeprefix(b"\xff\x03").hex()


def octets_of(spelled: str) -> bytes:
    """Return the frame of "c021 01 01 0004", with Address and Control."""
    return b"\xff\x03" + bytes.fromhex(spelled)


def predictable() -> Callable[[int], bytes]:
    """Return a source of "random" octets: 11 11 11 ..., then 22 22 22 ..., for tests that spell frames."""
    numbers = count(1)
    return lambda size: bytes((next(numbers) * 0x11 & 0xFF,)) * size


def judge(asked: Authenticate, password: str = "secret") -> tuple[bool, str]:
    """Decide as a controller does that knows one user: whether, and what to tell the peer."""
    if asked.username != "alice":
        return False, ""
    if asked.protocol == "pap":
        return asked.response == password.encode(), ""
    if asked.protocol == "chap":
        return verify_chap(asked.identifier, password.encode(), asked.challenge, asked.response), ""
    hashed = mschap.nt_hash(password)
    success = mschap.verify_mschapv2(hashed, asked.username, asked.challenge, asked.response)
    return success is not None, success or ""


class Station:
    """A link whose peer is the test. Time stands still unless `wait` is called."""

    def __init__(
        self,
        side: Side = Side.AUTHENTICATOR,
        *,
        grant: Authorization | None = GRANT,
        credentials: Credentials | None = None,
        random: Callable[[int], bytes] | None = None,
        claim_interface_id: Callable[[int], bool] = lambda _: True,
        **policy: Any,
    ) -> None:
        self.now = 100.0
        self.link = Link(
            LinkPolicy(**policy),
            side,
            random=random or predictable(),
            credentials=credentials,
            authorization=grant if side is Side.PEER else None,
            claim_interface_id=claim_interface_id,
        )
        self._grant = grant

    def open(self) -> list[Said]:
        return spell(self.link.open(self.now))

    def hears(self, *frames: str) -> list[Said]:
        """Return what the link says to ``frames``, each without Address and Control."""
        return [said for frame in frames for said in self.hears_octets(octets_of(frame))]

    def hears_octets(self, frame: bytes) -> list[Said]:
        return spell(self.link.receive(frame, self.now))

    def decide(self, accepted: bool, message: str = "", reason: str = "bad password") -> list[Said]:
        grant = self._grant if accepted else None
        return spell(self.link.decide(accepted, message, reason, grant, self.now))

    def wait(self, seconds: float) -> list[Said]:
        """Let time pass; return what the link says in it."""
        end = self.now + seconds
        said: list[Said] = []
        while (due := self.link.next_timeout()) is not None and due <= end:
            self.now = max(self.now, due)
            said += spell(self.link.handle_timer(self.now))
        self.now = end
        return said

    # Short cuts to a phase, for links with the policy's defaults

    def to_authentication(self, method: str = "0304c023") -> Station:
        """Open LCP with a peer that agrees to everything; ``method`` is the option that we send."""
        first = self.open()[0]
        assert isinstance(first, str)
        assert method in first
        self.hears("c021 01 07 000a 0506 0badcafe")
        self.hears("c021 02" + first[6:])
        return self

    def to_network(self) -> list[Said]:
        """Authenticate by PAP; return what the link says when the network phase begins."""
        self.to_authentication()
        self.hears("c023 01 01 0011 05 616c696365 06 736563726574")
        return self.decide(True)[1:]

    def to_ipcp(self) -> Station:
        """Open IPCP (and IPV6CP as far as our own request goes)."""
        self.to_network()
        self.hears("8021 02 01 000a 0306 0a000001", "8021 01 05 000a 0306 0a00000a")
        assert self.link.ipv4 == "10.0.0.10"
        return self


@dataclass(order=True)
class _Event:
    time: float
    order: int
    to: int = field(compare=False)
    frame: bytes = field(compare=False)


class Pair:
    """An AUTHENTICATOR (0), whose controller knows alice, and a PEER (1), in virtual time."""

    def __init__(
        self,
        wire: Wire | None = None,
        *,
        authenticator: dict[str, Any] | None = None,
        peer: dict[str, Any] | None = None,
        grant: Authorization | None = GRANT,
        credentials: Credentials | None = Credentials("alice", "secret"),  # noqa: B008 - immutable
        seed: int = 1,
    ) -> None:
        source = random.Random(seed)
        self.now = 0.0
        self.wire = wire or Wire()
        policies = (LinkPolicy(**(authenticator or {})), LinkPolicy(**(peer or {})))
        self.links = (
            Link(policies[0], Side.AUTHENTICATOR, random=source.randbytes, local_interface_id=1),
            Link(
                policies[1],
                Side.PEER,
                random=source.randbytes,
                credentials=credentials,
                local_interface_id=2,
            ),
        )
        self.said: tuple[list[LinkCommand], list[LinkCommand]] = ([], [])
        self._grant = grant
        self._order = count()
        self._events: list[_Event] = []

    def open(self) -> Pair:
        for which in (0, 1):
            self.perform(which, self.links[which].open(self.now))
        return self

    def perform(self, which: int, commands: list[LinkCommand]) -> None:
        for command in commands:
            assert not self.down(which), f"{command} after LinkDown"
            self.said[which].append(command)
            if isinstance(command, SendFrame):
                for delay in self.wire.delays():
                    event = _Event(self.now + delay, next(self._order), 1 - which, command.frame)
                    heapq.heappush(self._events, event)
            elif isinstance(command, Authenticate):
                self._decide(which, command)

    def _decide(self, which: int, asked: Authenticate) -> None:
        accepted, message = judge(asked)
        grant = self._grant if accepted else None
        link = self.links[which]
        commands = link.decide(accepted, message, "refused", grant, self.now, asked.request_id)
        self.perform(which, commands)

    def run(self, seconds: float) -> Pair:
        """Let ``seconds`` pass."""
        end = self.now + seconds
        while (due := self._next_due()) is not None and due <= end:
            self.now = max(self.now, due)
            while self._events and self._events[0].time <= self.now:
                event = heapq.heappop(self._events)
                self.perform(event.to, self.links[event.to].receive(event.frame, self.now))
            for which in (0, 1):
                timeout = self.links[which].next_timeout()
                if timeout is not None and timeout <= self.now:
                    self.perform(which, self.links[which].handle_timer(self.now))
        self.now = end
        return self

    def _next_due(self) -> float | None:
        times = [self._events[0].time] if self._events else []
        times += [time for link in self.links if (time := link.next_timeout()) is not None]
        return min(times, default=None)

    def down(self, which: int) -> LinkDown | None:
        last = self.said[which][-1] if self.said[which] else None
        return last if isinstance(last, LinkDown) else None

    def up(self) -> bool:
        """Whether both sides have IPv4, and the same addresses."""
        ours, theirs = self.links
        return ours.ipv4 is not None and (ours.ipv4, ours.local_ipv4) == (theirs.local_ipv4, theirs.ipv4)

    def frames(self, which: int) -> list[str]:
        """Return what one side has sent, spelled."""
        return [_hex(item.frame) for item in self.said[which] if isinstance(item, SendFrame)]


def l2tp_frames(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the PPP frames in the L2TP data messages of a capture, each with its sender's address."""
    for datagram in datagrams(path, 1701):
        message = memoryview(datagram.payload)
        header = None if is_control(message) else parse_data_header(message)
        if header is not None:
            frame = message[header.offset_of_payload : header.end_of_payload]
            yield datagram.source[0], bytes(frame)
