"""One control connection with its calls: datagrams and time in, commands out. See `ControlConnection`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from shared.addresses import Address
from shared.errors import ProtocolError
from shared.l2tp.actions import Abandon, Action, Refuse, Remark, Send, Up
from shared.l2tp.calls import Calls
from shared.l2tp.channel import Arrival
from shared.l2tp.commands import (
    CallOffered,
    Command,
    Note,
    PeerMoved,
    Released,
    SessionDown,
    SessionUp,
    Transmit,
    TunnelDown,
    TunnelUp,
)
from shared.l2tp.header import ControlHeader, decode_control
from shared.l2tp.messages import (
    HELLO,
    SCCCN,
    SCCRP,
    SCCRQ,
    BadMessage,
    Message,
    StopCCN,
    UnknownMessage,
    decode_leniently,
    decode_message,
)
from shared.l2tp.path import Path
from shared.l2tp.results import (
    CallResult,
    DisconnectCause,
    Result,
    ResultKind,
    StopResult,
)
from shared.l2tp.session import CallInfo, CallPhase, CallState
from shared.l2tp.settings import FULL_CYCLE_S, ConnectionSettings, Role
from shared.l2tp.transport import Transport
from shared.l2tp.tunnel import Tunnel, TunnelState
from shared.l2tp.unaddressed import read_sccrq, read_stop

__all__ = [
    "CallInfo",
    "CallOffered",
    "CallPhase",
    "CallResult",
    "CallState",
    "Command",
    "ConnectionSettings",
    "ControlConnection",
    "DisconnectCause",
    "Note",
    "PeerMoved",
    "Released",
    "Result",
    "ResultKind",
    "Role",
    "SessionDown",
    "SessionUp",
    "StopResult",
    "Transmit",
    "TunnelDown",
    "TunnelState",
    "TunnelUp",
    "read_sccrq",
    "read_stop",
]

_BACKLOG: Final = 1024  # replies that a peer may leave unacknowledged before we take no more from it
_RESTART_PATIENCE: Final = 2  # unanswered retransmissions after which a peer that sends SCCRQ has restarted
_LATE_REPETITION_S: Final = 10.0  # how old an SCCRQ can be that the network has delayed
_OVER: Final = frozenset({TunnelState.STOPPING, TunnelState.CLOSED, TunnelState.RELEASED})


class ControlConnection:
    """The RFC 2661 machines of one tunnel, joined: `ReliableChannel`, `Tunnel`, `Calls`, `Path`.

    Each method returns what the owner must do, in order, and afterwards `next_timeout` tells when to call
    `handle_timer`. Nothing that a peer sends makes `receive` raise. Each session that was accepted or placed
    ends with one `SessionDown`, the tunnel with one `TunnelDown` and later one `Released`, whoever ends it.
    ``random`` returns as many random octets as it is asked for: `secrets.token_bytes`.
    """

    __slots__ = (
        "_calls",
        "_channel",
        "_deadline",
        "_heard",
        "_out",
        "_path",
        "_settings",
        "_suspicion",
        "_transport",
        "_tunnel",
        "_up_since",
        "role",
    )

    def __init__(
        self,
        settings: ConnectionSettings,
        role: Role,
        local_tunnel_id: int,
        peer: Address,
        *,
        random: Callable[[int], bytes],
    ) -> None:
        self.role = role
        self._settings = settings
        self._out: list[Command] = []
        self._tunnel = Tunnel(settings, local_tunnel_id, random)
        self._calls = Calls(settings, role, self._send, self._emit)
        self._path = Path(peer, settings.amplification, proven=role is Role.LAC)
        self._transport = Transport(settings, self._path, random, self._emit)
        self._channel = self._transport.channel
        self._deadline: float | None = None  # of establishment, or of the state kept after StopCCN
        self._heard = 0.0
        self._up_since = 0.0
        self._suspicion: int | None = None  # retransmissions left before the peer is taken for restarted

    # What the owner may ask.

    @property
    def local_tunnel_id(self) -> int:
        """The ID that we chose, which the peer writes in headers to us."""
        return self._tunnel.local_tunnel_id

    @property
    def peer_tunnel_id(self) -> int:
        """The ID that the peer chose; 0 until it has said it."""
        return self._tunnel.peer_tunnel_id

    @property
    def peer(self) -> Address:
        """Where the peer is; changes with `PeerMoved`."""
        return self._path.peer

    @property
    def peer_hostname(self) -> str:
        """The peer's Host Name, printable."""
        return self._tunnel.peer_hostname

    @property
    def peer_vendor(self) -> str:
        """The peer's Vendor Name, printable; empty if it gave none."""
        return self._tunnel.peer_vendor

    @property
    def state(self) -> TunnelState:
        """The state of the control connection."""
        return self._tunnel.state

    @property
    def sessions(self) -> dict[int, CallState]:
        """The calls by local session ID; read only."""
        return self._calls.sessions

    def next_timeout(self) -> float | None:
        """When `handle_timer` is due; None where nothing is awaited."""
        if self.state is TunnelState.RELEASED:
            return None
        times = (self._channel.next_timeout(), self._deadline, self._calls.next_deadline(), self._hello_due())
        return min((time for time in times if time is not None), default=None)

    # What the owner tells.

    def open(self, now: float) -> list[Command]:
        """Begin as LAC: send SCCRQ."""
        self._deadline = now + self._settings.setup_timeout_s
        self._send(0, self._tunnel.open())
        return self._finish(now)

    def receive(self, datagram: bytes | memoryview, source: Address, now: float) -> list[Command]:
        """Take a control message, for an LNS the first SCCRQ too; never raises."""
        try:
            header, body = decode_control(memoryview(datagram))
        except ProtocolError:
            return []
        if self.state is TunnelState.RELEASED:
            return []
        if not self._addressed(header, body, source, now):
            return self._finish(now)
        if not self._admit(header, len(datagram), source, now):
            return self._finish(now)
        self._path.count_received(len(datagram))
        self._heard = now
        if self._channel.acknowledge(header.nr, now):
            self._acknowledged()
        if len(body) and self._channel.backlog < _BACKLOG + 2 * len(self.sessions):
            self._arrived(header, body, now)
        return self._finish(now)

    def accept_call(self, peer_session_id: int, local_session_id: int, now: float) -> list[Command]:
        """Answer `CallOffered` with ICRP. Where the call is gone meanwhile, a `SessionDown` says so."""
        self._calls.accept(peer_session_id, local_session_id)
        return self._finish(now)

    def reject_call(self, peer_session_id: int, result: Result, now: float) -> list[Command]:
        """Answer `CallOffered` with CDN."""
        self._calls.reject(peer_session_id, result)
        return self._finish(now)

    def place_call(self, local_session_id: int, call: CallInfo, now: float) -> list[Command]:
        """Ask the LNS for a session, as soon as the tunnel is established."""
        self._calls.place(local_session_id, call, self.state, now)
        return self._finish(now)

    def close_session(
        self, local_session_id: int, result: Result, now: float, cause: DisconnectCause | None = None
    ) -> list[Command]:
        """End one session with CDN; nothing happens where there is no such session."""
        self._calls.close(local_session_id, result, cause)
        return self._finish(now)

    def close(self, result: Result, now: float) -> list[Command]:
        """End the tunnel with StopCCN, and with it all its sessions."""
        self._stop(result, now)
        return self._finish(now)

    def probe(self, source: Address, now: float) -> list[Command]:
        """Data for this tunnel came from ``source``, which is not its peer: find out whether it moved."""
        if source != self.peer and self.state is TunnelState.ESTABLISHED:
            self._transport.probe(source, 0, now)
        return self._finish(now)

    def handle_timer(self, now: float) -> list[Command]:
        """Do what is due at ``now``."""
        if self.state is TunnelState.RELEASED:
            return []
        if self._deadline is not None and self._deadline <= now:
            self._expired(now)
        elif self._channel.retransmission_due(now):
            self._retransmit(now)
        self._calls.expire(now)
        hello_due = self._hello_due()
        if hello_due is not None and hello_due <= now:
            self._send(0, HELLO())
        return self._finish(now)

    # Receiving.

    def _addressed(self, header: ControlHeader, body: memoryview, source: Address, now: float) -> bool:
        """Whether a message is of this tunnel's sequence: by its header, or by an AVP where that has 0."""
        if header.tunnel_id == self.local_tunnel_id:
            return self.state is not TunnelState.IDLE
        if header.tunnel_id != 0 or not len(body):
            return False
        if self.state is TunnelState.IDLE:  # the owner has seen that it is an SCCRQ
            self._deadline = now + self._settings.setup_timeout_s
            return True
        match decode_leniently(body, self._settings.secret):
            case SCCRQ(assigned_tunnel_id=peer_tunnel_id) as request:
                if self.state is TunnelState.WAIT_CTL_CONN:  # a repetition; any other Ns is somebody else's
                    return peer_tunnel_id == self.peer_tunnel_id and header.ns == 0
                self._requested(request, source, now)
            case StopCCN(assigned_tunnel_id=peer_tunnel_id):
                waiting = self.state is TunnelState.WAIT_CTL_REPLY  # and it could not read our ID
                return waiting or peer_tunnel_id == self.peer_tunnel_id
        return False

    def _requested(self, request: SCCRQ, source: Address, now: float) -> None:
        """Sort out another SCCRQ that is no repetition: a tie with ours, or a peer that has begun anew."""
        if source == self.peer and self.state is TunnelState.WAIT_CTL_REPLY:
            self._perform(self._tunnel.receive(request), now)
        elif source == self.peer and request.assigned_tunnel_id == self.peer_tunnel_id:
            self._suspect_restart(now)

    def _admit(self, header: ControlHeader, octets: int, source: Address, now: float) -> bool:
        """Whether to act on a message from ``source``: it is the peer's address, or has just become it."""
        if not self._channel.may_acknowledge(header.nr):
            return False
        if self.state is TunnelState.ESTABLISHED:
            return self._transport.admits(header, octets, source, now)
        if self.state is TunnelState.WAIT_CTL_REPLY and source != self.peer:
            return source[0] == self.peer[0] and self._transport.move(source)  # §8.1: from another port
        return source == self.peer

    def _acknowledged(self) -> None:
        """The peer has acknowledged something of ours, from its own address."""
        self._path.proven = True
        self._path.dismiss()
        self._suspicion = None
        if self.state is TunnelState.STOPPING and self._channel.idle:
            self._release()

    def _arrived(self, header: ControlHeader, body: memoryview, now: float) -> None:
        arrival = self._channel.receive(header, body, now)
        if arrival is Arrival.NEXT:
            self._deliver(header, body, now)
            while (early := self._channel.pop_early(now)) is not None:
                self._deliver(early[0], memoryview(early[1]), now)
        elif arrival is Arrival.DUPLICATE and not self._path.proven:
            self._transport.repeat_reply()

    def _deliver(self, header: ControlHeader, body: memoryview, now: float) -> None:
        """Act on the next message in order."""
        if self.state in {TunnelState.CLOSED, TunnelState.RELEASED}:
            return
        try:
            message = decode_message(body, self._settings.secret)
        except BadMessage as error:
            self._violated(header, error, now)
            return
        match message:
            case StopCCN():
                self._stopped(message, now)
            case _ if self.state is TunnelState.STOPPING:
                pass
            case HELLO():
                pass  # its acknowledgement is all that it wants
            case UnknownMessage(message_type=message_type):
                self._emit(Note(f"ignored a message of unknown type {message_type}"))
            case SCCRQ() | SCCRP() | SCCCN():
                self._perform(self._tunnel.receive(message), now)
            case _ if self.state is TunnelState.ESTABLISHED:
                self._calls.receive(header, message, now)
            case _:
                text = f"{type(message).__name__} in {self.state.value}"
                self._stop(Result(StopResult.FSM_ERROR, 0, text), now)

    def _violated(self, header: ControlHeader, error: BadMessage, now: float) -> None:
        if self.state is TunnelState.STOPPING:
            return
        if not self.peer_tunnel_id:
            self._tunnel.peer_tunnel_id = error.assigned_tunnel_id
        if error.ends_session and self.state is TunnelState.ESTABLISHED:
            self._calls.violated(header, error)
        else:
            self._stop(Result(StopResult.GENERAL_ERROR, error.error, str(error)), now)

    def _perform(self, actions: tuple[Action, ...], now: float) -> None:
        """Do what the tunnel's machine wants; it has learned the peer's ID and window meanwhile."""
        self._channel.peer_tunnel_id = self._tunnel.peer_tunnel_id
        for action in actions:
            match action:
                case Send(message):
                    self._channel.set_peer_window(self._tunnel.peer_window)
                    self._send(0, message)
                case Up():
                    self._deadline = None
                    self._up_since = now
                    self._emit(TunnelUp())
                    self._calls.request_waiting(now)
                case Refuse(result):
                    self._stop(result, now)
                case Abandon(reason):
                    self._end(Result(StopResult.ALREADY_EXISTS, 0, reason), reason, by_peer=False)
                    self._release()
                case Remark(text):
                    self._emit(Note(text))

    # A peer that has moved, or begun anew.

    def _suspect_restart(self, now: float) -> None:
        """A peer that has lost its state requests the tunnel again under the same ID: ask whether it lives.

        Our HELLO is answered if the SCCRQ was forged. Soon after establishment it is an old repetition. It is
        not acknowledged in any case: that would keep a peer in its new life from repeating it.
        """
        if self.state is not TunnelState.ESTABLISHED or now < self._up_since + _LATE_REPETITION_S:
            return
        if self._suspicion is None:
            self._suspicion = _RESTART_PATIENCE
            if self._channel.idle:
                self._send(0, HELLO())

    # The end.

    def _stop(self, result: Result, now: float) -> None:
        """End the tunnel from our side; without a lasting state where the peer has proven nothing."""
        if self.state in _OVER:
            return
        self._end(result, result.text(ResultKind.STOPCCN), by_peer=False)
        if not self.peer_tunnel_id:
            self._release()
            return
        self._channel.peer_tunnel_id = self.peer_tunnel_id
        self._channel.drop_untransmitted()
        self._send(0, StopCCN(assigned_tunnel_id=self.local_tunnel_id, result=result))
        self._tunnel.state = TunnelState.STOPPING
        self._deadline = now + FULL_CYCLE_S
        if not self._path.proven:
            self._transport.flush(now)
            self._release()

    def _stopped(self, message: StopCCN, now: float) -> None:
        """The peer has ended the tunnel; its retransmissions are acknowledged for a full cycle (§5.7)."""
        if self.state is not TunnelState.STOPPING:
            self._end(message.result, message.result.text(ResultKind.STOPCCN), by_peer=True)
        if not self.peer_tunnel_id:  # it refuses our SCCRQ
            self._tunnel.peer_tunnel_id = self._channel.peer_tunnel_id = message.assigned_tunnel_id
        self._channel.clear()
        self._channel.acknowledge_now(now)
        self._tunnel.state = TunnelState.CLOSED
        self._deadline = now + FULL_CYCLE_S

    def _end(self, result: Result, reason: str, *, by_peer: bool) -> None:
        self._calls.end_all(result, reason, by_peer=by_peer)
        self._emit(TunnelDown(result, reason, by_peer))

    def _release(self) -> None:
        if self.state is not TunnelState.RELEASED:
            self._tunnel.state = TunnelState.RELEASED
            self._deadline = None
            self._channel.clear()
            self._emit(Released())

    def _lost(self, text: str) -> None:
        """The peer is not there any more: nobody is left to tell."""
        if self.state not in _OVER:
            self._end(Result(StopResult.GENERAL_ERROR, 0, text), text, by_peer=False)
        self._release()

    # Time.

    def _hello_due(self) -> float | None:
        """When HELLO is due; it is held back while anything of ours is unacknowledged (§5.5)."""
        if self.state is not TunnelState.ESTABLISHED or not self._channel.idle:
            return None
        interval = self._settings.hello_interval_s
        return self._heard + interval if interval > 0 else None

    def _expired(self, now: float) -> None:
        """The tunnel was not established in time, or the state after StopCCN was kept long enough."""
        if self.state in _OVER:
            self._release()
        else:
            self._stop(
                Result(StopResult.GENERAL_ERROR, 0, f"not established in time, still in {self.state.value}"),
                now,
            )

    def _retransmit(self, now: float) -> None:
        if self._channel.given_up:
            self._lost("the peer does not answer")
            return
        if self._suspicion is not None:
            self._suspicion -= 1
            if self._suspicion < 0:
                self._lost("the peer has restarted")
                return
        self._transport.retransmit(now)

    # Sending.

    def _send(self, peer_session_id: int, message: Message) -> None:
        self._transport.send(peer_session_id, message)

    def _emit(self, command: Command) -> None:
        self._out.append(command)

    def _finish(self, now: float) -> list[Command]:
        """Send what may go and hand over everything that was gathered."""
        if self.state is not TunnelState.RELEASED:
            self._transport.flush(now)
        commands, self._out = self._out, []
        return commands
