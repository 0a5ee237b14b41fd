"""One worker process, between a controller (this test, over ZeroMQ) and a peer (this test, over UDP).

cpe ──veth── lns ──veth── pc2
tun0         culvert0     192.168.22.100
10.0.0.10    10.0.0.1
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest
import zmq

from deploy.lab.namespaces import Lab, Namespace
from shared.addresses import Address
from shared.ipc.codec import Message, decode, encode
from shared.ipc.messages import (
    AuthDecision,
    AuthRequest,
    Counters,
    Hello,
    HelloWanted,
    LinkDown,
    LinkUp,
    PeerConfirmed,
    PeerMoved,
    SessionAssigned,
    SessionClosed,
    Welcome,
    session_digest,
)
from shared.ppp.policy import Authorization, IPv4Service, LinkEnd, LinkPolicy
from system import links
from system.tun import open_tun
from system.udp import open_group
from tests.workers.peer import Peer
from workers.datapath import Datapath
from workers.ports import TunPort, UdpPort
from workers.pump import Pump

pytestmark = pytest.mark.netns

CPE: Address = ("198.51.100.7", 1701)
LNS = "198.51.100.1"
SECOND = "198.51.100.2"
GRANT = Authorization("alice", IPv4Service("10.0.0.1", "10.0.0.10"), ipv6=True, mtu_octets=1400)


class Bench:
    """The worker, what it is connected to, and a loop that moves everything but the worker itself."""

    def __init__(self, lab: Lab, runtime: Path, listen: str) -> None:
        self.lns, self.cpe, self.pc2 = (lab.namespace(name) for name in ("lns", "cpe", "pc2"))
        lab.link(
            (self.cpe, "wan"),
            (self.lns, "wan"),
            addresses=(["198.51.100.7/24"], [f"{LNS}/24", f"{SECOND}/24"]),
        )
        lab.link((self.pc2, "lan"), (self.lns, "lan"), addresses=(["192.168.22.100/24"], ["192.168.22.1/24"]))
        self.lns.forward()
        self.pc2.ip("route add default via 192.168.22.1")
        self.messages: list[Message] = []
        self.log = runtime / "worker.log"
        self._open_client(lab)
        self._open_controller(lab, f"ipc://{runtime}/workers.sock")
        self._start_worker(lab, runtime, listen)

    def _open_client(self, lab: Lab) -> None:
        tun = self.cpe.call(lambda: open_tun("tun0"))
        lab.at_exit(lambda: os.close(tun))
        self.cpe.ip("link set tun0 addrgenmode none", "link set tun0 mtu 1500 up")
        self.cpe.ip("addr add 10.0.0.10/32 dev tun0", "addr add fe80::a/64 dev tun0 nodad")
        self.cpe.ip("route add 192.168.22.0/24 dev tun0 src 10.0.0.10", "route add 10.0.0.1 dev tun0")
        self.datapath = Datapath()
        self.udp = self.client_socket(1701)
        lab.at_exit(self.udp.close)
        counters = self.datapath.counters
        self.pump = Pump(self.datapath, [UdpPort(self.udp, counters)], TunPort(tun, counters))
        self.peer: Peer | None = None

    def client_socket(self, port: int) -> socket.socket:
        """Return a socket of the client router."""
        opened = self.cpe.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        opened.bind((CPE[0], port))
        opened.setblocking(False)
        return opened

    def _open_controller(self, lab: Lab, endpoint: str) -> None:
        self.endpoint = endpoint
        context = zmq.Context()
        self.router = context.socket(zmq.ROUTER)
        self.router.setsockopt(zmq.LINGER, 0)
        self.router.bind(endpoint)
        lab.at_exit(context.term)
        lab.at_exit(self.router.close)

    def _start_worker(self, lab: Lab, runtime: Path, listen: str) -> None:
        tun = self.lns.call(lambda: open_tun("culvert0"))
        self.lns.call(lambda: links.set_up("culvert0", 1500, ["10.0.0.1"]))
        self.lns.ip("route add 10.0.0.0/24 dev culvert0")
        group = self.lns.call(lambda: open_group(listen, 1701, 1))
        udp = group[1].fileno()
        command = [sys.executable, "-m", "workers", "--index", "0", "--runtime", str(runtime)]
        command += [
            "--udp",
            str(udp),
            "--tun",
            str(tun),
            *(["--wildcard", "0"] if listen == "0.0.0.0" else []),
        ]
        with self.log.open("wb") as log:
            self.worker = subprocess.Popen(command, pass_fds=(udp, tun), stderr=log)
        for member in group[1:]:
            member.close()
        os.close(tun)
        lab.at_exit(group[0].close)
        lab.at_exit(self.worker.wait)
        lab.at_exit(self.worker.kill)

    # ---------------------------------------------------------------------------------------------

    def tell(self, message: Message) -> None:
        self.router.send_multipart([b"worker-0", encode(message)])

    def until(self, condition: Callable[[], object], what: str, deadline_s: float = 15) -> None:
        """Move packets and collect messages until ``condition()`` is true."""
        end = time.monotonic() + deadline_s
        while not condition():
            assert time.monotonic() < end, (
                f"not in time: {what}\n{self.log.read_text()}\n{self.messages[-9:]}"
            )
            self._step(time.monotonic())

    def _step(self, now: float) -> None:
        udp, tun = self.pump.udp[0].fileno(), self.pump.tun.fileno()
        ready, _, _ = select.select([udp, tun], [], [], 0.005)
        if tun in ready:
            self.pump.from_tun(now)
        frames = self.pump.from_udp(0, now).frames if udp in ready else []
        for _, frame in frames:
            if self.peer is not None and not self.peer.ended:
                self.peer.receive(frame, now)
        if self.peer is not None and not self.peer.ended:
            self.peer.handle_timer(now)
        while self.router.poll(0):
            identity, octets = self.router.recv_multipart()
            assert identity == b"worker-0"
            self._heard(decode(octets))

    def _heard(self, message: Message) -> None:
        self.messages.append(message)
        if isinstance(message, AuthRequest):
            ids = message.tunnel_id, message.session_id, message.request_id
            self.tell(AuthDecision(*ids, message.response == b"secret", "", "", GRANT))

    def got(self, kind: type[Message]) -> bool:
        return any(isinstance(message, kind) for message in self.messages)

    def start(self, worker_epoch: int = 7) -> None:
        """Be the controller that the worker has waited for."""
        self.until(lambda: self.got(Hello), "Hello")
        self.tell(Welcome(worker_epoch))

    def dial(self, dialled: str = LNS, local_address: str | None = None) -> None:
        """Bring session 3 of tunnel 2 up; the peer's own IDs are 12 and 13."""
        self.tell(
            SessionAssigned(2, 3, 12, 13, 0, CPE, local_address, False, LinkPolicy(authentication=("pap",)))
        )
        self.peer = Peer((12, 13, 2, 3), (dialled, 1701), self.datapath, self.pump.transmit, seed=3)
        self.peer.open(time.monotonic())
        self.until(lambda: self.peer and self.peer.session.ipv4 and self.peer.session.ipv6, "IPCP and IPV6CP")
        self.until(lambda: LinkUp(2, 3, "10.0.0.10", 0xA, 1400) in self.messages, "LinkUp")

    def ping(self, namespace: Namespace, *arguments: str) -> str:
        """Ping while packets move; return what ping says."""
        command = namespace.command("ping", "-n", "-c", "3", "-i", "0.05", "-W", "2", *arguments)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.until(lambda: process.poll() is not None, f"end of ping {arguments}")
        return process.communicate()[0]


