"""One pool of IPv4 addresses, given out in blocks to workers so that one route serves a whole block.

The kernel's routing table is the shard map of the downlink. An address that a worker uses outside its
own blocks (a subscriber's former one, one it asked for, the last free ones) gets a host route.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network
from typing import Final, Protocol

from shared.config.checks import is_edge
from shared.config.sections import Pool

_LARGEST_BLOCK: Final = 256
_BLOCKS_PER_WORKER: Final = 8  # so that workers of unequal load share a small pool well
_REMEMBERED: Final = 65_536  # user names whose last address is kept for them


class Routes(Protocol):
    """What the pools need of `system.routes.Routes`."""

    def replace(self, prefix: str, device: str) -> None:
        """Want ``prefix`` to go to ``device``."""

    def remove(self, prefix: str, device: str) -> None:
        """Want no route for ``prefix`` to ``device``."""


def device_of(worker: int) -> str:
    """Return the name of the worker's TUN."""
    return f"culvert{worker}"


class AddressPool:
    """Addresses of one prefix. Least recently used first; the same name gets the same one again."""

    def __init__(self, pool: Pool, reserved: Iterable[IPv4Address], workers: int, routes: Routes) -> None:
        self.pool = pool
        self._routes = routes
        self._first = int(pool.prefix.network_address)
        self._block_size = pool.block_addresses or _fitting_block(pool.prefix, workers)
        self._blocks = pool.prefix.num_addresses // self._block_size
        self._excluded = {int(address) for address in reserved if address in pool.prefix}
        self._excluded |= {int(edge) for edge in _edges(pool)} | {int(pool.gateway)}
        self._user_of: dict[int, int] = {}  # address in use: the worker that serves it
        self._used_in: dict[int, int] = defaultdict(int)  # block: addresses of it in use
        self._holder_of: dict[int, int] = {}  # block: the worker that its route leads to
        self._free: dict[int, OrderedDict[int, None]] = defaultdict(OrderedDict)  # by worker, oldest first
        self._host_routes: dict[int, int] = {}
        self._next_block = 0
        self._last: OrderedDict[str, int] = OrderedDict()

    @property
    def size(self) -> int:
        """How many subscribers the pool can serve."""
        return self.pool.prefix.num_addresses - len(self._excluded)

    @property
    def used(self) -> int:
        """How many it serves."""
        return len(self._user_of)

    @property
    def blocks(self) -> int:
        """How many blocks the workers hold."""
        return len(self._holder_of)

    def allocate(self, worker: int, username: str) -> IPv4Address | None:
        """Return an address for a session of ``worker``; None when the pool is exhausted."""
        last = self._last.get(username)
        if last is not None and self._is_free(last):
            return self._use(last, worker, username)
        chosen = self._next_free(worker)
        return None if chosen is None else self._use(chosen, worker, username)

    def claim(self, address: IPv4Address, worker: int, username: str) -> bool:
        """Take this very address, if it is one of the pool's and free."""
        free = address in self.pool.prefix and self._is_free(int(address))
        if free:
            self._use(int(address), worker, username)
        return free

    def release(self, address: IPv4Address) -> None:
        """Take ``address`` back; it comes up for others after all that are free for longer."""
        number = int(address)
        if self._user_of.pop(number, None) is None:
            return
        block = self._block_of(number)
        self._used_in[block] -= 1
        self._drop_host_route(number)
        holder = self._holder_of.get(block)
        if holder is not None:
            self._free[holder][number] = None

    def pin(self, address: IPv4Address, worker: int) -> bool:
        """Keep the block of a reserved ``address`` with ``worker``; False where it is not with it now."""
        block = self._block_of(int(address))
        if address not in self.pool.prefix or self._holder_of.get(block) != worker:
            return False
        self._used_in[block] += 1
        return True

    def unpin(self, address: IPv4Address) -> None:
        """Undo `pin`."""
        self._used_in[self._block_of(int(address))] -= 1

    def _is_free(self, number: int) -> bool:
        return number not in self._user_of and number not in self._excluded

    def _block_of(self, number: int) -> int:
        return (number - self._first) // self._block_size

    def _use(self, number: int, worker: int, username: str) -> IPv4Address:
        block = self._block_of(number)
        holder = self._holder_of.get(block)
        if holder is not None:
            self._free[holder].pop(number, None)
        if holder != worker:
            self._host_routes[number] = worker
            self._routes.replace(f"{IPv4Address(number)}/32", device_of(worker))
        self._user_of[number] = worker
        self._used_in[block] += 1
        self._remember(username, number)
        return IPv4Address(number)

    def _remember(self, username: str, number: int) -> None:
        self._last[username] = number
        self._last.move_to_end(username)
        if len(self._last) > _REMEMBERED:
            self._last.popitem(last=False)

    def _drop_host_route(self, number: int) -> None:
        worker = self._host_routes.pop(number, None)
        if worker is not None:
            self._routes.remove(f"{IPv4Address(number)}/32", device_of(worker))

    def _next_free(self, worker: int) -> int | None:
        """Find an address: of the worker's blocks, of a new one, of one nobody uses, of anybody's."""
        if self._free[worker] or self._take_new_block(worker) or self._take_idle_block(worker):
            return next(iter(self._free[worker]))
        richest = max(self._free.values(), key=len)
        return next(iter(richest), None)

    def _take_new_block(self, worker: int) -> bool:
        while self._next_block < self._blocks and not self._free[worker]:
            self._hold(self._next_block, worker)
            self._next_block += 1
        return bool(self._free[worker])

    def _take_idle_block(self, worker: int) -> bool:
        """Take over a block that serves nobody and could serve somebody."""
        for block, holder in self._holder_of.items():
            if holder == worker or self._used_in[block]:
                continue
            numbers = [number for number in self._numbers(block) if self._is_free(number)]
            if numbers:
                for number in numbers:
                    del self._free[holder][number]
                self._hold(block, worker)
                return True
        return False

    def _hold(self, block: int, worker: int) -> None:
        self._holder_of[block] = worker
        self._free[worker].update((number, None) for number in self._numbers(block) if self._is_free(number))
        prefix_length = 32 - (self._block_size.bit_length() - 1)
        start = IPv4Address(self._first + block * self._block_size)
        self._routes.replace(f"{start}/{prefix_length}", device_of(worker))

    def _numbers(self, block: int) -> range:
        start = self._first + block * self._block_size
        return range(start, start + self._block_size)


def _fitting_block(prefix: IPv4Network, workers: int) -> int:
    """Return the largest power of two that leaves each worker several blocks, 256 at most."""
    share = max(1, prefix.num_addresses // (workers * _BLOCKS_PER_WORKER))
    return min(_LARGEST_BLOCK, 1 << share.bit_length() - 1)


def _edges(pool: Pool) -> list[IPv4Address]:
    edges = {pool.prefix.network_address, pool.prefix.broadcast_address}
    return [address for address in edges if is_edge(pool, address)]
