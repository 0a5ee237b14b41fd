"""From a datagram to its tunnel: checks before any state, new tunnels, the end of all."""

from __future__ import annotations

import secrets
from typing import Final

from controller.admission import HALF_OPEN_GRACE_S, Admission
from controller.driver import Driver
from controller.peers import PeerRule, PeerRules
from controller.placement import Placement
from controller.ports import Datagram, Network
from controller.quiet import QuietLog
from controller.registry import Registry, Tunnel, TunnelState
from controller.totals import Totals
from shared.addresses import address_text
from shared.config.sections import L2TP
from shared.errors import ProtocolError
from shared.l2tp import header
from shared.l2tp.connection import (
    ControlConnection,
    Result,
    Role,
    StopResult,
    read_sccrq,
    read_stop,
)
from shared.l2tp.connection import TunnelState as MachineState
from shared.l2tp.messages import SCCRQ, StopCCN, encode_message
from shared.l2tp.results import GeneralError

_FULL: Final = Result(StopResult.GENERAL_ERROR, GeneralError.NO_RESOURCES, "too many tunnels")


class Tunnels:
    """All control connections. `receive` takes whatever comes to the controller's sockets."""

    def __init__(
        self,
        limits: L2TP,
        rules: PeerRules,
        registry: Registry,
        placement: Placement,
        admission: Admission,
        driver: Driver,
        network: Network,
        totals: Totals,
        quiet: QuietLog,
    ) -> None:
        self._limits = limits
        self._rules = rules
        self._registry = registry
        self._placement = placement
        self._admission = admission
        self._driver = driver
        self._network = network
        self._totals = totals
        self._quiet = quiet
        self.closed_to_newcomers = False  # while shutting down

    def receive(self, datagram: Datagram, now: float) -> None:
        """Take one datagram of any octets from anybody."""
        self._totals.datagrams_received += 1
        tunnel = self._tunnel_of(datagram, now)
        if tunnel is not None:
            connection = tunnel.connection
            self._driver.run(tunnel, lambda: connection.receive(datagram.octets, datagram.source, now), now)
            if connection.state is MachineState.IDLE:  # the machine did not take the request
                self._driver.discard(tunnel, "no request", now)

    def handle_timer(self, tunnel_id: int, now: float) -> None:
        """Let the tunnel's machine do what is due."""
        tunnel = self._registry.tunnels.get(tunnel_id)
        if tunnel is not None:
            connection = tunnel.connection
            self._driver.run(tunnel, lambda: connection.handle_timer(now), now)

    def close(self, tunnel: Tunnel, result: Result, now: float) -> None:
        """Send StopCCN."""
        self._driver.run(tunnel, lambda: tunnel.connection.close(result, now), now)

    def close_all(self, result: Result, now: float) -> None:
        """Send StopCCN to every peer and take no new ones."""
        self.closed_to_newcomers = True
        for tunnel in list(self._registry.tunnels.values()):
            if tunnel.state is not TunnelState.CLOSING:
                self.close(tunnel, result, now)

    def stopping(self) -> int:
        """Return how many of our StopCCN are not acknowledged yet."""
        tunnels = self._registry.tunnels.values()
        return sum(tunnel.connection.state is MachineState.STOPPING for tunnel in tunnels)

    def _tunnel_of(self, datagram: Datagram, now: float) -> Tunnel | None:
        octets = datagram.octets
        if header.version(octets) != header.VERSION:
            self._totals.other_version += 1
        elif not header.is_control(octets):
            self._totals.not_control += 1
        else:
            return self._tunnel_of_control(datagram, now)
        return None

    def _tunnel_of_control(self, datagram: Datagram, now: float) -> Tunnel | None:
        try:
            head, body = header.decode_control(memoryview(datagram.octets))
        except ProtocolError:
            self._totals.malformed += 1
            return None
        if head.tunnel_id == 0 and len(body):
            if self._admission.worth_reading(datagram.source, now):
                return self._tunnel_without_id(datagram, now)
            self._totals.unread += 1
            return None
        tunnel = self._registry.tunnels.get(head.tunnel_id)
        self._totals.unknown_tunnel += tunnel is None
        return tunnel

    def _tunnel_without_id(self, datagram: Datagram, now: float) -> Tunnel | None:
        """Find the tunnel of an SCCRQ, or of a StopCCN that does not know our ID (RFC 2661 §3.1, §6.4)."""
        rule = self._rules.find(datagram.source)
        request = read_sccrq(datagram.octets, rule.settings.secret)
        if request is not None:
            return self._requested(request, datagram, rule, now)
        stop = read_stop(datagram.octets, rule.settings.secret)
        known = None
        if stop is not None:
            known = self._registry.tunnel_from(datagram.source, stop.assigned_tunnel_id)
        self._totals.unknown_tunnel += known is None
        return known

    def _requested(self, request: SCCRQ, datagram: Datagram, rule: PeerRule, now: float) -> Tunnel | None:
        self._totals.sccrq_received += 1
        known = self._registry.tunnel_from(datagram.source, request.assigned_tunnel_id)
        if known is not None:
            self._totals.sccrq_repeated += 1
            return known
        if self.closed_to_newcomers or not self._admission.admit(datagram.source, now):
            self._totals.sccrq_rate_limited += 1
            return None
        if rule.full_of_tunnels or len(self._registry.tunnels) >= self._limits.max_tunnels:
            self._refuse(request, datagram)
            return None
        return self._begin(request, datagram, rule, now) if self._half_open_room(now) else None

    def _half_open_room(self, now: float) -> bool:
        """Make room for one more tunnel without SCCCN: at the cost of the oldest, unless that is young.

        So a flood of forged requests can't keep genuine peers out for a whole set-up timeout.
        """
        half_open = self._registry.half_open
        if len(half_open) < self._limits.half_open_limit:
            return True
        oldest = next(iter(half_open.values()))
        if now - oldest.created_at < HALF_OPEN_GRACE_S:
            self._totals.sccrq_no_room += 1
            return False
        self._totals.half_open_evicted += 1
        self._driver.discard(oldest, "made room for another", now)
        return True

    def _begin(self, request: SCCRQ, datagram: Datagram, rule: PeerRule, now: float) -> Tunnel | None:
        spread = rule.peer.spread
        place = self._placement.tunnel(now, spread=spread)
        if place is None:
            self._totals.sccrq_no_room += 1
            return None
        tunnel_id, worker = place
        source = datagram.source
        tunnel = Tunnel(
            connection=ControlConnection(
                rule.settings, Role.LNS, tunnel_id, source, random=secrets.token_bytes
            ),
            rule=rule,
            listen=datagram.listen,
            local_address=datagram.local_address,
            worker=worker,
            source=(source, request.assigned_tunnel_id),
            session_ids=self._placement.session_ids(spread=spread),
            created_at=now,
        )
        self._registry.add_tunnel(tunnel)
        return tunnel

    def _refuse(self, request: SCCRQ, datagram: Datagram) -> None:
        """Answer with one StopCCN and keep nothing; it is smaller than any SCCRQ that asks for a reply."""
        self._totals.sccrq_refused += 1
        peer = address_text(datagram.source)
        self._quiet.warning("tunnel refused", "tunnel refused peer=%s reason=%s", peer, _FULL.message)
        stop = StopCCN(assigned_tunnel_id=secrets.randbelow(0xFFFF) + 1, result=_FULL)
        reply = header.ControlHeader(request.assigned_tunnel_id, 0, ns=0, nr=1).encode(encode_message(stop))
        if len(reply) <= len(datagram.octets):
            self._network.send(datagram.listen, reply, datagram.source, datagram.local_address)
