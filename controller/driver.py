"""Runs the machine of one tunnel and performs what it commands; a bug there ends that tunnel alone."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from controller.admission import Admission
from controller.placement import Placement
from controller.ports import Network, Timers, Workers
from controller.quiet import QuietLog, shown, told
from controller.registry import Registry, Tunnel, TunnelState
from controller.totals import Totals
from shared.addresses import address_text
from shared.ipc.messages import PeerConfirmed
from shared.l2tp.connection import (
    CallOffered,
    Command,
    Note,
    PeerMoved,
    Released,
    Result,
    SessionDown,
    SessionUp,
    StopResult,
    Transmit,
    TunnelDown,
    TunnelUp,
)

log = logging.getLogger(__name__)

_NOTHING: Final[tuple[Command, ...]] = ()
_BROKEN: Final = Result(StopResult.GENERAL_ERROR, message="internal error")

Step = Callable[[], Sequence[Command]]


class Calls(Protocol):
    """Who answers for the sessions of a tunnel. What is returned is performed after what is under way."""

    def offered(self, tunnel: Tunnel, offer: CallOffered, now: float) -> Sequence[Command]:
        """Accept or reject an incoming call."""

    def up(self, tunnel: Tunnel, event: SessionUp, now: float) -> Sequence[Command]:
        """Give the session to its worker."""

    def down(self, tunnel: Tunnel, event: SessionDown, now: float) -> Sequence[Command]:
        """Take the session from its worker and free what it held."""

    def lost(self, tunnel: Tunnel, reason: str, now: float) -> None:
        """The tunnel is gone without notice, with all its sessions."""


class Driver:
    """Performs commands in their order: what a message changes precedes the datagram that acknowledges it."""

    def __init__(
        self,
        registry: Registry,
        placement: Placement,
        admission: Admission,
        network: Network,
        workers: Workers,
        timers: Timers,
        totals: Totals,
        quiet: QuietLog,
    ) -> None:
        self._registry = registry
        self._placement = placement
        self._admission = admission
        self._network = network
        self._workers = workers
        self._timers = timers
        self._totals = totals
        self._quiet = quiet
        self._performers: dict[type, Callable[..., Iterable[Command]]] = {
            Transmit: self._transmit,
            TunnelUp: self._tunnel_up,
            TunnelDown: self._tunnel_down,
            PeerMoved: self._peer_moved,
            Released: self._released,
            Note: self._note,
        }
        self._lost: Callable[[Tunnel, str, float], None] = _nothing_to_lose

    def attach(self, calls: Calls) -> None:
        """Let ``calls`` answer for sessions; once, before anything is run."""
        self._performers |= {CallOffered: calls.offered, SessionUp: calls.up, SessionDown: calls.down}
        self._lost = calls.lost

    def run(self, tunnel: Tunnel, step: Step, now: float) -> None:
        """Do ``step``, a call of the tunnel's machine, and perform what it returns. Never raises."""
        try:
            pending = deque(step())
            while pending:
                command = pending.popleft()
                pending.extend(self._performers[type(command)](tunnel, command, now))
            if tunnel.tunnel_id in self._registry.tunnels:
                self._timers.set(tunnel.tunnel_id, tunnel.connection.next_timeout())
        except Exception as error:  # noqa: BLE001  # any bug there is: the other tunnels must not notice
            self._fail(tunnel, error, now)

    def discard(self, tunnel: Tunnel, reason: str, now: float) -> None:
        """Forget a tunnel at once, without a word to the peer."""
        self._lost(tunnel, reason, now)
        self._forget(tunnel, now)

    def _transmit(self, tunnel: Tunnel, command: Transmit, _: float) -> Iterable[Command]:
        sent = self._network.send(tunnel.listen, command.datagram, command.to, tunnel.local_address)
        if sent:
            self._totals.datagrams_sent += 1
        else:
            self._totals.send_failed += 1
        return _NOTHING

    def _tunnel_up(self, tunnel: Tunnel, _: TunnelUp, __: float) -> Iterable[Command]:
        connection = tunnel.connection
        self._registry.establish(tunnel)
        self._admission.proven(connection.peer)
        self._totals.tunnels_established += 1
        log.info(
            "tunnel up tunnel=%d peer_tunnel=%d peer=%s hostname=%s worker=%s",
            tunnel.tunnel_id,
            connection.peer_tunnel_id,
            address_text(connection.peer),
            shown(connection.peer_hostname),
            "all" if tunnel.worker is None else tunnel.worker,
        )
        return _NOTHING

    def _tunnel_down(self, tunnel: Tunnel, event: TunnelDown, now: float) -> Iterable[Command]:
        was_up = tunnel.state is TunnelState.ESTABLISHED
        self._lost(tunnel, event.reason, now)
        self._registry.close_tunnel(tunnel)
        self._totals.tunnels_closed += 1
        values = (tunnel.tunnel_id, address_text(tunnel.connection.peer), told(event.reason))
        if was_up:
            log.info("tunnel down tunnel=%d peer=%s reason=%s", *values)
        else:  # anybody can cause these
            self._quiet.warning("tunnel failed", "tunnel failed tunnel=%d peer=%s reason=%s", *values)
        return _NOTHING

    def _peer_moved(self, tunnel: Tunnel, event: PeerMoved, _: float) -> Iterable[Command]:
        self._registry.move_tunnel(tunnel, event.to)
        log.info("tunnel moved tunnel=%d peer=%s", tunnel.tunnel_id, address_text(event.to))
        everybody = range(len(self._registry.workers))
        for worker in everybody if tunnel.worker is None else (tunnel.worker,):
            self._workers.send(worker, PeerConfirmed(tunnel.tunnel_id, event.to))
        return _NOTHING

    def confirm_peer(self, tunnel: Tunnel, worker: int) -> None:
        """Tell ``worker`` once more where the tunnel's peer is: what was said of its move has been lost."""
        self._workers.send(worker, PeerConfirmed(tunnel.tunnel_id, tunnel.connection.peer))

    def _released(self, tunnel: Tunnel, _: Released, now: float) -> Iterable[Command]:
        self._forget(tunnel, now)
        return _NOTHING

    def _note(self, tunnel: Tunnel, note: Note, _: float) -> Iterable[Command]:
        peer = address_text(tunnel.connection.peer)
        self._quiet.warning("note", "tunnel=%d peer=%s: %s", tunnel.tunnel_id, peer, told(note.text))
        return _NOTHING

    def _fail(self, tunnel: Tunnel, error: Exception, now: float) -> None:
        self._totals.tunnels_failed += 1
        self._quiet.error("bug", "tunnel ended by a bug of ours tunnel=%d", tunnel.tunnel_id, error=error)
        try:
            self._lost(tunnel, "internal error", now)
            for command in tunnel.connection.close(_BROKEN, now):
                if isinstance(command, Transmit):
                    self._transmit(tunnel, command, now)
        except Exception as second:  # noqa: BLE001  # as above
            self._quiet.error("bug", "and not in order tunnel=%d", tunnel.tunnel_id, error=second)
        self._forget(tunnel, now)

    def _forget(self, tunnel: Tunnel, now: float) -> None:
        self._registry.remove_tunnel(tunnel)
        self._placement.release_tunnel(tunnel.tunnel_id, now)
        self._timers.set(tunnel.tunnel_id, None)


def _nothing_to_lose(tunnel: Tunnel, reason: str, now: float) -> None:
    """Stand in for sessions until there can be any."""
