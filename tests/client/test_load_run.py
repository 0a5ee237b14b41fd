from collections import Counter

import pytest

from client.load_options import LoadOptions, TrafficOptions
from client.load_run import LoadRun, Phase
from shared.addresses import Address
from shared.l2tp.results import CallResult, Result
from tests.client.lns import LNS, PASSWORD, LnsSession, MemoryLns, World, octets
from tests.client.messages import kind

HOST = "192.168.22.100"


class WorldPort:
    """A local port that is a wire to the LNS."""

    def __init__(self, world: World, address: Address) -> None:
        self._world = world
        self._address = address

    def send(self, datagram: bytes, to: Address) -> None:
        assert to == LNS
        self._world.to_lns(datagram, self._address)


class LoadClient:
    """A `LoadRun` with one local port per ``options.ports``, told apart by their UDP port."""

    def __init__(self, world: World, options: LoadOptions) -> None:
        addresses: list[Address] = [("198.51.100.1", 40000 + index) for index in range(options.ports)]
        self.world = world
        self.run = LoadRun(options, LNS, [WorldPort(world, a) for a in addresses], random=octets(1))
        self.ports = {address: index for index, address in enumerate(addresses)}

    def receive(self, datagram: bytes, to: Address, now: float) -> None:
        self.run.receive(self.ports[to], memoryview(bytearray(datagram)), LNS, now)

    def next_timeout(self) -> float | None:
        return self.run.timers.next_deadline()

    def handle_timers(self, now: float) -> None:
        self.run.handle_timers(now)

    def until(self, phase: Phase) -> None:
        self.world.run(self, lambda: self.run.phase is phase)

    def to_the_end(self) -> None:
        self.run.begin(self.world.now)
        self.until(Phase.OVER)


def load(lns: MemoryLns, **options: object) -> LoadClient:
    defaults = {"lns": "memory", "password": PASSWORD, "rate_per_s": 100.0, "hold_s": 5.0}
    return LoadClient(World(lns), LoadOptions(**(defaults | options)))  # type: ignore[arg-type]


@pytest.mark.parametrize(("tunnels", "sessions", "ports"), [(6, 1, 1), (1, 6, 1), (3, 4, 2)])
def test_every_subscriber_comes_up_and_every_tunnel_is_closed_with_acknowledgement(
    tunnels: int, sessions: int, ports: int
) -> None:
    lns = MemoryLns()
    client = load(lns, tunnels=tunnels, sessions=sessions, ports=ports)
    client.to_the_end()
    summary = client.run.summary
    assert (summary.up, summary.failed, summary.lost) == (tunnels * sessions, {}, {})
    assert summary.tunnels_closed == {"acknowledged": tunnels}
    assert summary.ok
    assert lns.sessions == {}


def test_a_session_ends_with_terminate_request_then_cdn_then_stopccn() -> None:
    client = load(MemoryLns())
    client.to_the_end()
    sent_at_last = [kind(datagram) for datagram in client.world.carried[-12:]]
    order = [
        what for what in sent_at_last if what in {"Terminate-Request", "Terminate-Ack", "CDN", "StopCCN"}
    ]
    assert order[:2] == ["Terminate-Request", "Terminate-Ack"]
    assert order[-1] == "StopCCN"
    assert "CDN" in order[2:-1]


def test_latencies_count_each_stage_once() -> None:
    client = load(MemoryLns(), tunnels=2, sessions=3)
    client.to_the_end()
    latency = client.run.summary.latency
    assert (latency.tunnel.count, latency.call.count, latency.ppp.count, latency.setup.count) == (2, 6, 6, 6)
    assert latency.tunnel.percentile(50) == pytest.approx(0.002, rel=0.02)  # SCCRQ there, SCCRP back


def test_sessions_arrive_at_the_rate_asked_for() -> None:
    client = load(MemoryLns(), tunnels=1, sessions=50, rate_per_s=10.0)
    client.to_the_end()
    assert client.run.summary.setup_s == pytest.approx(4.9, abs=0.1)


