"""What a message from the controller costs a worker: the socket read by its descriptor, or by `zmq.asyncio`.

``python benchmarks/worker_link.py [MESSAGES [ROUNDS]]`` prints CPU time a message, ZeroMQ's own thread
included, as the median of interleaved rounds. A second process sends one message at a time, as they come in
service: the next one when the last has been answered.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import uvloop
import zmq
import zmq.asyncio

from shared.ipc.codec import Message, decode, encode
from shared.ipc.messages import HelloWanted, PeerMoved
from workers.controller_link import ControllerLink

QUESTION: Final = encode(HelloWanted(1))
ANSWER: Final = PeerMoved(1, ("192.0.2.1", 1701))

Side = Callable[[str, int], Awaitable[float]]


def controller(endpoint: str, messages: int) -> None:
    """Ask ``messages`` times, as soon as the worker has said something."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.bind(endpoint)
        identity, _ = router.recv_multipart()
        for _ in range(messages):
            router.send_multipart([identity, QUESTION])
            router.recv_multipart()


async def by_descriptor(endpoint: str, messages: int) -> float:
    """Return the CPU seconds of `ControllerLink`."""
    loop = asyncio.get_running_loop()
    finished = loop.create_future()
    left = messages

    def take(_: Message) -> None:
        nonlocal left
        left -= 1
        link.send(ANSWER)
        if left == 0:
            finished.set_result(None)

    link = ControllerLink(loop, endpoint, b"worker-0", take)
    started = time.process_time()
    link.send(ANSWER)
    await finished
    spent = time.process_time() - started
    link.close()
    return spent


async def by_zmq_asyncio(endpoint: str, messages: int) -> float:
    """Return the CPU seconds of the same exchange by futures."""
    with zmq.asyncio.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.setsockopt(zmq.IDENTITY, b"worker-0")
        dealer.connect(endpoint)
        started = time.process_time()
        await dealer.send(encode(ANSWER))
        for _ in range(messages):
            decode(await dealer.recv())
            await dealer.send(encode(ANSWER))
        return time.process_time() - started


def measure(side: Side, messages: int) -> float:
    """Return CPU microseconds a message, received and answered."""
    with tempfile.TemporaryDirectory() as folder:
        endpoint = f"ipc://{folder}/workers.sock"
        peer = multiprocessing.Process(target=partial(controller, endpoint, messages))
        peer.start()
        spent: float = uvloop.run(side(endpoint, messages))  # type: ignore[arg-type]  # wants a coroutine
        peer.join()
    return spent / messages * 1e6


def main(messages: int = 20_000, rounds: int = 5) -> None:
    """Measure both ways in turns and print medians and their ratio."""
    print(f"{platform.platform()}, Python {platform.python_version()}: {messages} messages, {rounds} rounds")
    rows = [(measure(by_descriptor, messages), measure(by_zmq_asyncio, messages)) for _ in range(rounds)]
    ours, theirs = (statistics.median(column) for column in zip(*rows, strict=True))
    print(f"read by its descriptor  {ours:6.1f} us of CPU time a message and answer")
    print(f"zmq.asyncio             {theirs:6.1f} us, {theirs / ours:.1f} times as much")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
