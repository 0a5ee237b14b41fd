"""Which worker gets a tunnel or a session, and the local IDs that take its packets there."""

from __future__ import annotations

from collections.abc import Sequence

from controller.identifiers import IdentifierSpace
from controller.registry import Tunnel, Worker
from shared.l2tp.sharding import SPREAD_BASE


class Placement:
    """Gives to the least loaded worker that is there, by choosing IDs of its residue."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._workers = workers
        self._pinned = IdentifierSpace(1, SPREAD_BASE - 1, len(workers))
        self._spread = IdentifierSpace(SPREAD_BASE, 0xFFFF, 1)

    def tunnel(self, now: float, *, spread: bool) -> tuple[int, int | None] | None:
        """Return a local tunnel ID and its worker, None for all of them; None where there is no room."""
        if spread:
            tunnel_id = self._spread.take(0, now)
            return None if tunnel_id is None else (tunnel_id, None)
        for worker in self._by_load(now):
            tunnel_id = self._pinned.take(worker.index, now)
            if tunnel_id is not None:
                return tunnel_id, worker.index
        return None

    def release_tunnel(self, tunnel_id: int, now: float) -> None:
        """Let the ID rest."""
        (self._spread if tunnel_id >= SPREAD_BASE else self._pinned).release(tunnel_id, now)

    def session_ids(self, *, spread: bool) -> IdentifierSpace:
        """Return the session IDs of a new tunnel."""
        return IdentifierSpace(1, 0xFFFF, len(self._workers) if spread else 1)

    def session(self, tunnel: Tunnel, now: float) -> tuple[int, int] | None:
        """Return a local session ID and its worker; None where there is no room or nobody to serve it."""
        for worker in self._by_load(now):
            if tunnel.worker not in {None, worker.index}:
                continue
            residue = worker.index if tunnel.worker is None else 0
            session_id = tunnel.session_ids.take(residue, now)
            if session_id is not None:
                return session_id, worker.index
        return None

    def _by_load(self, now: float) -> list[Worker]:
        present = [worker for worker in self._workers if worker.is_present(now)]
        return sorted(present, key=lambda worker: worker.tunnels + worker.sessions)
