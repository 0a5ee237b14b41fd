"""Whatever comes and goes: no address twice, none that is reserved, every one routed to its worker."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from controller.addresses import AddressPool, device_of
from shared.config.sections import Pool

WORKERS = 3
PREFIX = IPv4Network("10.0.0.0/27")
RESERVED = {
    IPv4Address("10.0.0.0"),
    IPv4Address("10.0.0.1"),
    IPv4Address("10.0.0.31"),
    IPv4Address("10.0.0.9"),
}


class Table:
    def __init__(self) -> None:
        self.routes: dict[IPv4Network, str] = {}

    def replace(self, prefix: str, device: str) -> None:
        self.routes[IPv4Network(prefix)] = device

    def remove(self, prefix: str, device: str) -> None:
        if self.routes.get(IPv4Network(prefix)) == device:
            del self.routes[IPv4Network(prefix)]

    def device(self, address: IPv4Address) -> str | None:
        matching = [prefix for prefix in self.routes if address in prefix]
        return self.routes[max(matching, key=lambda prefix: prefix.prefixlen)] if matching else None


class PoolMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.table = Table()
        pool = Pool(name="p", prefix=PREFIX, gateway=IPv4Address("10.0.0.1"), block_addresses=4)
        self.pool = AddressPool(pool, [IPv4Address("10.0.0.9")], WORKERS, self.table)
        self.held: dict[IPv4Address, int] = {}

    @rule(worker=st.integers(0, WORKERS - 1), name=st.sampled_from("abcdefgh"))
    def allocate(self, worker: int, name: str) -> None:
        address = self.pool.allocate(worker, name)
        if address is None:
            assert len(self.held) == self.pool.size, "exhausted with addresses left"
            return
        assert address not in self.held
        self.held[address] = worker

    @rule(worker=st.integers(0, WORKERS - 1), host=st.integers(0, 40))
    def claim(self, worker: int, host: int) -> None:
        address = IPv4Address("10.0.0.0") + host
        free = address in PREFIX and address not in RESERVED and address not in self.held
        assert self.pool.claim(address, worker, "x") == free
        if free:
            self.held[address] = worker

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        if self.held:
            address = data.draw(st.sampled_from(sorted(self.held)))
            del self.held[address]
            self.pool.release(address)

    @invariant()
    def every_address_is_permitted_and_leads_to_its_worker(self) -> None:
        assert not RESERVED & self.held.keys()
        assert self.pool.used == len(self.held)
        for address, worker in self.held.items():
            assert self.table.device(address) == device_of(worker)


TestPool = PoolMachine.TestCase
TestPool.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
