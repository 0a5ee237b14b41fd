from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop
import zmq

from shared.ipc.codec import Message, decode, encode
from shared.ipc.messages import Counters, Hello, HelloWanted, PeerMoved, Welcome
from workers import controller_link as link_module
from workers.controller_link import ControllerLink

HELLO = Hello(0, 1, "reference", (), ())
COUNTERS = Counters(1, 0, (), ())


class Controller:
    """A ROUTER as the controller has it."""

    def __init__(self, endpoint: str) -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.ROUTER)
        self.socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.bind(endpoint)

    def send(self, *frames: bytes) -> None:
        self.socket.send_multipart([b"worker-0", *frames])

    async def receive(self) -> Message:
        """Return the next message of worker 0."""
        found: list[list[bytes]] = []
        await until(lambda: self.socket.poll(0) and not found.append(self.socket.recv_multipart()))  # type: ignore[func-returns-value]
        identity, octets = found[0]
        assert identity == b"worker-0"
        return decode(octets)

    def close(self) -> None:
        self.socket.close()
        self.context.term()


async def until(condition: Callable[[], object]) -> None:
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    pytest.fail("nothing happened for ten seconds")


def under_uvloop(test: Callable[[str], Coroutine[Any, Any, None]], tmp_path: Path) -> None:
    uvloop.run(test(f"ipc://{tmp_path}/workers.sock"))


@contextmanager
def linked(endpoint: str, received: list[Message]) -> Iterator[ControllerLink]:
    link = ControllerLink(asyncio.get_running_loop(), endpoint, b"worker-0", received.append)
    try:
        yield link
    finally:
        link.close()


@contextmanager
def controlled(endpoint: str) -> Iterator[Controller]:
    controller = Controller(endpoint)
    try:
        yield controller
    finally:
        controller.close()


def test_messages_go_both_ways(tmp_path: Path) -> None:
    async def test(endpoint: str) -> None:
        received: list[Message] = []
        with controlled(endpoint) as controller, linked(endpoint, received) as link:
            assert link.send(HELLO)
            assert await controller.receive() == HELLO
            for epoch in range(500):  # more than one wake-up takes
                controller.send(encode(Welcome(epoch)))
            await until(lambda: len(received) == 500)
            assert received == [Welcome(epoch) for epoch in range(500)]

    under_uvloop(test, tmp_path)


def test_what_arrives_while_we_are_sending_is_not_overlooked(tmp_path: Path) -> None:
    async def test(endpoint: str) -> None:
        received: list[Message] = []
        with controlled(endpoint) as controller, linked(endpoint, received) as link:
            link.send(HELLO)
            await controller.receive()
            for round_ in range(1, 51):  # each send may swallow the edge of the descriptor
                controller.send(encode(Welcome(round_)))
                for _ in range(3):
                    link.send(HELLO)
                    await controller.receive()
                await until(lambda: len(received) == round_)  # noqa: B023  awaited within the round

    under_uvloop(test, tmp_path)


def test_without_a_controller_messages_wait_except_those_that_go_stale(tmp_path: Path) -> None:
    async def test(endpoint: str) -> None:
        with linked(endpoint, []) as link:
            assert link.send(HELLO)
            assert not link.send_or_drop(COUNTERS)
            assert link.send(PeerMoved(1, ("192.0.2.7", 1701)))
            with controlled(endpoint) as controller:
                assert await controller.receive() == HELLO
                assert await controller.receive() == PeerMoved(1, ("192.0.2.7", 1701))

    under_uvloop(test, tmp_path)


def test_a_controller_that_comes_back_is_talked_to_again(tmp_path: Path) -> None:
    async def test(endpoint: str) -> None:
        received: list[Message] = []
        with linked(endpoint, received) as link:
            for epoch in (1, 2):
                with controlled(endpoint) as controller:
                    await until(lambda: link.send_or_drop(COUNTERS))
                    assert await controller.receive() == COUNTERS
                    controller.send(encode(HelloWanted(epoch)))
                    await until(lambda: HelloWanted(epoch) in received)  # noqa: B023  awaited within the round
                await until(lambda: not link.send_or_drop(COUNTERS))

    under_uvloop(test, tmp_path)


def test_the_backlog_is_bounded_and_the_oldest_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "BACKLOG", 3)

    async def test(endpoint: str) -> None:
        with linked(endpoint, []) as link:
            kept = [link.send(PeerMoved(tunnel_id, ("192.0.2.7", 1701))) for tunnel_id in range(5)]
            assert kept == [True, True, True, False, False]
            assert link.dropped == 2
            with controlled(endpoint) as controller:
                first = await controller.receive()
                assert isinstance(first, PeerMoved)
                assert first.tunnel_id == 2

    under_uvloop(test, tmp_path)


def test_octets_that_are_no_message_are_counted_and_the_link_lives(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(endpoint: str) -> None:
        received: list[Message] = []
        with controlled(endpoint) as controller, linked(endpoint, received) as link:
            link.send(HELLO)
            await controller.receive()
            for _ in range(20):
                controller.send(b"")
                controller.send(b"\xc1\xff" * 100)
                controller.send(encode(Welcome(1)), b"a second frame")
            controller.send(encode(Welcome(2)))
            await until(lambda: received)
            assert received == [Welcome(2)]
            assert link.refused == 60

    under_uvloop(test, tmp_path)
    assert len(caplog.records) == 3


def test_the_message_after_the_backlog_does_not_overtake_it(tmp_path: Path) -> None:
    async def test(endpoint: str) -> None:
        with linked(endpoint, []) as link:
            for tunnel_id in range(100):
                link.send(PeerMoved(tunnel_id, ("192.0.2.7", 1701)))
            with controlled(endpoint) as controller:
                first = await controller.receive()
                link.send(PeerMoved(100, ("192.0.2.7", 1701)))
                rest = [await controller.receive() for _ in range(100)]
                assert [item.tunnel_id for item in [first, *rest] if isinstance(item, PeerMoved)] == list(
                    range(101)
                )

    under_uvloop(test, tmp_path)
