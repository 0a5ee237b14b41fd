"""The controller's own sockets, on loopback: UDP with the dialled address, ZeroMQ with handover."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sized
from functools import partial
from pathlib import Path

import pytest
import uvloop
import zmq

from controller.deadlines import Deadlines
from controller.ports import Datagram
from controller.totals import Totals
from controller.udp import UdpSockets
from controller.workers_link import WorkersLink
from shared.ipc.codec import decode, encode
from shared.ipc.messages import HelloWanted, Welcome
from system.udp import open_group
from tests.support.needs import missing


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # what is waited for has no event
            await asyncio.sleep(0.005)


def run(body: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await body()

    uvloop.run(main())


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def server(address: str) -> socket.socket:
    """The controller's socket of a group, on any port."""
    ours, *others = open_group(address, 0, 1)
    for other in others:
        other.close()
    return ours


LISTENS = [("0.0.0.0", "127.0.0.5"), ("::", "::1"), ("127.0.0.1", None)]


@pytest.mark.parametrize(("listen", "dialled"), LISTENS)
def test_a_reply_comes_from_the_address_that_was_dialled(listen: str, dialled: str | None) -> None:
    if listen == "::" and not Path("/proc/net/if_inet6").exists():
        missing("IPv6")

    async def body() -> None:
        ours = server(listen)
        udp = UdpSockets(asyncio.get_running_loop(), [ours])
        heard: list[Datagram] = []
        udp.start(heard.append)
        with socket.socket(ours.family, socket.SOCK_DGRAM) as client:
            client.settimeout(5)
            client.sendto(b"hello", (dialled or listen, ours.getsockname()[1]))
            await until(lambda: bool(heard))
            assert (heard[0].octets, heard[0].listen, heard[0].local_address) == (b"hello", 0, dialled)
            assert udp.send(0, b"reply", heard[0].source, heard[0].local_address)
            octets, source = client.recvfrom(100)
        assert (octets, source[0]) == (b"reply", dialled or listen)
        udp.close()

    run(body)


def test_strangers_are_heard_and_answered_from_the_socket_that_they_wrote_to() -> None:
    async def body() -> None:
        ours, theirs, strangers = open_group("127.0.0.1", free_port(), 1)
        theirs.close()
        udp = UdpSockets(asyncio.get_running_loop(), [ours], [strangers])
        heard: list[Datagram] = []
        udp.start(heard.append)
        with socket.socket(ours.family, socket.SOCK_DGRAM) as client:
            client.settimeout(5)
            for tunnel_id in (0, 1):
                client.sendto(bytes.fromhex(f"c802 000c {tunnel_id:04x} 0000 0000 0000"), ours.getsockname())
            await until(lambda: len(heard) == 2)
            assert {each.listen for each in heard} == {0}
            assert udp.send(0, b"reply", heard[0].source, None)
            assert client.recvfrom(100) == (b"reply", ours.getsockname())
        udp.close()

    run(body)


def test_a_datagram_that_can_not_be_sent_is_reported_not_raised() -> None:
    async def body() -> None:
        udp = UdpSockets(asyncio.get_running_loop(), [server("127.0.0.1")])
        udp.start(lambda _: None)
        assert not udp.send(0, bytes(70_000), ("127.0.0.1", 9), None)  # EMSGSIZE
        assert not udp.send(0, b"x", ("192.0.2.1", 9), None)  # loopback can't reach it
        udp.close()

    run(body)


def test_workers_are_heard_and_told_and_a_successor_takes_over_the_name(tmp_path: Path) -> None:
    async def body() -> None:
        endpoint = f"ipc://{tmp_path}/workers.sock"
        totals = Totals()
        link = WorkersLink(asyncio.get_running_loop(), endpoint, totals)
        heard: list[tuple[bytes, list[bytes]]] = []
        link.start(lambda identity, frames: heard.append((identity, frames)))
        link.send(0, Welcome(1))
        assert totals.worker_messages_dropped == 1  # nobody is there yet
        for count in (1, 2):
            with zmq.Context() as context, _dealer(context, endpoint) as dealer:
                dealer.send(encode(HelloWanted(count)))
                await until(partial(_has, heard, count))
                link.send(0, Welcome(count))
                assert dealer.poll(5000)
                assert decode(dealer.recv()) == Welcome(count)
        assert [identity for identity, _ in heard] == [b"worker-0", b"worker-0"]
        link.close()

    run(body)


def _has(heard: Sized, count: int) -> bool:
    return len(heard) == count


def test_a_burst_of_messages_is_read_to_the_end(tmp_path: Path) -> None:
    async def body() -> None:
        endpoint = f"ipc://{tmp_path}/workers.sock"
        link = WorkersLink(asyncio.get_running_loop(), endpoint, Totals())
        count = 0

        def take(identity: bytes, frames: list[bytes]) -> None:
            nonlocal count
            count += 1
            link.send(0, Welcome(1))  # each call on the socket may swallow an edge

        link.start(take)
        with zmq.Context() as context, _dealer(context, endpoint) as dealer:
            for _ in range(1000):
                dealer.send(encode(HelloWanted(1)))
            await until(lambda: count == 1000)
        link.close()

    run(body)


def test_deadlines_ring_in_order_and_not_after_they_are_cancelled() -> None:
    async def body() -> None:
        loop = asyncio.get_running_loop()
        deadlines = Deadlines(loop)
        rung: list[object] = []
        deadlines.start(lambda key, _: rung.append(key))
        now = loop.time()
        deadlines.set("b", now + 0.02)
        deadlines.set("a", now + 0.01)
        deadlines.set("c", now + 0.015)
        deadlines.set("c", None)
        await until(lambda: len(rung) == 2)
        assert rung == ["a", "b"]
        deadlines.stop()

    run(body)


def _dealer(context: zmq.Context[zmq.Socket[bytes]], endpoint: str) -> zmq.Socket[bytes]:
    dealer = context.socket(zmq.DEALER)
    dealer.setsockopt(zmq.IDENTITY, b"worker-0")
    dealer.setsockopt(zmq.LINGER, 0)
    dealer.connect(endpoint)
    return dealer