@pytest.fixture
def bench(lab: Lab, tmp_path: Path) -> Bench:
    return Bench(lab, tmp_path, LNS)


@pytest.fixture
def up(bench: Bench) -> Iterator[Bench]:
    """A worker with one session that is up."""
    bench.start()
    bench.dial()
    yield bench
    assert bench.worker.poll() is None, bench.log.read_text()


def test_the_kernel_of_a_dialled_client_reaches_a_host_behind_the_worker(up: Bench) -> None:
    assert " 0% packet loss" in up.ping(up.cpe, "192.168.22.100")
    assert " 0% packet loss" in up.ping(up.pc2, "10.0.0.10")
    assert " 0% packet loss" in up.ping(up.lns, "fe80::a%culvert0")

    def counted() -> bool:
        rows = [row for message in up.messages if isinstance(message, Counters) for row in message.sessions]
        return bool(rows) and (rows[-1].rx_packets, rows[-1].tx_packets) == (9, 9)

    up.until(counted, "nine packets each way")
    heartbeat = next(message for message in reversed(up.messages) if isinstance(message, Counters))
    assert (heartbeat.epoch, heartbeat.digest) == (7, session_digest({(2, 3)}))


def test_a_host_learns_the_mtu_of_the_session_and_smaller_hosts_get_fragments(up: Bench) -> None:
    assert "mtu = 1400" in up.ping(up.pc2, "-M", "do", "-s", "1472", "10.0.0.10")
    up.pc2.ip("route flush cache")
    assert " 0% packet loss" in up.ping(up.pc2, "-M", "dont", "-s", "1472", "10.0.0.10")
    assert " 0% packet loss" in up.ping(up.pc2, "-M", "dont", "-s", "1372", "10.0.0.10")


