"""An LNS in memory: the machines of `shared` in the opposite roles, a host that answers pings, a clock."""

from __future__ import annotations

import heapq
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Protocol

from shared.addresses import Address
from shared.ip.checksum import internet_checksum
from shared.l2tp.commands import CallOffered, Command, SessionDown, SessionUp, Transmit, TunnelDown
from shared.l2tp.connection import ControlConnection, read_sccrq
from shared.l2tp.header import encode_data_header, is_control, parse_data_header
from shared.l2tp.results import CallResult, Result, StopResult
from shared.l2tp.settings import ConnectionSettings, Role
from shared.ppp.chap import verify_chap
from shared.ppp.commands import Authenticate, LinkCommand, LinkDown, NetworkUp, SendFrame
from shared.ppp.frame import make_frame, split_frame
from shared.ppp.link import Link
from shared.ppp.mschap import nt_hash, verify_mschapv2
from shared.ppp.policy import Authorization, IPv4Service, LinkEnd, LinkPolicy
from shared.ppp.terms import Side

LNS: Address = ("192.0.2.1", 1701)
PASSWORD = "secret"
IPV4 = 0x0021


def octets(seed: int) -> Callable[[int], bytes]:
    """Return a source of octets that is random enough, and the same in each run."""
    return Random(seed).randbytes


@dataclass(slots=True, eq=False)
class LnsSession:
    tunnel: ControlConnection
    session_id: int
    peer_session_id: int
    link: Link
    address: str
    username: str = ""


@dataclass(slots=True)
class MemoryLns:
    """Accepts everybody with the right password; every attribute may be changed between events."""

    secret: bytes | None = None
    authentication: tuple[str, ...] = ("pap",)
    ipv6: bool = False
    numbered: bool = False  # data messages carry sequence numbers
    refuse_calls: Result | None = None
    answer_pings: bool = True
    reply_to: Callable[[LnsSession, bytes], tuple[LnsSession, bytes] | None] | None = None
    deaf: bool = False
    out: list[tuple[bytes, Address]] = field(default_factory=list)
    tunnels: dict[int, ControlConnection] = field(default_factory=dict)
    sessions: dict[tuple[int, int], LnsSession] = field(default_factory=dict)
    ends: list[LinkEnd] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    received: list[int] = field(default_factory=list)  # IPv4 packets, by session ID
    _ids: count[int] = field(default_factory=lambda: count(1))
    _random: Callable[[int], bytes] = field(default_factory=lambda: octets(2))

    def receive(self, datagram: bytes, source: Address, now: float) -> None:
        if self.deaf:
            return
        if not is_control(datagram):
            self._data(datagram, now)
            return
        tunnel = self.tunnels.get(int.from_bytes(datagram[4:6], "big"))
        if tunnel is None and (request := read_sccrq(datagram)) is not None:
            known = (
                t
                for t in self.tunnels.values()
                if (t.peer, t.peer_tunnel_id) == (source, request.assigned_tunnel_id)
            )
            tunnel = next(known, None) or self._new_tunnel(source)
        if tunnel is not None:
            self._perform(tunnel, tunnel.receive(datagram, source, now), now)

    def next_timeout(self) -> float | None:
        times = [tunnel.next_timeout() for tunnel in self.tunnels.values()]
        times += [session.link.next_timeout() for session in self.sessions.values()]
        return min((time for time in times if time is not None), default=None)

    def handle_timers(self, now: float) -> None:
        for tunnel in list(self.tunnels.values()):
            if (due := tunnel.next_timeout()) is not None and due <= now:
                self._perform(tunnel, tunnel.handle_timer(now), now)
        for session in list(self.sessions.values()):
            if (due := session.link.next_timeout()) is not None and due <= now:
                self._perform_link(session, session.link.handle_timer(now), now)

    def hang_up(self, session: LnsSession, now: float) -> None:
        self._perform_link(session, session.link.close(LinkEnd.ADMINISTRATIVE, "maintenance", now), now)

    def stop(self, now: float) -> None:
        for tunnel in list(self.tunnels.values()):
            self._perform(tunnel, tunnel.close(Result(StopResult.SHUTTING_DOWN, 0, "bye"), now), now)

    def _new_tunnel(self, source: Address) -> ControlConnection:
        settings = ConnectionSettings(hostname="memory", vendor="test", secret=self.secret)
        tunnel_id = next(self._ids)
        self.tunnels[tunnel_id] = ControlConnection(
            settings, Role.LNS, tunnel_id, source, random=self._random
        )
        return self.tunnels[tunnel_id]

    def _perform(self, tunnel: ControlConnection, commands: list[Command], now: float) -> None:
        for command in commands:
            match command:
                case Transmit(datagram=datagram, to=to):
                    self.out.append((datagram, to))
                case CallOffered(peer_session_id=peer_session_id):
                    if self.refuse_calls is not None:
                        answer = tunnel.reject_call(peer_session_id, self.refuse_calls, now)
                    else:
                        answer = tunnel.accept_call(peer_session_id, next(self._ids), now)
                    self._perform(tunnel, answer, now)
                case SessionUp():
                    self._session_up(tunnel, command, now)
                case SessionDown(local_session_id=session_id, reason=reason):
                    self.sessions.pop((tunnel.local_tunnel_id, session_id), None)
                    self.reasons.append(reason)
                case TunnelDown(reason=reason):
                    self.reasons.append(reason)
                case _:
                    pass

    def _session_up(self, tunnel: ControlConnection, up: SessionUp, now: float) -> None:
        policy = LinkPolicy(authentication=self.authentication)
        number = up.local_session_id
        address = f"10.0.{number >> 8}.{number & 0xFF}"
        granted = self._grant("nobody", address) if not self.authentication else None
        link = Link(policy, Side.AUTHENTICATOR, random=self._random, authorization=granted)
        session = LnsSession(tunnel, number, up.peer_session_id, link, address)
        self.sessions[tunnel.local_tunnel_id, number] = session
        self._perform_link(session, link.open(now), now)

    def _perform_link(self, session: LnsSession, commands: list[LinkCommand], now: float) -> None:
        for command in commands:
            match command:
                case SendFrame(frame=frame):
                    self._send(session, frame)
                case Authenticate():
                    self._judge(session, command, now)
                case LinkDown(end=end, reason=reason):
                    self.ends.append(end)
                    result = Result(CallResult.ADMINISTRATIVE, 0, reason)
                    closing = session.tunnel.close_session(session.session_id, result, now)
                    self._perform(session.tunnel, closing, now)
                case NetworkUp() | _:
                    pass

    def _judge(self, session: LnsSession, request: Authenticate, now: float) -> None:
        good, message = _verify(request)
        session.username = request.username
        granted = self._grant(request.username, session.address) if good else None
        reason = "" if good else "wrong password"
        self._perform_link(session, session.link.decide(good, message, reason, granted, now), now)

    def _grant(self, username: str, address: str) -> Authorization:
        service = IPv4Service("10.255.0.1", address, dns=("10.255.0.53",))
        return Authorization(username, ipv4=service, ipv6=self.ipv6)

    def _data(self, datagram: bytes, now: float) -> None:
        header = parse_data_header(datagram)
        session = None if header is None else self.sessions.get((header.tunnel_id, header.session_id))
        if header is None or session is None:
            return
        frame = datagram[header.offset_of_payload : header.end_of_payload]
        split = split_frame(memoryview(frame))
        if split is not None and split[0] == IPV4:
            self.received.append(session.session_id)
            self._answer(session, bytes(split[1]))
        else:
            self._perform_link(session, session.link.receive(frame, now), now)

    def _answer(self, session: LnsSession, request: bytes) -> None:
        if not self.answer_pings:
            return
        to, reply = session, echo_reply(request)
        if self.reply_to is not None:
            changed = self.reply_to(session, reply)
            if changed is None:
                return
            to, reply = changed
        self._send(to, make_frame(IPV4, reply))

    def send_packet(self, session: LnsSession, packet: bytes) -> None:
        self._send(session, make_frame(IPV4, packet))

    def _send(self, session: LnsSession, frame: bytes) -> None:
        ns = next(self._ids) & 0xFFFF if self.numbered else None
        header = encode_data_header(session.tunnel.peer_tunnel_id, session.peer_session_id, ns=ns)
        self.out.append((header + frame, session.tunnel.peer))


