"""The subscribers of a run and their tunnels: which octets are whose, and what has come of each.

Any number of tunnels share a local port; the IDs that we chose tell them apart in every header.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol, cast

from client.call import Call
from client.failure import Failure, Stage
from client.load_options import LoadOptions
from client.load_summary import Summary
from client.load_traffic import Sender, Traffic
from client.tunnel import ClientTunnel
from shared.addresses import Address
from shared.l2tp.connection import read_stop
from shared.l2tp.header import is_control, parse_data_header
from shared.l2tp.session import CallInfo
from shared.l2tp.settings import ConnectionSettings
from shared.ppp.frame import Protocol as PPPProtocol
from shared.ppp.policy import LinkPolicy
from shared.ppp.terms import Credentials
from shared.timers import TimerQueue

_MOST_NOTES: Final = 1000


class LocalPort(Protocol):
    """A UDP socket, or a list in a test."""

    def send(self, datagram: bytes, to: Address) -> None:
        """Send ``datagram``, or drop it."""


@dataclass(slots=True, eq=False)
class LoadTunnel:
    """One tunnel: the machine, its port, and the calls that wait for it to be established."""

    port: LocalPort
    opened_at: float
    closed: bool = False  # its outcome is counted
    waiting: list[Subscriber] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Subscriber:
    """One subscriber's set-up in times, and its traffic once it is up."""

    call: Call
    arrived_at: float
    opens_tunnel: bool  # so its set-up begins with the SCCRQ
    called_at: float = 0.0  # its ICRQ
    connected_at: float = 0.0
    settled: bool = False  # up or failed
    up: bool = False
    sender: Sender | None = None