def test_a_subscriber_can_not_send_from_anothers_address(up: Bench) -> None:
    up.cpe.ip("addr add 10.0.0.66/32 dev tun0")
    assert "100% packet loss" in up.ping(up.cpe, "-I", "10.0.0.66", "192.168.22.100")

    def noticed() -> bool:
        totals = [dict(message.totals) for message in up.messages if isinstance(message, Counters)]
        return bool(totals) and totals[-1]["spoofed_source"] == 3

    up.until(noticed, "three spoofed packets counted")


def test_a_peer_behind_a_new_port_goes_on_once_the_controller_has_confirmed_it(up: Bench) -> None:
    moved = up.client_socket(4500)
    with moved:
        up.pump.udp = [UdpPort(moved, up.datapath.counters)]
        assert "100% packet loss" in up.ping(up.cpe, "192.168.22.100")
        assert PeerMoved(2, (CPE[0], 4500)) in up.messages
        up.tell(PeerConfirmed(2, (CPE[0], 4500)))
        up.until(lambda: " 0% packet loss" in up.ping(up.cpe, "192.168.22.100"), "answers at the new port")


def test_any_octets_on_its_sockets_leave_the_session_up(up: Bench) -> None:
    random = Random(4)
    sealed = bytes.fromhex("0002 0002 0003")
    for _ in range(300):
        up.udp.sendto(random.choice([b"", sealed]) + random.randbytes(random.randrange(60)), (LNS, 1701))
        up.router.send_multipart([b"worker-0", random.randbytes(random.randrange(40))])
        up.router.send_multipart([b"worker-0", b"", b"two frames"])
    assert " 0% packet loss" in up.ping(up.cpe, "192.168.22.100")
    assert up.log.read_text().count("ignored octets") <= 4

    def counted() -> bool:
        totals = [dict(message.totals) for message in up.messages if isinstance(message, Counters)]
        return bool(totals) and totals[-1]["ipc_refused"] == 600

    up.until(counted, "600 messages refused")


def test_a_new_controller_is_told_what_runs(up: Bench) -> None:
    up.messages.clear()
    up.tell(HelloWanted(8))
    up.until(lambda: up.got(Hello), "another Hello")
    [hello] = [message for message in up.messages if isinstance(message, Hello)]
    assert (hello.index, hello.pid, hello.datapath, hello.sessions) == (
        0,
        up.worker.pid,
        "reference",
        ((2, 3),),
    )
    up.tell(Welcome(8))
    up.until(lambda: up.got(LinkUp), "LinkUp again")
    up.until(lambda: any(isinstance(m, Counters) and m.epoch == 8 for m in up.messages), "the new epoch")


def test_while_the_controller_is_away_packets_flow(up: Bench) -> None:
    up.router.unbind(up.endpoint)
    assert " 0% packet loss" in up.ping(up.cpe, "192.168.22.100")
    up.router.bind(up.endpoint)
    up.messages.clear()
    up.until(lambda: up.got(Counters), "the worker's heartbeat")


def test_closing_in_order_ends_with_link_down(up: Bench) -> None:
    up.tell(SessionClosed(2, 3, True, "test"))
    up.until(lambda: LinkDown(2, 3, LinkEnd.ADMINISTRATIVE, "test") in [*map(_bare, up.messages)], "LinkDown")
    assert up.peer is not None
    assert up.peer.ended


def _bare(message: Message) -> Message:
    """The same without RFC 3145's codes, which are the link's own matter."""
    if isinstance(message, LinkDown):
        return LinkDown(message.tunnel_id, message.session_id, message.end, message.reason)
    return message


def test_replies_come_from_the_address_that_was_dialled(lab: Lab, tmp_path: Path) -> None:
    bench = Bench(lab, tmp_path, "0.0.0.0")
    bench.start()
    bench.dial(SECOND, local_address=SECOND)  # the client takes data from no other address
    assert " 0% packet loss" in bench.ping(bench.cpe, "192.168.22.100")
    assert bench.datapath.counters.wrong_peer == 0


def test_sigterm_ends_it_quietly_and_sigint_does_not(bench: Bench) -> None:
    bench.start()
    bench.worker.send_signal(signal.SIGINT)
    bench.messages.clear()
    bench.until(lambda: bench.got(Counters), "a heartbeat after SIGINT")
    bench.worker.send_signal(signal.SIGTERM)
    assert bench.worker.wait(10) == 0
    assert "Traceback" not in bench.log.read_text()


def test_a_worker_whose_tun_has_been_deleted_says_so_and_ends(bench: Bench) -> None:
    bench.start()
    bench.lns.ip("link delete culvert0")
    assert bench.worker.wait(10) == 1
    assert "the TUN device is gone" in bench.log.read_text()
