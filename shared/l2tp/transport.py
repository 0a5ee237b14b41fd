"""Messages to and from datagrams: a reliable channel over a path whose far end may be forged or may move."""

from __future__ import annotations

from collections.abc import Callable

from shared.addresses import Address
from shared.l2tp.channel import ReliableChannel
from shared.l2tp.commands import Command, PeerMoved, Transmit
from shared.l2tp.header import ControlHeader
from shared.l2tp.hiding import RANDOM_VECTOR_OCTETS, Hider
from shared.l2tp.messages import HELLO, Message, encode_message
from shared.l2tp.path import Path
from shared.l2tp.settings import ConnectionSettings


class Transport:
    """Encodes, hides and sends; knows whose datagrams count. ``emit`` takes `Transmit` and `PeerMoved`."""

    __slots__ = ("_emit", "_random", "_settings", "channel", "path")

    def __init__(
        self,
        settings: ConnectionSettings,
        path: Path,
        random: Callable[[int], bytes],
        emit: Callable[[Command], None],
    ) -> None:
        self._settings = settings
        self._random = random
        self._emit = emit
        self.channel = ReliableChannel(settings)
        self.path = path

    def send(self, peer_session_id: int, message: Message) -> None:
        """Queue a message; `flush` sends it when the window allows."""
        secret = self._settings.secret
        hides = secret is not None and self._settings.hide_avps
        hider = Hider(secret, self._random(RANDOM_VECTOR_OCTETS)) if secret and hides else None
        self.channel.enqueue(peer_session_id, encode_message(message, hider))

    def flush(self, now: float) -> None:
        """Send what may go."""
        for datagram in self.channel.flush(now):
            self._transmit(datagram)

    def retransmit(self, now: float) -> None:
        """Send the oldest message again, to an address that may be the peer's new one as well."""
        datagram = self.channel.retransmit(now)
        self._transmit(datagram)
        candidate = self.path.also_to(self.channel.oldest_ns, len(datagram))
        if candidate is not None:
            self._emit(Transmit(datagram, candidate))

    def repeat_reply(self) -> None:
        """Answer a repeated SCCRQ with SCCRP: a ZLB would end its repetition, and our credit with it."""
        reply = self.channel.repeat()
        if reply is not None:
            self._transmit(reply)

    def admits(self, header: ControlHeader, octets: int, source: Address, now: float) -> bool:
        """Whether ``source`` is the peer of an established tunnel; it is looked into if it may become it."""
        if source == self.path.peer:
            return True
        if not self.channel.near_window(header.ns):
            return False
        if self.path.proves(source, self.channel.oldest_ns, header.nr):
            return self.move(source)
        self.probe(source, octets, now)
        return False

    def probe(self, source: Address, octets: int, now: float) -> None:
        """Find out whether the peer is at ``source`` now, from where ``octets`` octets came."""
        if self.path.nominate(source, octets, now) and self.channel.idle:
            self.send(0, HELLO())

    def move(self, source: Address) -> bool:
        """Take ``source`` as the peer's address from now on; always True."""
        self.path.move(source)
        self._emit(PeerMoved(source))
        return True

    def _transmit(self, datagram: bytes) -> None:
        if self.path.may_send(len(datagram)):
            self._emit(Transmit(datagram, self.path.peer))