def echo_reply(request: bytes) -> bytes:
    """Return what a host answers to an ICMP echo request (RFC 792): addresses exchanged, type 0."""
    icmp = b"\0\0\0\0" + request[24:]
    checked = icmp[:2] + struct.pack("!H", internet_checksum(icmp)) + icmp[4:]
    return request[:12] + request[16:20] + request[12:16] + checked


def _verify(request: Authenticate) -> tuple[bool, str]:
    match request.protocol:
        case "pap":
            return request.response == PASSWORD.encode(), "said the LNS"
        case "chap":
            good = verify_chap(request.identifier, PASSWORD.encode(), request.challenge, request.response)
            return good, "said the LNS"
        case _:
            proof = verify_mschapv2(nt_hash(PASSWORD), request.username, request.challenge, request.response)
            return proof is not None, proof or "E=691 R=0 V=3"


class Client(Protocol):
    """What a `World` drives beside the LNS."""

    def receive(self, datagram: bytes, to: Address, now: float) -> None: ...
    def next_timeout(self) -> float | None: ...
    def handle_timers(self, now: float) -> None: ...


class World:
    """Carries datagrams between a client and a `MemoryLns` in virtual time, a millisecond each way.

    ``lose`` says of each datagram whether it is lost.
    """

    def __init__(self, lns: MemoryLns, lose: Callable[[bytes], bool] = lambda _: False) -> None:
        self.lns = lns
        self.now = 100.0
        self.lose = lose
        self.carried: list[bytes] = []
        self._order = count()
        self._wire: list[tuple[float, int, str, bytes, Address]] = []

    def to_lns(self, datagram: bytes, source: Address) -> None:
        self._put("lns", datagram, source)

    def _put(self, to: str, datagram: bytes, address: Address) -> None:
        self.carried.append(datagram)
        if not self.lose(datagram):
            heapq.heappush(self._wire, (self.now + 0.001, next(self._order), to, datagram, address))

    def run(self, client: Client, until: Callable[[], bool], limit_s: float = 300) -> None:
        """Let time pass until ``until()``; fails where that takes longer than ``limit_s``."""
        end = self.now + limit_s
        while not until():
            times = [client.next_timeout(), self.lns.next_timeout()]
            times += [self._wire[0][0]] if self._wire else []
            due = min((time for time in times if time is not None), default=None)
            assert due is not None, "nothing is awaited any more"
            self.now = max(self.now, due)
            assert self.now <= end, f"not within {limit_s} s"
            while self._wire and self._wire[0][0] <= self.now:
                _, _, to, datagram, address = heapq.heappop(self._wire)
                if to == "lns":
                    self.lns.receive(datagram, address, self.now)
                else:
                    client.receive(datagram, address, self.now)
            client.handle_timers(self.now)
            self.lns.handle_timers(self.now)
            sent, self.lns.out = self.lns.out, []
            for datagram, address in sent:
                self._put("client", datagram, address)
