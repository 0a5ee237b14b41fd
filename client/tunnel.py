"""One tunnel of a client: the LAC's control connection and a PPP link for each call, without a socket.

The owner says what happens to octets and hears what has come up or gone; deadlines are kept in the
owner's `TimerQueue` under (tunnel, local session ID), with 0 for the control connection.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, cast

from client.call import Call
from client.failure import Failure, Stage
from client.tunnel_owner import Owner
from shared.addresses import Address
from shared.l2tp.commands import (
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
from shared.l2tp.connection import ControlConnection
from shared.l2tp.header import DataHeader
from shared.l2tp.results import CallResult, DisconnectCause, Result, StopResult
from shared.l2tp.session import CallInfo
from shared.l2tp.settings import ConnectionSettings, Role
from shared.l2tp.tunnel import TunnelState
from shared.ppp.commands import (
    Identified,
    LinkCommand,
    LinkDown,
    NetworkDown,
    NetworkUp,
    SendFrame,
)
from shared.ppp.frame import ADDRESS_CONTROL, split_frame
from shared.ppp.frame import Protocol as PPPProtocol
from shared.ppp.policy import LinkEnd, LinkPolicy
from shared.timers import TimerQueue

_PACKETS: Final = {protocol: protocol.to_bytes(2, "big") for protocol in (PPPProtocol.IPV4, PPPProtocol.IPV6)}
CONTROL: Final = 0  # in the place of a session ID: the control connection's own deadline
_CLOSED: Final = frozenset({TunnelState.CLOSED, TunnelState.RELEASED})
_BY_THE_LNS: Final = frozenset({LinkEnd.PEER_TERMINATED, LinkEnd.AUTHENTICATION_FAILED})


class ClientTunnel:
    """The LAC's end of one tunnel and what runs in it.

    ``random`` gives that many unpredictable octets. Nothing that the LNS can send makes a method raise.
    """

    def __init__(
        self,
        owner: Owner,
        timers: TimerQueue[object],
        settings: ConnectionSettings,
        policy: LinkPolicy,
        local_tunnel_id: int,
        lns: Address,
        *,
        random: Callable[[int], bytes],
        ipv6: bool = False,
    ) -> None:
        self.connection = ControlConnection(settings, Role.LAC, local_tunnel_id, lns, random=random)
        self.calls: dict[int, Call] = {}
        self.established = False
        self.ended: Failure | None = None
        self.acknowledged = False  # the LNS knows of the end: our StopCCN was answered, or was its own
        self._owner = owner
        self._timers = timers
        self._policy = policy
        self._random = random
        self._ipv6 = ipv6
        self._closing = False
        self._stopped = False
        self._waiting: deque[tuple[Call | None, Command | LinkCommand]] = deque()
        self._performing = False

    # ------------------------------------------------------------------------- what the owner asks for

    def open(self, now: float) -> None:
        """Send the SCCRQ."""
        self._perform(self.connection.open(now), now)

    def place_call(self, call: Call, info: CallInfo, now: float) -> None:
        """Send the ICRQ of ``call``; the tunnel must be established."""
        self.calls[call.session_id] = call
        self._perform(self.connection.place_call(call.session_id, info, now), now)

    def hang_up(self, call: Call, reason: str, now: float) -> None:
        """End ``call`` in an orderly way: LCP Terminate-Request, then CDN."""
        if call.closing:
            return
        call.closing = True
        call.failure = call.failure or Failure(Stage.PPP, by_peer=False, reason=reason)
        if call.link is None:
            self._clear(call, now)
        else:
            self._perform(call.link.close(LinkEnd.ADMINISTRATIVE, reason, now), now, call)

    def give_up(self, call: Call, failure: Failure, now: float) -> None:
        """End ``call`` at once by CDN, since it has failed to come up."""
        call.closing = True
        call.failure = call.failure or failure
        self._clear(call, now)

    def close(self, reason: str, now: float) -> None:
        """Hang up all calls, then send the StopCCN."""
        if self.ended is not None:
            return
        self._closing = True
        for call in list(self.calls.values()):
            self.hang_up(call, reason, now)
        self._stop_when_empty(now)

    # ------------------------------------------------------------------------------ what happens to it

    def receive_control(self, datagram: memoryview, source: Address, now: float) -> None:
        """Take a control message that was addressed to this tunnel."""
        was_closed = self.connection.state in _CLOSED
        commands = self.connection.receive(datagram, source, now)
        self.acknowledged = self.connection.state in _CLOSED
        self._perform(commands, now)
        if self.connection.state is TunnelState.CLOSED and not was_closed:
            self._owner.closed_by_lns(self)

    def receive_data(self, header: DataHeader, datagram: memoryview, now: float) -> None:
        """Take a data message that was addressed to this tunnel; IP packets go to the owner."""
        call = self.calls.get(header.session_id)
        if call is None or call.link is None or not call.sequence.receive(header.ns):
            return
        frame = datagram[header.offset_of_payload : header.end_of_payload]
        split = split_frame(frame)
        if split is not None and split[0] in _PACKETS:
            self._owner.packet(call, *split)
        elif split is not None:
            self._perform(call.link.receive(frame, now), now, call)

    def send_packet(self, call: Call, protocol: int, packet: bytes | bytearray | memoryview) -> None:
        """Send an IP packet to the LNS."""
        self._transmit(call.data_message(b"".join((ADDRESS_CONTROL, _PACKETS[protocol], packet))))

    def _transmit(self, data_message: bytes) -> None:
        self._owner.transmit(self, data_message, self.connection.peer)

    def handle_timer(self, session_id: int, now: float) -> None:
        """Do what is due for the control connection (`CONTROL`) or for one call."""
        if session_id == CONTROL:
            self._perform(self.connection.handle_timer(now), now)
        elif (call := self.calls.get(session_id)) is not None and call.link is not None:
            self._perform(call.link.handle_timer(now), now, call)

    # ---------------------------------------------------------------------------- the machines' commands

    def _perform(
        self, commands: Iterable[Command | LinkCommand], now: float, call: Call | None = None
    ) -> None:
        """Do ``commands``, those of ``call``'s link or of the control connection, after all earlier ones.

        An owner that reacts to one by asking for more only appends, so octets leave in the order of their Ns.
        """
        self._waiting.extend((call, command) for command in commands)
        self._rearm(call)
        if self._performing:
            return
        self._performing = True
        while self._waiting:
            which, command = self._waiting.popleft()
            if which is None:
                self._perform_one(cast("Command", command), now)
            else:
                self._perform_link_one(which, cast("LinkCommand", command), now)
        self._performing = False

    def _rearm(self, call: Call | None) -> None:
        if call is None:
            self._timers.set((self, CONTROL), self.connection.next_timeout())
        elif call.link is not None and call.session_id in self.calls:
            self._timers.set((self, call.session_id), call.link.next_timeout())

    def _perform_one(self, command: Command, now: float) -> None:
        match command:
            case Transmit(datagram=datagram, to=to):
                self._owner.transmit(self, datagram, to)
            case SessionUp():
                self._session_up(command, now)
            case SessionDown():
                self._session_down(command, now)
            case TunnelUp():
                self.established = True
                self._owner.tunnel_up(self)
            case TunnelDown():
                self._tunnel_down(command)
            case Released():
                self._owner.released(self)
            case PeerMoved(to=to):
                self._owner.note(self, f"the LNS is at {to[0]} port {to[1]} now")
            case Note(text=text):
                self._owner.note(self, text)
            case _:  # CallOffered: the machine of a LAC refuses calls that an LNS offers
                pass

    def _session_up(self, up: SessionUp, now: float) -> None:
        call = self.calls.get(up.local_session_id)
        if call is None:
            return
        link = call.connect(up.peer_session_id, self._policy, random=self._random, ipv6=self._ipv6)
        self._owner.call_connected(call)
        self._perform(link.open(now), now, call)

    def _session_down(self, down: SessionDown, now: float) -> None:
        call = self.calls.get(down.local_session_id)
        if call is None:
            return
        stage = Stage.CALL if call.link is None else Stage.PPP
        code, error = down.result.code, down.result.error
        own = Failure(stage, by_peer=down.by_peer, reason=down.reason, code=code, error=error)
        del self.calls[call.session_id]
        self._timers.set((self, call.session_id), None)
        self._owner.call_down(call, call.failure or own)
        self._stop_when_empty(now)

    def _tunnel_down(self, down: TunnelDown) -> None:
        code, error = down.result.code, down.result.error
        failure = Failure(Stage.TUNNEL, by_peer=down.by_peer, reason=down.reason, code=code, error=error)
        self.ended = failure
        self._owner.tunnel_down(self, failure)

    def _perform_link_one(self, call: Call, command: LinkCommand, now: float) -> None:
        match command:
            case SendFrame(frame=frame, priority=priority):
                self._transmit(call.data_message(frame, priority=priority))
            case NetworkUp(protocol=protocol):
                self._owner.network_up(call, protocol)
            case NetworkDown(protocol=protocol):
                self._owner.network_down(call, protocol)
            case Identified(text=text):
                self._owner.note(self, f"the LNS identifies itself as {text}")
            case LinkDown():
                self._link_down(call, command, now)
            case _:  # Authenticate and WishAddress are asked of an authenticator only
                pass

    def _link_down(self, call: Call, down: LinkDown, now: float) -> None:
        by_peer = down.end in _BY_THE_LNS
        call.failure = call.failure or Failure(Stage.PPP, by_peer=by_peer, reason=down.reason, end=down.end)
        cause = DisconnectCause(down.ppp_code, down.ppp_protocol, down.ppp_direction, down.ppp_message)
        self._clear(call, now, cause)

    def _clear(self, call: Call, now: float, cause: DisconnectCause | None = None) -> None:
        """Send the CDN of ``call``; its `SessionDown` follows."""
        assert call.failure is not None
        result = Result(CallResult.ADMINISTRATIVE, 0, call.failure.reason)
        self._perform(self.connection.close_session(call.session_id, result, now, cause), now)

    def _stop_when_empty(self, now: float) -> None:
        if self._closing and not self._stopped and not self.calls and self.ended is None:
            self._stopped = True
            result = Result(StopResult.SHUTTING_DOWN, 0, "")
            self._perform(self.connection.close(result, now), now)
