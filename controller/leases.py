"""Who has which IPv4 address, from pools or fixed by configuration, and the routes that go with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from controller.addresses import AddressPool, Routes, device_of
from controller.surface import PoolRow
from shared.config.sections import Pool


@dataclass(frozen=True, slots=True)
class Lease:
    """An address in use by one session. ``gateway`` is our end of its link."""

    address: IPv4Address
    gateway: IPv4Address
    worker: int
    pool: str | None  # None: an address fixed for the user


class Leases:
    """All pools, and the addresses that belong to one user each."""

    def __init__(
        self, pools: Sequence[Pool], fixed: Iterable[IPv4Address], workers: int, routes: Routes
    ) -> None:
        reserved = {*fixed, *(pool.gateway for pool in pools)}
        self._pools = {pool.name: AddressPool(pool, reserved, workers, routes) for pool in pools}
        self._routes = routes
        self._fixed: dict[IPv4Address, AddressPool | None] = {}  # in use: the pool whose block serves it

    def from_pool(self, name: str, worker: int, username: str) -> Lease | None:
        """Lease any address of the pool; None when it is exhausted."""
        pool = self._pools[name]
        address = pool.allocate(worker, username)
        return None if address is None else Lease(address, pool.pool.gateway, worker, name)

    def wished(self, name: str, address: IPv4Address, worker: int, username: str) -> Lease | None:
        """Lease this address of the pool; None where it is not free."""
        pool = self._pools[name]
        taken = pool.claim(address, worker, username)
        return Lease(address, pool.pool.gateway, worker, name) if taken else None

    def fixed(self, address: IPv4Address, gateway: IPv4Address, worker: int) -> Lease | None:
        """Lease an address that belongs to one user; None while another session has it."""
        if address in self._fixed:
            return None
        serving = next((pool for pool in self._pools.values() if pool.pin(address, worker)), None)
        self._fixed[address] = serving
        if serving is None:
            self._routes.replace(f"{address}/32", device_of(worker))
        return Lease(address, gateway, worker, None)

    def release(self, lease: Lease) -> None:
        """Take ``lease`` back, with its route."""
        if lease.pool is not None:
            self._pools[lease.pool].release(lease.address)
        elif lease.address in self._fixed:
            serving = self._fixed.pop(lease.address)
            if serving is not None:
                serving.unpin(lease.address)
            else:
                self._routes.remove(f"{lease.address}/32", device_of(lease.worker))

    def gateway_of(self, address: IPv4Address, fallback: str | None) -> IPv4Address | None:
        """Return our end of a link with ``address``: of the pool it is in, else of the pool ``fallback``."""
        for pool in self._pools.values():
            if address in pool.pool.prefix:
                return pool.pool.gateway
        return None if fallback is None else self._pools[fallback].pool.gateway

    def rows(self) -> list[PoolRow]:
        """Show every pool, as configured."""
        return [_row(pool) for pool in self._pools.values()]


def _row(pool: AddressPool) -> PoolRow:
    return PoolRow(
        name=pool.pool.name,
        prefix=str(pool.pool.prefix),
        gateway=str(pool.pool.gateway),
        size=pool.size,
        used=pool.used,
        free=pool.size - pool.used,
        blocks=pool.blocks,
    )
