from collections.abc import Callable

import pytest

from client.dial_advice import advice
from client.dial_options import DialOptions
from client.dial_session import DialSession, Ending
from client.failure import Stage
from shared.addresses import Address
from shared.ip.checksum import internet_checksum
from shared.l2tp.results import CallResult, Result
from shared.ppp.policy import LinkEnd
from tests.client.lns import IPV4, LNS, PASSWORD, MemoryLns, World, octets
from tests.client.messages import kind

SOURCE: Address = ("198.51.100.1", 40000)
IPV6 = 0x0057


class DialClient:
    """A `DialSession` between a wire and a list for a device."""

    def __init__(self, world: World, options: DialOptions) -> None:
        self.world = world
        self.device: list[bytes] = []
        self.said: list[str] = []
        self.session = DialSession(options, LNS, 77, self, random=octets(1))
        self.session.begin(world.now)

    def transmit(self, datagram: bytes, to: Address) -> None:
        assert to == LNS
        self.world.to_lns(datagram, SOURCE)

    def deliver(self, packet: memoryview) -> None:
        self.device.append(bytes(packet))

    def changed(self, session: DialSession) -> None:
        self.said.append(f"networks {sorted(session.networks)}")

    def progress(self, text: str) -> None:
        self.said.append(text)

    def receive(self, datagram: bytes, to: Address, now: float) -> None:
        self.session.receive(memoryview(bytearray(datagram)), LNS, now)

    def next_timeout(self) -> float | None:
        return self.session.timers.next_deadline()

    def handle_timers(self, now: float) -> None:
        self.session.handle_timers(now)

    def until(self, condition: Callable[[], bool]) -> None:
        self.world.run(self, condition)

    def until_up(self) -> None:
        self.until(lambda: IPV4 in self.session.networks)

    def until_over(self) -> None:
        self.until(lambda: self.session.ending is Ending.OVER)


def dial(lns: MemoryLns, **options: object) -> DialClient:
    defaults: dict[str, object] = {"lns": "memory", "user": "alice", "password": PASSWORD}
    return DialClient(World(lns), DialOptions(**(defaults | options)))  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["pap", "chap", "mschapv2"])
def test_each_authentication_protocol_leads_to_an_address(method: str) -> None:
    lns = MemoryLns(authentication=(method,))
    client = dial(lns, authentication=(method,))
    client.until_up()
    link = client.session.call.link
    assert link is not None
    assert link.authentication == method
    assert link.local_ipv4 == next(iter(lns.sessions.values())).address
    assert (link.remote_ipv4, link.dns) == ("10.255.0.1", ("10.255.0.53",))


def test_an_lns_that_wants_no_authentication_is_accepted() -> None:
    client = dial(MemoryLns(authentication=()))
    client.until_up()
    link = client.session.call.link
    assert link is not None
    assert link.authentication is None


def test_ipv6_is_asked_for_only_on_request() -> None:
    plain, both = dial(MemoryLns(ipv6=True)), dial(MemoryLns(ipv6=True), ipv6=True)
    plain.until_up()
    plain.until(lambda: plain.world.now > 110)
    assert IPV6 not in plain.session.networks
    both.until(lambda: both.session.networks == {IPV4, IPV6})


def test_both_sides_prove_the_tunnel_secret() -> None:
    client = dial(MemoryLns(secret=b"tunnel"), secret=b"tunnel")
    client.until_up()


def test_hanging_up_says_so_in_ppp_then_for_the_call_then_for_the_tunnel() -> None:
    lns = MemoryLns()
    client = dial(lns)
    client.until_up()
    before = len(client.world.carried)
    client.session.close("enough", client.world.now)
    client.until_over()
    ends = [what for d in client.world.carried[before:] if (what := kind(d)) not in {"", "ZLB"}]
    assert ends[:2] == ["Terminate-Request", "Terminate-Ack"]
    assert ends.index("CDN") < ends.index("StopCCN")
    assert client.session.failure is None
    assert lns.ends == [LinkEnd.PEER_TERMINATED]


def test_a_wrong_password_is_refused_by_the_lns_and_the_advice_is_about_the_password() -> None:
    client = dial(MemoryLns(authentication=("chap",)), password="wrong")
    client.until_over()
    failure = client.session.failure
    assert failure is not None
    assert (failure.stage, failure.side, failure.end) == (Stage.PPP, "the LNS", LinkEnd.AUTHENTICATION_FAILED)
    assert "password" in advice(failure, None)


def test_where_no_password_was_given_the_advice_says_how_to_give_one() -> None:
    client = dial(MemoryLns(authentication=("chap",)), password="")
    client.until_over()
    failure = client.session.failure
    assert failure is not None
    assert "--password-file" in advice(failure, None, password_given=False)


