"""Address pools: blocks, routes, and who gets which address."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from controller.addresses import AddressPool
from controller.leases import Leases
from shared.config.sections import Pool
from tests.controller.harness import Table


def pool(prefix: str = "10.0.0.0/24", gateway: str = "10.0.0.1", block: int | None = None) -> Pool:
    return Pool(name="p", prefix=IPv4Network(prefix), gateway=IPv4Address(gateway), block_addresses=block)


def make(config: Pool, workers: int = 2, reserved: tuple[str, ...] = ()) -> tuple[AddressPool, Table]:
    table = Table()
    return AddressPool(config, map(IPv4Address, reserved), workers, table), table


def test_a_worker_gets_a_block_and_one_route_serves_it() -> None:
    addresses, table = make(pool(block=16))
    given = {str(addresses.allocate(0, f"u{n}")) for n in range(10)}
    assert len(given) == 10
    assert all(IPv4Address(address) in IPv4Network("10.0.0.0/28") for address in given)
    assert table.routes == {"10.0.0.0/28": "culvert0"}


def test_each_worker_has_blocks_of_its_own() -> None:
    addresses, table = make(pool(block=16))
    addresses.allocate(0, "a")
    assert addresses.allocate(1, "b") == IPv4Address("10.0.0.16")
    assert table.routes == {"10.0.0.0/28": "culvert0", "10.0.0.16/28": "culvert1"}


def test_network_broadcast_gateway_and_users_own_addresses_are_never_given() -> None:
    addresses, _ = make(pool("10.0.0.0/29", "10.0.0.2"), reserved=("10.0.0.5", "192.0.2.1"))
    given = [addresses.allocate(0, f"u{n}") for n in range(5)]
    assert given[-1] is None
    assert sorted(map(str, given[:-1])) == ["10.0.0.1", "10.0.0.3", "10.0.0.4", "10.0.0.6"]
    assert (addresses.size, addresses.used) == (4, 4)


def test_a_31_has_neither_network_nor_broadcast_address() -> None:  # RFC 3021
    addresses, _ = make(pool("10.0.0.0/31", "10.0.0.1"))
    assert addresses.allocate(0, "a") == IPv4Address("10.0.0.0")


def test_the_same_name_gets_the_same_address_again_with_a_host_route_where_the_worker_changed() -> None:
    addresses, table = make(pool(block=16))
    first = addresses.allocate(0, "alice")
    assert first is not None
    addresses.release(first)
    assert addresses.allocate(1, "alice") == first
    assert table.routes[f"{first}/32"] == "culvert1"
    addresses.release(first)
    assert f"{first}/32" not in table.routes


def test_an_address_given_back_is_the_last_of_its_block_to_be_given_to_another() -> None:
    addresses, _ = make(pool("10.0.0.0/29", "10.0.0.1", block=8), workers=1)
    first = addresses.allocate(0, "a")
    assert first is not None
    addresses.release(first)
    others = [addresses.allocate(0, f"u{n}") for n in range(4)]
    assert first not in others
    assert addresses.allocate(0, "last") == first


def test_an_idle_block_of_another_worker_moves_with_its_route() -> None:
    addresses, table = make(pool("10.0.0.0/29", "10.0.0.1", block=4))
    first = addresses.allocate(0, "a")
    second = addresses.allocate(1, "b")
    assert first is not None
    assert second is not None
    addresses.release(first)
    for n in range(2):
        addresses.allocate(1, f"u{n}")
    assert addresses.allocate(1, "more") is not None
    assert table.routes == {"10.0.0.0/30": "culvert1", "10.0.0.4/30": "culvert1"}


def test_the_last_free_addresses_go_to_whoever_needs_them() -> None:
    addresses, table = make(pool("10.0.0.0/29", "10.0.0.1", block=8))
    mine = addresses.allocate(0, "a")
    borrowed = addresses.allocate(1, "b")
    assert mine is not None
    assert borrowed is not None
    assert table.routes == {"10.0.0.0/29": "culvert0", f"{borrowed}/32": "culvert1"}


def test_a_free_address_may_be_claimed_and_a_used_or_reserved_one_not() -> None:
    addresses, table = make(pool(block=16), reserved=("10.0.0.9",))
    assert addresses.claim(IPv4Address("10.0.0.200"), 1, "a")
    assert table.routes == {"10.0.0.200/32": "culvert1"}
    assert not addresses.claim(IPv4Address("10.0.0.200"), 0, "b")
    assert not addresses.claim(IPv4Address("10.0.0.9"), 0, "b")
    assert not addresses.claim(IPv4Address("10.0.0.1"), 0, "b")
    assert not addresses.claim(IPv4Address("10.9.0.1"), 0, "b")


def test_a_users_own_address_is_in_use_once_and_has_a_host_route_outside_of_blocks() -> None:
    table = Table()
    leases = Leases([pool()], [IPv4Address("10.0.0.77")], 2, table)
    lease = leases.fixed(IPv4Address("10.0.0.77"), IPv4Address("10.0.0.1"), 1)
    assert lease is not None
    assert table.routes == {"10.0.0.77/32": "culvert1"}
    assert leases.fixed(IPv4Address("10.0.0.77"), IPv4Address("10.0.0.1"), 0) is None
    leases.release(lease)
    assert table.routes == {}
    assert leases.fixed(IPv4Address("10.0.0.77"), IPv4Address("10.0.0.1"), 0) is not None


def test_a_block_stays_with_its_worker_while_it_serves_a_users_own_address() -> None:
    table = Table()
    leases = Leases([pool("10.0.0.0/29", block=4)], [IPv4Address("10.0.0.3")], 2, table)
    first = leases.from_pool("p", 0, "a")
    assert first is not None
    mine = leases.fixed(IPv4Address("10.0.0.3"), IPv4Address("10.0.0.1"), 0)
    assert mine is not None
    leases.release(first)
    given = [leases.from_pool("p", 1, f"u{n}") for n in range(4)]
    assert table.routes["10.0.0.0/30"] == "culvert0"
    assert sum(lease is not None for lease in given) == 4
    leases.release(mine)
    assert "10.0.0.3/32" not in table.routes


def test_a_pool_is_shown_with_its_share_in_use() -> None:
    leases = Leases([pool(block=16)], [], 2, Table())
    leases.from_pool("p", 0, "a")
    [row] = leases.rows()
    assert (row.name, row.prefix, row.size, row.used, row.free, row.blocks) == (
        "p",
        "10.0.0.0/24",
        253,
        1,
        252,
        1,
    )