def test_each_reply_is_delivered_to_the_subscriber_that_asked() -> None:
    client = load(MemoryLns(), tunnels=2, sessions=5, traffic=TrafficOptions(HOST, packets_per_s=10))
    client.to_the_end()
    traffic = client.run.summary.traffic
    assert traffic is not None
    assert traffic.sent == traffic.delivered == pytest.approx(2 * 5 * 10 * 5, abs=10)
    assert (traffic.lost, traffic.misdelivered, traffic.corrupt, traffic.foreign) == (0, 0, 0, 0)


def test_a_reply_at_another_subscriber_is_misdelivered_and_fails_the_run() -> None:
    lns = MemoryLns()

    def to_the_neighbour(session: LnsSession, reply: bytes) -> tuple[LnsSession, bytes]:
        everyone = list(lns.sessions.values())
        return everyone[(everyone.index(session) + 1) % len(everyone)], reply

    lns.reply_to = to_the_neighbour
    client = load(lns, sessions=2, traffic=TrafficOptions(HOST))
    client.to_the_end()
    traffic = client.run.summary.traffic
    assert traffic is not None
    assert (traffic.delivered, traffic.misdelivered) == (0, traffic.sent)
    assert not client.run.summary.ok


def test_an_altered_payload_is_corrupt() -> None:
    lns = MemoryLns()
    lns.reply_to = lambda session, reply: (session, reply[:-1] + bytes((reply[-1] ^ 1,)))
    client = load(lns, traffic=TrafficOptions(HOST))
    client.to_the_end()
    traffic = client.run.summary.traffic
    assert traffic is not None
    assert (traffic.delivered, traffic.corrupt) == (0, traffic.sent)
    assert not client.run.summary.ok


def test_a_repeated_reply_counts_as_duplicated_not_as_delivered() -> None:
    lns = MemoryLns()

    def twice(session: LnsSession, reply: bytes) -> tuple[LnsSession, bytes]:
        lns.send_packet(session, reply)
        return session, reply

    lns.reply_to = twice
    client = load(lns, traffic=TrafficOptions(HOST))
    client.to_the_end()
    traffic = client.run.summary.traffic
    assert traffic is not None
    assert traffic.sent == traffic.delivered == traffic.duplicated


def test_loss_is_a_failure_only_beyond_what_is_allowed() -> None:
    verdicts = {}
    for allowed in (0.0, 0.6):
        lns = MemoryLns()
        every_other = iter(range(1000))
        lns.reply_to = lambda s, r, n=every_other: (s, r) if next(n) % 2 else None
        client = load(lns, traffic=TrafficOptions(HOST, allow_loss=allowed))
        client.to_the_end()
        verdicts[allowed] = client.run.summary.ok
    assert verdicts == {0.0: False, 0.6: True}


def test_wrong_passwords_are_counted_by_reason() -> None:
    lns = MemoryLns(authentication=("chap",))
    client = load(lns, sessions=3, password="wrong")
    client.to_the_end()
    summary = client.run.summary
    assert summary.up == 0
    assert len(summary.failed) == 1
    assert summary.failed.total() == 3
    assert "authentication refused" in next(iter(summary.failed))


def test_a_refused_call_tells_who_refused_and_with_which_code() -> None:
    lns = MemoryLns(refuse_calls=Result(CallResult.NO_FACILITIES_NOW, 0, "full"))
    client = load(lns, tunnels=2)
    client.to_the_end()
    [(reason, times)] = client.run.summary.failed.items()
    assert times == 2
    assert reason.startswith("call: the LNS ended it: result 4")
    assert client.run.summary.tunnels_closed == {"acknowledged": 2}


def test_a_wrong_tunnel_secret_fails_the_tunnel_and_its_sessions() -> None:
    client = load(MemoryLns(secret=b"right"), sessions=2, secret=b"wrong")
    client.to_the_end()
    summary = client.run.summary
    assert summary.tunnels_failed.total() == 1
    assert summary.failed.total() == 2