def test_no_common_authentication_protocol_advises_to_allow_more() -> None:
    client = dial(MemoryLns(authentication=("mschapv2",)), authentication=("pap",))
    client.until_over()
    failure = client.session.failure
    assert failure is not None
    assert failure.stage is Stage.PPP
    assert "--auth any" in advice(failure, None), failure


def test_a_wrong_tunnel_secret_is_named_as_the_reason() -> None:
    client = dial(MemoryLns(secret=b"right"), secret=b"wrong")
    client.until_over()
    failure = client.session.failure
    assert failure is not None
    assert (failure.stage, failure.code) == (Stage.TUNNEL, 4)  # RFC 2661 §4.4.2: not authorized
    assert "--secret-file" in advice(failure, None)


def test_a_refused_call_keeps_the_code_of_the_cdn() -> None:
    client = dial(MemoryLns(refuse_calls=Result(CallResult.NO_FACILITIES_NOW, 0, "full")))
    client.until_over()
    failure = client.session.failure
    assert failure is not None
    assert (failure.stage, failure.by_peer, failure.code) == (Stage.CALL, True, 4)
    assert "full" in failure.text()


def test_a_silent_lns_is_given_up_with_what_the_network_said() -> None:
    client = dial(MemoryLns(deaf=True), timeout_s=10.0)
    client.until_over()
    failure = client.session.failure
    assert failure is not None
    assert failure.stage is Stage.TUNNEL
    assert not failure.by_peer
    assert failure.text().count("result 2") == 1
    assert "unreachable" in advice(failure, "ICMP port unreachable")


def test_a_stopccn_in_mid_session_is_acknowledged_and_ends_it() -> None:
    lns = MemoryLns()
    client = dial(lns)
    client.until_up()
    lns.stop(client.world.now)
    client.until_over()
    failure = client.session.failure
    assert failure is not None
    assert failure.by_peer
    assert "bye" in failure.reason
    assert client.session.networks == set()
    client.until(lambda: all(tunnel.next_timeout() is None for tunnel in lns.tunnels.values()))


def test_both_sides_may_end_the_tunnel_at_once() -> None:  # their StopCCNs cross
    lns = MemoryLns()
    client = dial(lns)
    client.until_up()
    client.session.close("enough", client.world.now)
    lns.stop(client.world.now)
    began_at = client.world.now
    client.until_over()
    assert client.world.now - began_at < 1


def test_an_lns_that_dies_is_noticed_by_echo() -> None:
    lns = MemoryLns()
    client = dial(lns, echo_interval_s=5.0)
    client.until_up()
    lns.deaf = True
    lns.sessions.clear()
    client.until_over()
    assert client.session.failure is not None
    assert client.session.failure.end is LinkEnd.ECHO_LOST


def syn(mss: int) -> bytearray:
    """Return a TCP SYN from 10.0.1.2 with an MSS option, its checksum left to the one who checks it."""
    tcp = bytes.fromhex("c000 0050 00000000 00000000 6002 ffff 0000 0000") + b"\x02\x04" + mss.to_bytes(2)
    pseudo = bytes.fromhex("0a000102 c0a81664 0006 0018")
    tcp = tcp[:16] + internet_checksum(pseudo + tcp).to_bytes(2) + tcp[18:]
    return bytearray(bytes.fromhex("4500 002c 0000 4000 4006 0000 0a000102 c0a81664") + tcp)


def test_tcp_is_clamped_to_what_the_link_carries_both_ways() -> None:  # RFC 9293 §3.7.1
    lns = MemoryLns(answer_pings=False)
    client = dial(lns, mtu_octets=1400)
    client.until_up()
    client.session.send_packet(memoryview(syn(1460)))
    uplink = client.world.carried[-1]
    assert uplink[6:10] == bytes.fromhex("ff030021")
    assert int.from_bytes(uplink[-2:]) == 1360
    assert internet_checksum(bytes.fromhex("0a000102 c0a81664 0006 0018") + uplink[-24:]) == 0
    lns.send_packet(next(iter(lns.sessions.values())), bytes(syn(1460)))
    lns.handle_timers(client.world.now)
    client.until(lambda: bool(client.device))
    assert int.from_bytes(client.device[0][-2:]) == 1360


def test_packets_pass_only_while_their_network_protocol_is_open() -> None:
    lns = MemoryLns(answer_pings=False)
    client = dial(lns)
    client.session.send_packet(memoryview(syn(500)))
    client.until_up()
    client.session.send_packet(memoryview(bytearray(b"\x60" + bytes(60))))  # IPv6 was not asked for
    client.session.send_packet(memoryview(bytearray()))
    client.session.send_packet(memoryview(bytearray(b"\x45\0\0\x14")))  # shorter than an IPv4 header
    client.session.send_packet(memoryview(syn(500)))
    client.until(lambda: bool(lns.received))
    assert len(lns.received) == 1
