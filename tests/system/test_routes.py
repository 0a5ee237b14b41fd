"""The order and the merging of route changes, with a list as the kernel's table."""

from __future__ import annotations

import asyncio
import errno
import logging
import threading
from collections.abc import Sequence

import pytest

from system.netlink import Failure, RouteChange, encode
from system.routes import BATCH, Routes


class Table:
    """A routing table that keeps what it is told; it can be held, and can fail with ENOBUFS first."""

    def __init__(self, failures: int = 0) -> None:
        self.batches: list[list[RouteChange]] = []
        self.free = threading.Event()
        self.free.set()
        self.failures = failures
        self.cleared = self.closed = False

    def apply(self, changes: Sequence[RouteChange]) -> list[Failure]:
        assert self.free.wait(10)
        if self.failures:
            self.failures -= 1
            raise OSError(errno.ENOBUFS, "No buffer space available")
        self.batches.append(list(changes))
        return [Failure(change, "refused") for change in changes if change.prefix == "192.0.2.1/32"]

    def clear(self) -> None:
        self.cleared = True

    def close(self) -> None:
        self.closed = True


def present(prefix: str, device: str = "culvert0") -> RouteChange:
    return RouteChange(prefix, device, present=True)


def absent(prefix: str, device: str = "culvert0") -> RouteChange:
    return RouteChange(prefix, device, present=False)


def test_changes_are_applied_in_batches_in_the_order_of_the_wishes() -> None:
    table = Table()

    async def change() -> None:
        routes = Routes(asyncio.get_running_loop(), table)
        for index in range(BATCH + 1):
            routes.replace(f"10.0.{index}.0/24", "culvert0")
        await routes.close()

    asyncio.run(change())
    assert [len(batch) for batch in table.batches] == [BATCH, 1]
    assert table.batches[0][:2] == [present("10.0.0.0/24"), present("10.0.1.0/24")]
    assert table.closed


def test_only_the_latest_wish_for_a_prefix_is_applied() -> None:
    table = Table()

    async def change() -> None:
        routes = Routes(asyncio.get_running_loop(), table)
        routes.replace("10.0.1.0/24", "culvert0")
        routes.remove("10.0.1.0/24", "culvert0")
        routes.replace("10.0.2.0/24", "culvert0")
        routes.replace("10.0.2.0/24", "culvert1")
        routes.remove("10.0.2.0/24", "culvert0")  # not where it goes now
        routes.remove("10.0.3.0/24", "culvert0")
        routes.replace("10.0.3.0/24", "culvert1")
        await routes.flush()

    asyncio.run(change())
    [batch] = table.batches
    assert batch == [
        absent("10.0.1.0/24"),
        present("10.0.2.0/24", "culvert1"),
        present("10.0.3.0/24", "culvert1"),
    ]


def test_wishes_made_while_the_kernel_is_busy_are_not_lost() -> None:
    table = Table()

    async def change() -> None:
        routes = Routes(asyncio.get_running_loop(), table)
        table.free.clear()
        routes.replace("10.0.1.0/24", "culvert0")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        routes.remove("10.0.1.0/24", "culvert0")
        table.free.set()
        await routes.flush()

    asyncio.run(change())
    assert [change for batch in table.batches for change in batch][-1] == absent("10.0.1.0/24")


def test_a_batch_is_applied_again_after_enobufs() -> None:
    table = Table(failures=3)

    async def change() -> int:
        routes = Routes(asyncio.get_running_loop(), table, first_pause_s=0.0)
        routes.replace("10.0.1.0/24", "culvert0")
        await routes.flush()
        return routes.failed

    assert asyncio.run(change()) == 0
    assert table.batches == [[present("10.0.1.0/24")]]


def test_a_refused_route_is_logged_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    async def change() -> int:
        routes = Routes(asyncio.get_running_loop(), Table())
        routes.replace("192.0.2.1/32", "culvert0")
        await routes.flush()
        return routes.failed

    with caplog.at_level(logging.ERROR):
        assert asyncio.run(change()) == 1
    assert caplog.messages == ["route add failed prefix=192.0.2.1/32 device=culvert0 reason=refused"]


def test_the_waiting_changes_are_bounded() -> None:
    table = Table()

    async def change() -> int:
        routes = Routes(asyncio.get_running_loop(), table, limit=3)
        for index in range(5):
            routes.replace(f"10.0.{index}.0/24", "culvert0")
        routes.replace("10.0.0.0/24", "culvert1")  # known already, so it still can change
        await routes.flush()
        return routes.dropped

    assert asyncio.run(change()) == 2
    assert [change.prefix for change in table.batches[0]] == ["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"]
    assert table.batches[0][0].device == "culvert1"


def test_clear_forgets_what_waits() -> None:
    table = Table()

    async def change() -> None:
        routes = Routes(asyncio.get_running_loop(), table)
        routes.replace("10.0.1.0/24", "culvert0")
        await routes.clear()

    asyncio.run(change())
    assert table.cleared
    assert table.batches == []


# Recorded with strace from iproute2: `ip route replace 10.0.1.0/24 dev lo proto 71`. It asks for an answer
# too (NLM_F_ACK, 0x0004), which we do without; the sequence number is ours.
def test_the_octets_of_a_new_route() -> None:
    assert encode(present("10.0.1.0/24"), interface=1, sequence=5) == bytes.fromhex(
        "2c000000 1800 0105 05000000 00000000"  # struct nlmsghdr: RTM_NEWROUTE, REQUEST|REPLACE|CREATE
        "02 18 00 00 fe 47 fd 01 00000000"  # struct rtmsg: AF_INET, /24, main, protocol 71, link, unicast
        "0800 0100 0a000100 0800 0400 01000000"  # RTA_DST, RTA_OIF
    )
