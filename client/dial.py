"""The client on real sockets: `run` dials an LNS, brings a TUN device up and stays until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final

import uvloop

from client.dial_advice import advice
from client.dial_device import Addresses, Device
from client.dial_options import DialOptions
from client.dial_session import DialSession, Ending
from client.failure import Failure
from client.ports import Port, resolve
from shared.addresses import Address, address_text
from shared.errors import SystemRefused
from shared.ppp.frame import Protocol as PPPProtocol
from system.alarm import Alarm

__all__ = ["DialEvent", "DialOptions", "EventKind", "run", "run_in_loop"]

_STOP_S: Final = 10.0  # how long an orderly end may take before we leave anyway


class EventKind(StrEnum):
    """What a `DialEvent` is about."""

    PROGRESS = "progress"
    UP = "up"
    DOWN = "down"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class DialEvent:
    """Something to tell the user: ``text`` for people, ``details`` for programs."""

    kind: EventKind
    text: str
    details: dict[str, object] = field(default_factory=dict)


Report = Callable[[DialEvent], None]


def run(options: DialOptions, report: Report) -> bool:
    """Dial, and return when a session that was wanted no more has been hung up (True) or has failed (False).

    With ``redial_s`` only SIGTERM or SIGINT ends it. Raises `ConfigError` on options that can't be,
    `SystemRefused` where there is no device, no socket or no such LNS.
    """
    options.check()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run_in_loop(options, report))


async def run_in_loop(options: DialOptions, report: Report, stop: asyncio.Event | None = None) -> bool:
    """Do what `run` does, in the running event loop; ``stop`` ends it as SIGTERM does."""
    stop = stop or asyncio.Event()
    family, lns = resolve(options.lns, options.port)
    device = Device(options.tun, options.all_routes(), str(lns[0]), hold=options.redial_s > 0)
    with contextlib.closing(device), _signals(stop):
        try:
            while True:
                with contextlib.closing(Port(family, options.bind)) as port:
                    failure = await _Driver(options, lns, port, device, report, stop).until_over()
                if stop.is_set() or not options.redial_s:
                    return failure is None
                if await _stopped_before_redial(options.redial_s, device, report, stop):
                    return True
        finally:
            if device.up:
                await asyncio.to_thread(device.deconfigure)


async def _stopped_before_redial(wait_s: float, device: Device, report: Report, stop: asyncio.Event) -> bool:
    report(DialEvent(EventKind.PROGRESS, f"dialling again in {wait_s:g} s"))
    if await _within(stop.wait(), wait_s):
        return True
    if await asyncio.to_thread(device.let_go_of_the_lns):
        report(DialEvent(EventKind.PROGRESS, "the way to the LNS has changed: routes taken away"))
    return False


class _Driver:
    """Gives a `DialSession` the loop's time, the socket, the device, and the wish to stop."""

    def __init__(
        self,
        options: DialOptions,
        lns: Address,
        port: Port,
        device: Device,
        report: Report,
        stop: asyncio.Event,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._options = options
        self._lns = lns
        self._port = port
        self._device = device
        self._report = report
        self._stop = stop
        self._session = DialSession(
            options, lns, secrets.randbelow(0xFFFF) + 1, self, random=secrets.token_bytes
        )
        self._alarm = Alarm(self._loop, self._session.timers, self._ring)
        self._changes: asyncio.Queue[Addresses | None] = (
            asyncio.Queue()
        )  # for the device; as many as NCP events
        self._leaving = False
        self._over = asyncio.Event()
        self._problem: BaseException | None = None
        self._loop.set_exception_handler(self._fail)

    async def until_over(self) -> Failure | None:
        """Dial and stay until the end; None where we were told to stop."""
        self._say(f"dialling {address_text(self._lns)} as {self._options.user!r}")
        self._loop.add_reader(self._port.fileno(), self._readable)
        configuring = self._loop.create_task(self._configure_device())
        self._watch_device()  # up, it has held its routes: what came in the meantime is dropped
        try:
            self._session.begin(self._loop.time())
            self._alarm.arm()
            await self._until_told_or_over()
            await self._hang_up()
        finally:
            self._alarm.stop()
            self._loop.remove_reader(self._port.fileno())
            self._leaving = True
            self._changes.put_nowait(None)
            await configuring
        if self._problem is not None:
            raise self._problem
        return self._conclude()

    # --------------------------------------------------------------- what the session asks for

    def transmit(self, datagram: bytes, to: Address) -> None:
        """Send a datagram to the LNS."""
        self._port.send(datagram, to)

    def deliver(self, packet: memoryview) -> None:
        """Give a packet to the device."""
        self._device.write(packet)

    def changed(self, session: DialSession) -> None:
        """Have the device follow what PPP has settled."""
        self._changes.put_nowait(_addresses(session) if session.networks else None)

    def progress(self, text: str) -> None:
        """Tell the user."""
        self._say(text)

    # ---------------------------------------------------------------------------- what happens

    def _fail(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Let a bug in a callback end the program."""
        self._problem = self._problem or context.get("exception") or RuntimeError(context["message"])
        self._over.set()

    def _readable(self) -> None:
        now = self._loop.time()
        self._port.drain(lambda datagram, source: self._session.receive(datagram, source, now))
        self._after(now)

    def _packets(self) -> None:
        self._device.read(self._session.send_packet)

    def _ring(self, now: float) -> None:
        self._session.handle_timers(now)
        self._after(now)

    def _after(self, _now: float) -> None:
        self._alarm.arm()
        if self._session.ending is Ending.OVER:
            self._over.set()

    async def _until_told_or_over(self) -> None:
        waits = {self._loop.create_task(event.wait()) for event in (self._stop, self._over)}
        _, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()

    async def _hang_up(self) -> None:
        self._session.close("the user hung up", self._loop.time())
        self._after(self._loop.time())
        if not await _within(self._over.wait(), _STOP_S):
            self._say("the LNS has not acknowledged the end; leaving all the same")

    async def _configure_device(self) -> None:
        """Apply each change to the device, one after the other, off the loop; the last one takes all away."""
        while True:
            addresses = await self._changes.get()
            self._loop.remove_reader(self._device.fileno())
            try:
                await self._apply(addresses)
            except SystemRefused as refusal:
                self._problem = self._problem or refusal
                self._over.set()
            if self._leaving and self._changes.empty():
                return

    async def _apply(self, addresses: Addresses | None) -> None:
        if addresses is not None:
            await asyncio.to_thread(self._device.configure, addresses)
            self._report(_up(self._options, self._session, addresses))
        elif not self._device.hold:
            await asyncio.to_thread(self._device.deconfigure)
        if not self._leaving:
            self._watch_device()

    def _watch_device(self) -> None:
        if self._device.up:  # down, it would be readable for ever
            self._loop.add_reader(self._device.fileno(), self._packets)

    def _conclude(self) -> Failure | None:
        failure = self._session.failure
        if failure is None:
            self._report(DialEvent(EventKind.DOWN, "hung up"))
            return None
        was_up = self._session.was_up
        network_error = None if was_up else self._port.last_error
        given = bool(self._options.password)
        hint = advice(failure, network_error, was_up=was_up, password_given=given)
        details = {**asdict(failure), "side": failure.side, "advice": hint, "was_up": was_up}
        lost = "lost" if was_up else "refused" if failure.by_peer else "failed"
        self._report(DialEvent(EventKind.FAILED, f"{lost}: {failure.text()}\n{hint}", details))
        return failure

    def _say(self, text: str) -> None:
        self._report(DialEvent(EventKind.PROGRESS, text))


def _addresses(session: DialSession) -> Addresses:
    link = session.call.link
    assert link is not None
    has_ipv4, has_ipv6 = PPPProtocol.IPV4 in session.networks, PPPProtocol.IPV6 in session.networks
    return Addresses(
        ipv4=link.local_ipv4 if has_ipv4 else None,
        ipv4_peer=link.remote_ipv4 if has_ipv4 else None,
        ipv6_interface_id=link.local_interface_id if has_ipv6 else None,
        mtu_octets=session.mtu_octets,
    )


def _up(options: DialOptions, session: DialSession, addresses: Addresses) -> DialEvent:
    link = session.call.link
    assert link is not None
    details: dict[str, object] = {
        "device": options.tun,
        "authentication": link.authentication,
        "address": addresses.ipv4,
        "gateway": addresses.ipv4_peer,
        "dns": list(link.dns),
        "ipv6": addresses.link_local,
        "mtu": addresses.mtu_octets,
        "routes": list(options.all_routes()),
        "tunnel_id": session.tunnel.connection.local_tunnel_id,
        "session_id": session.call.session_id,
    }
    shown = ", ".join(f"{name} {_shown(value)}" for name, value in details.items() if value)
    return DialEvent(EventKind.UP, f"up: {shown}", details)


def _shown(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


async def _within(waiting: object, limit_s: float) -> bool:
    """Return whether ``waiting`` has ended within ``limit_s``."""
    try:
        async with asyncio.timeout(limit_s):
            await waiting  # type: ignore[misc]
    except TimeoutError:
        return False
    return True


@contextlib.contextmanager
def _signals(stop: asyncio.Event) -> Iterator[None]:
    """Let SIGINT and SIGTERM set ``stop``; only the main thread can have handlers."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
