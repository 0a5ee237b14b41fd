"""The controller's routes to subscribers: wanted now, applied in the background, in batches.

The routing table is the shard map of the downlink: which TUN, so which worker, a destination belongs to.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from itertools import islice
from typing import Final

from system.netlink import Failure, KernelRoutes, RouteChange, RouteTable

log = logging.getLogger(__name__)

BATCH: Final = 128  # refusals of a whole batch fit into the default receive buffer
LIMIT: Final = 131_072  # changes that may wait
_ATTEMPTS: Final = 5


class Routes:
    """Routes into the TUN devices. For each prefix the latest wish wins, and only that one is kept.

    `replace` and `remove` return at once. A thread does the system calls, since another process may hold
    the kernel's routing lock for long. What the kernel refuses is logged, with the reason.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        table: RouteTable | None = None,
        *,
        limit: int = LIMIT,
        first_pause_s: float = 0.05,
    ) -> None:
        self._loop = loop
        self._table = table or KernelRoutes()
        self._limit = limit
        self._first_pause_s = first_pause_s
        self._waiting: dict[str, RouteChange] = {}
        self._worker: asyncio.Task[None] | None = None
        self.dropped = 0  # changes refused because too many were waiting
        self.failed = 0

    def replace(self, prefix: str, device: str) -> None:
        """Want ``prefix`` to go to ``device``, wherever it went before."""
        self._want(RouteChange(prefix, device, present=True))

    def remove(self, prefix: str, device: str) -> None:
        """Want no route for ``prefix`` to ``device``; one to another device stays."""
        waiting = self._waiting.get(prefix)
        if waiting is None or waiting.device == device or not waiting.present:
            self._want(RouteChange(prefix, device, present=False))

    async def clear(self) -> None:
        """Forget what waits and remove what this or an earlier process has set."""
        self._waiting.clear()
        await self.flush()
        await asyncio.to_thread(self._table.clear)

    async def flush(self) -> None:
        """Return when all changes wanted so far have been tried."""
        while self._worker is not None:
            await asyncio.shield(self._worker)

    async def close(self) -> None:
        """Apply what waits and give the descriptor back. The routes stay until their device goes."""
        await self.flush()
        self._table.close()

    def _want(self, change: RouteChange) -> None:
        if len(self._waiting) >= self._limit and change.prefix not in self._waiting:
            self.dropped += 1
            if self.dropped == 1 or self.dropped % 1000 == 0:
                log.error("routes dropped count=%d reason=%d changes wait already", self.dropped, self._limit)
            return
        self._waiting[change.prefix] = change
        if self._worker is None:
            self._worker = self._loop.create_task(self._drain())

    async def _drain(self) -> None:
        try:
            while self._waiting:
                batch = list(islice(self._waiting.values(), BATCH))
                for change in batch:
                    del self._waiting[change.prefix]
                self._report(await self._apply(batch))
        finally:
            self._worker = None

    async def _apply(self, batch: Sequence[RouteChange]) -> list[Failure]:
        """Apply ``batch``; again after a pause where memory was short (ENOBUFS) and nothing is certain."""
        reason = ""
        for attempt in range(_ATTEMPTS):
            try:
                return await asyncio.to_thread(self._table.apply, batch)
            except OSError as error:
                reason = error.strerror or str(error)
                await asyncio.sleep(self._first_pause_s * 2**attempt)
        return [Failure(change, reason) for change in batch]

    def _report(self, failures: list[Failure]) -> None:
        self.failed += len(failures)
        for failure in failures:
            change = failure.change
            verb = "add" if change.present else "remove"
            log.error(
                "route %s failed prefix=%s device=%s reason=%s",
                verb,
                change.prefix,
                change.device,
                failure.reason,
            )