def test_a_silent_lns_fails_each_subscriber_in_time() -> None:
    client = load(MemoryLns(deaf=True), tunnels=3, timeout_s=10.0)
    client.run.begin(client.world.now)
    began_at = client.world.now
    client.until(Phase.OVER)
    assert client.run.summary.failed.total() == 3
    assert client.world.now - began_at < 12


def test_a_session_that_the_lns_ends_during_the_hold_is_lost() -> None:
    lns = MemoryLns()
    client = load(lns, sessions=3)
    client.run.begin(client.world.now)
    client.until(Phase.HOLD)
    lns.hang_up(next(iter(lns.sessions.values())), client.world.now)
    client.until(Phase.OVER)
    summary = client.run.summary
    assert (summary.up, summary.lost.total()) == (3, 1)
    assert not summary.ok


def test_a_stopccn_without_a_tunnel_id_ends_the_tunnel_that_its_avp_names() -> None:  # RFC 2661 §4.4.3
    lns = MemoryLns()
    client = load(lns, tunnels=3)
    client.run.begin(client.world.now)
    client.until(Phase.HOLD)
    stopping = lns.tunnels[min(lns.tunnels)]
    avps = bytes.fromhex("8008 0000 0000 0004 8008 0000 0009") + stopping.local_tunnel_id.to_bytes(2)
    avps += bytes.fromhex("800a 0000 0001 0006 0000")
    length = (12 + len(avps)).to_bytes(2)
    header = bytes.fromhex("c802") + length + bytes.fromhex("0000 0000 0002 0004")  # after SCCRP, ICRP; ICCN
    client.run.receive(0, memoryview(bytearray(header + avps)), LNS, client.world.now)
    assert client.run.subscribers.established == 2


def test_an_interrupt_tears_down_what_is_there() -> None:
    lns = MemoryLns()
    client = load(lns, tunnels=2, sessions=2, hold_s=1000.0)
    client.run.begin(client.world.now)
    client.until(Phase.HOLD)
    client.run.interrupt(client.world.now)
    client.until(Phase.OVER)
    assert client.run.summary.tunnels_closed == {"acknowledged": 2}
    assert client.run.summary.interrupted
    assert lns.sessions == {}


def test_tear_down_without_an_answer_comes_to_an_end() -> None:
    lns = MemoryLns()
    client = load(lns, tunnels=2)
    client.run.begin(client.world.now)
    client.until(Phase.HOLD)
    lns.deaf = True
    client.until(Phase.OVER)
    assert "acknowledged" not in client.run.summary.tunnels_closed
    assert client.run.summary.tunnels_closed.total() == 2


def test_numbered_data_are_answered_with_numbers() -> None:  # RFC 2661 §5.4: the LAC follows the LNS
    lns = MemoryLns(numbered=True)
    client = load(lns, traffic=TrafficOptions(HOST))
    client.to_the_end()
    assert client.run.summary.ok
    uplink = [d for d in client.world.carried if not d[0] & 0x80]
    assert Counter(bool(d[0] & 0x08) for d in uplink)[False] <= 1  # at most our first Configure-Request


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_control_messages_survive_the_loss_of_every_fifth_datagram(seed: int) -> None:
    chance = octets(seed)
    client = load(MemoryLns(), tunnels=5, sessions=4, timeout_s=60.0)
    client.world.lose = lambda datagram: datagram[0] & 0x80 != 0 and chance(1)[0] < 51
    client.to_the_end()
    summary = client.run.summary
    assert summary.up == 20, summary.problems


def test_any_octets_from_the_network_leave_the_run_going() -> None:
    client = load(MemoryLns(), sessions=2)
    client.run.begin(client.world.now)
    client.until(Phase.HOLD)
    chance = octets(9)
    for length in range(80):
        junk = chance(length)
        for first in (b"", b"\xc8\x02", b"\x00\x02\x00\x01\x00\x01", b"\xc8\x02\x00\x14\x00\x01\x00\x00"):
            client.run.receive(0, memoryview(bytearray(first + junk)), LNS, client.world.now)
    assert client.run.subscribers.established == 2