class Subscribers:
    """All of a run; the `Owner` of its tunnels. ``now`` is set by whoever calls in from outside."""

    def __init__(
        self,
        options: LoadOptions,
        lns: Address,
        ports: Sequence[LocalPort],
        summary: Summary,
        traffic: Traffic | None,
        *,
        random: Callable[[int], bytes],
    ) -> None:
        self.timers: TimerQueue[object] = TimerQueue()
        self.now = 0.0
        self.in_progress = 0
        self.established = 0  # sessions that are up now
        self.last_up_at = 0.0
        self.unclosed = 0  # tunnels that have come up and whose end is not accounted for
        self.closing = False  # ends are expected from here on
        self.all: list[Subscriber] = []
        self.notes: deque[str] = deque(maxlen=_MOST_NOTES)
        self._options = options
        self._lns = lns
        self._ports = ports
        self._summary = summary
        self._traffic = traffic
        self._random = random
        self._settings = ConnectionSettings(
            hostname="culvert-load",
            secret=options.secret,
            hello_interval_s=options.hello_interval_s,
            setup_timeout_s=options.timeout_s,
            max_sessions=options.sessions,
        )
        self._policy = LinkPolicy(
            authentication=options.authentication,
            establish_timeout_s=options.timeout_s,
            echo_interval_s=options.echo_interval_s,
        )
        self._machines: list[ClientTunnel] = []  # by index of the tunnel
        self._tunnels: dict[ClientTunnel, LoadTunnel] = {}
        self._by_id: list[dict[int, ClientTunnel]] = [{} for _ in ports]

    # ------------------------------------------------------------------------------------ to and fro

    def receive(self, port: int, datagram: memoryview, source: Address) -> None:
        """Take a datagram that has come to the local port of this index; any octets at all."""
        self._summary.datagrams_received += 1
        if is_control(datagram):
            tunnel_id = int.from_bytes(datagram[4:6], "big")
            machine = self._by_id[port].get(tunnel_id) if tunnel_id else self._stopped(port, datagram)
            if machine is not None:
                machine.receive_control(datagram, source, self.now)
        elif (header := parse_data_header(datagram)) is not None:
            machine = self._by_id[port].get(header.tunnel_id)
            if machine is not None:
                machine.receive_data(header, datagram, self.now)

    def _stopped(self, port: int, datagram: memoryview) -> ClientTunnel | None:
        """Return the tunnel that a StopCCN without a tunnel ID in its header means (RFC 2661 §4.4.3)."""
        stop = read_stop(datagram, self._options.secret)
        known = self._by_id[port].values() if stop is not None and stop.assigned_tunnel_id else ()
        meant = (m for m in known if stop and m.connection.peer_tunnel_id == stop.assigned_tunnel_id)
        return next(meant, None)

    def transmit(self, tunnel: ClientTunnel, datagram: bytes, to: Address) -> None:
        """Send ``datagram`` from the tunnel's port."""
        self._summary.datagrams_sent += 1
        self._tunnels[tunnel].port.send(datagram, to)

    def packet(self, call: Call, protocol: int, packet: memoryview) -> None:
        """Give an IPv4 packet from the LNS to its subscriber's account."""
        sender = self.all[call.number].sender
        if self._traffic is not None and sender is not None and protocol == PPPProtocol.IPV4:
            self._traffic.receive(sender, packet, self.now)

    # ---------------------------------------------------------------------------- what the run asks

    def start(self, number: int) -> None:
        """Let subscriber ``number`` arrive; numbers go up by one from 0."""
        options = self._options
        index = number % options.tunnels
        opens_tunnel = index == len(self._machines)
        machine = self._new_machine() if opens_tunnel else self._machines[index]
        credentials = Credentials(options.username(number), options.password)
        call = Call(machine, number, number // options.tunnels + 1, credentials)
        subscriber = Subscriber(call, self.now, opens_tunnel)
        self.all.append(subscriber)
        self.in_progress += 1
        if opens_tunnel:
            self._tunnels[machine].waiting.append(subscriber)
            machine.open(self.now)
        elif machine.ended is not None:
            self._failed(subscriber, machine.ended)
        elif machine.established:
            self._place(subscriber)
        else:
            self._tunnels[machine].waiting.append(subscriber)

    def expire(self, number: int) -> None:
        """Give up a subscriber that has not come up in time."""
        subscriber = self.all[number]
        if subscriber.settled:
            return
        stage = Stage.PPP if subscriber.connected_at else Stage.CALL if subscriber.called_at else Stage.TUNNEL
        failure = Failure(stage, by_peer=False, reason=f"not up within {self._options.timeout_s:g} s")
        if subscriber.called_at:
            subscriber.call.tunnel.give_up(subscriber.call, failure, self.now)
        else:
            self._failed(subscriber, failure)

    def handle_timer(self, key: object) -> None:
        """Do what is due under ``key`` in `timers`."""
        machine, session_id = cast("tuple[ClientTunnel, int]", key)
        machine.handle_timer(session_id, self.now)

    def senders(self, traffic: Traffic) -> Iterator[Sender]:
        """Yield the traffic of each subscriber that is up and has an IPv4 address."""
        for subscriber in self.all:
            link = subscriber.call.link
            if subscriber.up and link is not None and link.local_ipv4 is not None:
                send = partial(subscriber.call.tunnel.send_packet, subscriber.call, PPPProtocol.IPV4)
                subscriber.sender = traffic.sender(subscriber.call.number, link.local_ipv4, send)
                yield subscriber.sender

    def tunnels(self) -> list[ClientTunnel]:
        """Return the tunnels that have been opened and have not ended."""
        return [machine for machine in self._machines if machine.ended is None]

    def _new_machine(self) -> ClientTunnel:
        index = len(self._machines)
        port, tunnel_id = index % len(self._ports), index // len(self._ports) + 1
        machine = ClientTunnel(
            self, self.timers, self._settings, self._policy, tunnel_id, self._lns, random=self._random
        )
        self._machines.append(machine)
        self._by_id[port][tunnel_id] = machine
        self._tunnels[machine] = LoadTunnel(self._ports[port], self.now)
        return machine

    def _place(self, subscriber: Subscriber) -> None:
        call = subscriber.call
        subscriber.called_at = self.now
        info = CallInfo(serial_number=call.number + 1, calling_number=call.credentials.username)
        call.tunnel.place_call(call, info, self.now)

    # ------------------------------------------------------------------------- what the tunnels tell

    def tunnel_up(self, tunnel: ClientTunnel) -> None:
        """Place the calls that have waited for it."""
        entry = self._tunnels[tunnel]
        self._summary.tunnels_up += 1
        self.unclosed += 1
        self._summary.latency.tunnel.add(self.now - entry.opened_at)
        waiting, entry.waiting = entry.waiting, []
        for subscriber in waiting:
            if not subscriber.settled:
                self._place(subscriber)

    def tunnel_down(self, tunnel: ClientTunnel, failure: Failure) -> None:
        """Let the calls that have waited for it fail, and account for the end."""
        entry = self._tunnels[tunnel]
        waiting, entry.waiting = entry.waiting, []
        for subscriber in waiting:
            self._failed(subscriber, failure)
        if not tunnel.established:
            self._summary.tunnels_failed[failure.text()] += 1
        elif failure.by_peer or not self.closing:
            self._closed(tunnel, failure.text())

    def closed_by_lns(self, tunnel: ClientTunnel) -> None:
        """Account for a StopCCN that has crossed ours."""
        if tunnel.established:
            self._closed(tunnel, "acknowledged")

    def released(self, tunnel: ClientTunnel) -> None:
        """Account for the tear-down that we began."""
        if tunnel.established:
            self._closed(tunnel, "acknowledged" if tunnel.acknowledged else "never acknowledged")

    def count_unclosed(self) -> None:
        """Account for the tear-downs that have come to no end."""
        for tunnel in self._machines:
            if tunnel.established:
                self._closed(tunnel, "not finished in time")

    def _closed(self, tunnel: ClientTunnel, outcome: str) -> None:
        entry = self._tunnels[tunnel]
        if not entry.closed:
            entry.closed = True
            self.unclosed -= 1
            self._summary.tunnels_closed[outcome] += 1

    def call_connected(self, call: Call) -> None:
        """Take the time of the call."""
        subscriber = self.all[call.number]
        subscriber.connected_at = self.now
        self._summary.latency.call.add(self.now - subscriber.called_at)

    def network_up(self, call: Call, _protocol: int, /) -> None:
        """Count the subscriber as up."""
        subscriber = self.all[call.number]
        if subscriber.settled or call.link is None:
            return
        subscriber.settled = subscriber.up = True
        self.in_progress -= 1
        self.established += 1
        self.last_up_at = self.now
        summary = self._summary
        summary.up += 1
        summary.latency.ppp.add(self.now - subscriber.connected_at)
        began_at = subscriber.arrived_at if subscriber.opens_tunnel else subscriber.called_at
        summary.latency.setup.add(self.now - began_at)

    def network_down(self, _call: Call, _protocol: int, /) -> None:
        """Let the end of the call tell."""

    def call_down(self, call: Call, failure: Failure) -> None:
        """Account for a call that has ended or never came up."""
        subscriber = self.all[call.number]
        if not subscriber.settled:
            self._failed(subscriber, failure)
        elif subscriber.up:
            subscriber.up = False
            self.established -= 1
            if subscriber.sender is not None:
                subscriber.sender.active = False
            if not self.closing:
                self._summary.lost[failure.text()] += 1

    def note(self, tunnel: ClientTunnel, text: str) -> None:
        """Keep a line for ``--verbose``."""
        self.notes.append(f"tunnel {tunnel.connection.local_tunnel_id}: {text}")

    def _failed(self, subscriber: Subscriber, failure: Failure) -> None:
        if not subscriber.settled:
            subscriber.settled = True
            self.in_progress -= 1
            self._summary.failed[failure.text()] += 1
