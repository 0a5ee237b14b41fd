"""The controller: its parts put together, fed with datagrams, messages and time, shown to its surfaces."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Final

from controller.aaa.chain import Chain
from controller.aaa.users import LocalUsers
from controller.addresses import Routes
from controller.admission import Admission
from controller.authentication import Authentication
from controller.driver import Driver
from controller.leases import Leases
from controller.peers import PeerRules
from controller.placement import Placement
from controller.ports import Datagram, Network, Timers, Workers
from controller.provisioning import Provisioning
from controller.quiet import QuietLog, told
from controller.reconcile import Reconcile
from controller.registry import Registry, Session, Tunnel
from controller.rows import session_row, tunnel_row, worker_row
from controller.sessions import Sessions
from controller.surface import PoolRow, Selection, SessionRow, TunnelRow, WorkerRow
from controller.totals import Totals
from controller.tunnels import Tunnels
from controller.worker_messages import WorkerMessages
from shared.config.model import Config
from shared.l2tp.connection import Result, StopResult

log = logging.getLogger(__name__)

_SHUTDOWN: Final = Result(StopResult.SHUTTING_DOWN, message="shutting down")


class Controller:
    """Implements `controller.surface.Service`. Nothing here waits; the world is behind the four interfaces.

    ``sockets[worker]`` are the UDP sockets each worker reads, "inode address", for show.
    """

    def __init__(
        self,
        config: Config,
        network: Network,
        workers: Workers,
        routes: Routes,
        timers: Timers,
        clock: Callable[[], float],
        totals: Totals,
        sockets: Sequence[Sequence[str]] = (),
    ) -> None:
        self._clock = clock
        self._sockets = sockets
        self._totals = totals
        self._registry = Registry(config.workers.count)
        quiet = QuietLog(logging.getLogger("controller"), clock)
        placement = Placement(self._registry.workers)
        admission = Admission(config.l2tp, clock())
        fixed = [user.address for user in config.user if user.address is not None]
        self._leases = Leases(config.pool, fixed, config.workers.count, routes)
        provisioning = Provisioning(config.profile, self._registry, self._leases, routes, self._totals)
        driver = Driver(self._registry, placement, admission, network, workers, timers, self._totals, quiet)
        self._sessions = Sessions(
            config.l2tp,
            self._registry,
            placement,
            driver,
            workers,
            timers,
            provisioning.free,
            self._totals,
            quiet,
        )
        driver.attach(self._sessions)
        self._tunnels = Tunnels(
            config.l2tp,
            PeerRules(config),
            self._registry,
            placement,
            admission,
            driver,
            network,
            self._totals,
            quiet,
        )
        chain = Chain([LocalUsers(config.user, strip_domain=config.names.strip_domain)])
        authentication = Authentication(
            chain, provisioning, self._registry, workers, self._replace, self._totals, quiet
        )
        reconcile = Reconcile(self._registry, self._sessions, workers, self._totals)
        self._messages = WorkerMessages(
            self._registry, self._sessions, authentication, reconcile, driver, self._totals, quiet
        )

    # What the world brings.

    def datagram(self, datagram: Datagram) -> None:
        """Take what came to a UDP socket of ours."""
        self._tunnels.receive(datagram, self._clock())

    def message(self, identity: bytes, frames: list[bytes]) -> None:
        """Take what came on the socket to the workers."""
        self._messages.receive(identity, frames, self._clock())

    def due(self, key: Hashable, now: float) -> None:
        """The deadline that was set for ``key`` has come."""
        if isinstance(key, int):
            self._tunnels.handle_timer(key, now)
        elif isinstance(key, Session):
            self._sessions.handle_timer(key, now)

    def shut_down(self) -> None:
        """Tell every peer that we go (StopCCN, result 6); `unacknowledged` counts who has not heard it."""
        self._tunnels.close_all(_SHUTDOWN, self._clock())

    def unacknowledged(self) -> int:
        """Return how many peers have not acknowledged our StopCCN."""
        return self._tunnels.stopping()

    # What surfaces ask (`controller.surface.Service`).

    def sessions(self) -> Iterable[SessionRow]:
        """Give every session."""
        now = self._clock()
        return [session_row(session, now) for session in self._registry.sessions()]

    def tunnels(self) -> Iterable[TunnelRow]:
        """Give every tunnel."""
        now = self._clock()
        return [tunnel_row(tunnel, now) for tunnel in self._registry.tunnels.values()]

    def workers(self) -> Iterable[WorkerRow]:
        """Give every worker, by index."""
        now = self._clock()
        every = self._registry.workers
        return [worker_row(worker, self._sockets_of(worker.index), now) for worker in every]

    def pools(self) -> Iterable[PoolRow]:
        """Give every pool, as configured."""
        return self._leases.rows()

    def counters(self) -> Mapping[str, int]:
        """Give our own totals by name."""
        return asdict(self._totals)

    def worker_counters(self) -> Mapping[int, Mapping[str, int]]:
        """Give each worker's totals as of its last heartbeat."""
        return {worker.index: worker.totals for worker in self._registry.workers}

    def missing(self) -> list[str]:
        """Say which workers have not reported."""
        now = self._clock()
        away = [worker.index for worker in self._registry.workers if not worker.is_present(now)]
        return [f"worker {index} has not reported" for index in away]

    def terminate(self, selection: Selection, reason: str) -> int:
        """End the selected sessions; whole tunnels where nothing narrower is asked for, with StopCCN."""
        now = self._clock()
        chosen = [
            session for session in self._registry.sessions() if selection.matches(session_row(session, now))
        ]
        for session in chosen:
            log.info("session terminated tunnel=%d session=%d reason=%s", *session.key, told(reason))
            self._sessions.terminate(session, reason, now)
        for tunnel in self._whole_tunnels(selection):
            self._sessions.close_when_empty(tunnel, reason, now)
        return len(chosen)

    def _whole_tunnels(self, selection: Selection) -> list[Tunnel]:
        if selection.session_id is not None or selection.username is not None or selection.ip is not None:
            return []
        if selection.tunnel_id is None:
            return list(self._registry.tunnels.values()) if selection.all else []
        tunnel = self._registry.tunnels.get(selection.tunnel_id)
        return [] if tunnel is None else [tunnel]

    def _sockets_of(self, worker: int) -> Sequence[str]:
        return self._sockets[worker] if worker < len(self._sockets) else ()

    def _replace(self, session: Session, reason: str) -> None:
        self._sessions.replace(session, reason, self._clock())
