"""Recorded PPP conversations, replayed: the peer's octets are the recording's, ours must fit them.

Where the recording's other end was not Culvert, the peer's answers to *its* requests don't fit ours; the
test then answers ours as that peer would have. Everything the peer asks is the recording's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, repeat

import pytest

from shared.ppp.commands import Authenticate, LinkCommand, LinkDown, NetworkDown, NetworkUp, SendFrame
from shared.ppp.frame import Protocol
from shared.ppp.link import Credentials, Link, Phase, Side
from shared.ppp.packet import decode_packet
from shared.ppp.policy import Authorization, IPv4Service, LinkEnd, LinkPolicy
from tests.support.captures import capture, frames, names
from tests.support.ppp import Said, Station, judge, l2tp_frames, spell

CONTROL = (b"\xc0\x21", b"\x80\x21", b"\x80\x57")
CLIENT, LNS = "10.99.0.2", "10.99.0.1"  # in the recordings of xl2tpd
XL2TPD = Authorization(
    "alice", IPv4Service("172.31.0.1", "172.31.0.10", dns=("172.31.0.53", "172.31.0.53")), ipv6=True
)


def ppp_frames(name: str) -> list[bytes]:
    """Return the frames of a recording made on a PPP link; those of both sides, in order."""
    return [frame.octets for frame in frames(capture(name))]


def plain(frame: bytes) -> bytes:
    return frame.removeprefix(b"\xff\x03")


class Replay:
    """A link that hears one side of a recording, and a test that acknowledges whatever the link asks."""

    def __init__(self, link: Link, answer: Callable[[Authenticate], tuple[bool, str]] = judge) -> None:
        self.link = link
        self.said: list[Said] = []
        self.now = 0.0
        self._answer = answer
        self._perform(link.open(self.now))

    def hear(self, frame: bytes) -> list[Said]:
        """Give the link a recorded frame and return what it says to it, acknowledgements apart."""
        self.now += 0.01
        start = len(self.said)
        self._perform(self.link.receive(frame, self.now))
        return self.said[start:]

    def _perform(self, commands: Sequence[LinkCommand]) -> None:
        for command in commands:
            self.said += spell([command])
            if isinstance(command, SendFrame):
                octets = plain(command.frame)
                if octets[:2] in CONTROL and octets[2] == 1:
                    acknowledged = octets[:2] + b"\x02" + octets[3:]
                    self._perform(self.link.receive(acknowledged, self.now))
            elif isinstance(command, Authenticate):
                accepted, message = self._answer(command)
                grant = XL2TPD if accepted else None
                self._perform(self.link.decide(accepted, message, "", grant, self.now))


def scripted(values: list[bytes]) -> Callable[[int], bytes]:
    """Return "random" octets of the test's choosing first, then zeros and ones."""
    source: Iterator[bytes | None] = chain(values, repeat(None))
    return lambda size: next(source) or b"\x01" * size


def recorded_challenge(name: str) -> tuple[int, bytes] | None:
    """Return Identifier and Value of the recording's CHAP Challenge."""
    for sender, frame in l2tp_frames(capture(name)):
        octets = plain(frame)
        if sender == LNS and octets[:3] == b"\xc2\x23\x01":
            packet = decode_packet(memoryview(octets)[2:])
            return packet.identifier, bytes(packet.body[1 : 1 + packet.body[0]])
    return None


def lns_for(name: str, method: str, magic: bytes = b"\x11\x22\x33\x44") -> Link:
    """Return an LNS's link whose Challenge is that of the recording, so that the recorded Response fits."""
    challenge = recorded_challenge(name)
    values = [magic]
    if challenge is not None:
        identifier, value = challenge
        values += [bytes((identifier - 1 & 0xFF,)), value]
    policy = LinkPolicy(authentication=(method,), local_name="lns")
    return Link(policy, Side.AUTHENTICATOR, random=scripted(values))


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("xl2tpd/pap.pcap", "pap"),
        ("xl2tpd/dns.pcap", "pap"),
        ("xl2tpd/mtu.pcap", None),
        ("xl2tpd/chap-md5.pcap", "chap"),
        ("xl2tpd/ccp-deflate.pcap", "chap"),
        ("xl2tpd/mschapv2.pcap", "mschapv2"),
        ("xl2tpd/ipv6.pcap", "mschapv2"),
        ("xl2tpd/secret.pcap", None),
        ("xl2tpd/seq.pcap", None),
    ],
)
def test_a_recorded_client_is_served(name: str, method: str | None) -> None:
    """pppd behind xl2tpd: its requests and its proof are the recording's, to the last octet."""
    heard = list(l2tp_frames(capture(name)))
    replay = Replay(lns_for(name, method or recorded_method(heard)))
    for sender, frame in heard:
        octets = plain(frame)
        answer_to_recorded_lns = octets[:2] in CONTROL and octets[2] in {2, 3, 4}
        if sender == CLIENT and not answer_to_recorded_lns and octets[:1] in {b"\xc0", b"\x80", b"\xc2"}:
            if octets[:3] == b"\xc0\x21\x05":
                break
            replay.hear(frame)
    assert NetworkUp(Protocol.IPCP) in replay.said
    assert replay.link.ipv4 == "172.31.0.10"
    assert (NetworkUp(Protocol.IPV6CP) in replay.said) == (name == "xl2tpd/ipv6.pcap")
    assert replay.link.phase is Phase.NETWORK


def recorded_method(heard: list[tuple[str, bytes]]) -> str:
    """Return how the recorded client proves itself."""
    methods = {b"\xc0\x23\x01": "pap", b"\xc2\x23\x02": "mschapv2"}
    for sender, frame in heard:
        octets = plain(frame)
        if sender == CLIENT and octets[:3] in methods:
            md5 = octets[:2] == b"\xc2\x23" and octets[6] == 16
            return "chap" if md5 else methods[octets[:3]]
    pytest.fail("the recording has no authentication")


@pytest.mark.parametrize("name", ["xl2tpd/pap.pcap", "xl2tpd/dns.pcap", "xl2tpd/mschapv2.pcap"])
def test_our_answers_to_ipcp_are_those_of_the_recorded_lns(name: str) -> None:
    """Same client, same addresses to give out: the same octets from pppd and from us."""
    heard = list(l2tp_frames(capture(name)))
    expected = [
        plain(frame).hex()
        for sender, frame in heard
        if sender == LNS and plain(frame)[:2] == b"\x80\x21" and plain(frame)[2] in {2, 3, 4}
    ]
    replay = Replay(lns_for(name, recorded_method(heard)))
    said: list[Said] = []
    for sender, frame in heard:
        octets = plain(frame)
        proof = octets[:3] in {b"\xc0\x23\x01", b"\xc2\x23\x02"}
        if sender == CLIENT and (proof or (octets[:2] in CONTROL and octets[2] == 1)):
            said += replay.hear(frame)
    assert [item for item in said if str(item)[:6] in {"802102", "802103", "802104"}] == expected


def test_a_recorded_mschapv2_proof_gets_the_recorded_answer() -> None:
    """The S= that pppd computed is the S= that we compute."""
    name = "xl2tpd/mschapv2.pcap"
    heard = list(l2tp_frames(capture(name)))
    replay = Replay(lns_for(name, "mschapv2"))
    for sender, frame in heard:
        octets = plain(frame)
        if sender == CLIENT and (octets[:3] in {b"\xc0\x21\x01", b"\xc2\x23\x02"}):
            replay.hear(frame)
    recorded = next(plain(frame) for _, frame in heard if plain(frame)[:3] == b"\xc2\x23\x03")
    (ours,) = [item for item in replay.said if str(item).startswith("c22303")]
    assert bytes.fromhex(str(ours))[6:48] == recorded[6:48]  # "S=" and forty digits


def test_a_recorded_wrong_password_is_refused_in_order() -> None:
    name = "xl2tpd/bad-password.pcap"
    replay = Replay(lns_for(name, "mschapv2"))
    for sender, frame in l2tp_frames(capture(name)):
        octets = plain(frame)
        if sender == CLIENT and octets[:3] in {b"\xc0\x21\x01", b"\xc2\x23\x02"}:
            replay.hear(frame)
    said = [str(item)[:6] for item in replay.said]
    assert said.index("c22304") == len(said) - 2
    assert said[-1] == "c02105"


def test_a_recorded_client_that_refuses_what_is_offered_is_let_go() -> None:
    """xl2tpd/auth-refused.pcap: pppd there went on without authentication. We do not."""
    link = Link(LinkPolicy(authentication=("mschapv2",)), Side.AUTHENTICATOR, random=lambda n: b"\xdb" * n)
    link.open(0.0)
    said: list[object] = []
    for sender, frame in l2tp_frames(capture("xl2tpd/auth-refused.pcap")):
        if sender == CLIENT:
            said += spell(link.receive(frame, 0.1))
    assert not any(isinstance(item, NetworkUp) for item in said)
    assert link.phase is Phase.TERMINATE
    ending = (link.handle_timer(9.0) + link.handle_timer(12.1))[-1]
    assert isinstance(ending, LinkDown)
    assert ending.end is LinkEnd.NO_COMMON_AUTHENTICATION


class TestHuawei:
    def test_the_pc_client_is_served_by_pap(self) -> None:
        """Its Naks and Rejects fit the recorded LNS, who offered CHAP first and ACCM, as we do not."""
        client = "192.168.5.8"
        heard = [
            frame
            for sender, frame in l2tp_frames(capture("l2tp/huawei_pc_client_pap.pcap"))
            if sender == client and plain(frame)[:1] in {b"\xc0", b"\x80"}
        ]
        link = Link(LinkPolicy(authentication=("chap", "pap")), Side.AUTHENTICATOR, random=scripted([]))
        (first,) = [item.frame for item in link.open(0.0) if isinstance(item, SendFrame)]
        nak = next(frame for frame in heard if plain(frame)[:3] == b"\xc0\x21\x03")
        answer = bytearray(plain(nak))
        answer[3] = plain(first)[3]  # its Nak of CHAP, to our request
        (again,) = spell(link.receive(bytes(answer), 0.1))
        assert "0304c023" in str(again)
        link.receive(bytes.fromhex("c02102" + str(again)[6:]), 0.1)
        said: list[Said] = []
        for frame in heard:
            if plain(frame)[:3] in {b"\xc0\x21\x01", b"\xc0\x23\x01", b"\x80\x21\x01"}:
                for item in spell(link.receive(frame, 0.2)):
                    said.append(item)
                    if isinstance(item, Authenticate):
                        assert (item.username, item.response) == ("aa", b"abc-123")
                        grant = Authorization("aa", IPv4Service("172.16.1.254", "172.16.1.1"))
                        said += spell(link.decide(True, "", "", grant, 0.2))
        link.receive(bytes.fromhex("802102 01 000a 0306 ac1001fe"), 0.2)
        rejected = "80210401001c810600000000820600000000830600000000840600000000"
        assert rejected in said
        assert "80210302000a0306ac100101" in said
        assert "80210203000a0306ac100101" in said
        assert link.ipv4 == "172.16.1.1"

    def test_a_rejected_authentication_option_ends_the_link(self) -> None:
        """huawei_lcp_reject_auth.pcapng, frame 6: no credentials, so it rejects our CHAP."""
        recorded = ppp_frames("ppp/huawei_lcp_reject_auth.pcapng")
        reject = bytearray(next(frame for frame in recorded if frame[2:5] == b"\xc0\x21\x04"))
        request = next(frame for frame in recorded if frame[2:6] == b"\xc0\x21\x01\x6c")
        station = Station(authentication=("chap",))
        (ours,) = station.open()
        station.hears_octets(request)
        reject[5] = bytes.fromhex(str(ours))[3]
        said = station.hears_octets(bytes(reject))
        assert [str(item)[:6] for item in said] == ["c02105"]
        ipcp = next(frame for frame in recorded if frame[2:4] == b"\x80\x21")
        assert station.hears_octets(ipcp) == []
        ending = station.wait(10.0)[-1]
        assert isinstance(ending, LinkDown)
        assert ending.end is LinkEnd.NO_COMMON_AUTHENTICATION

    def test_an_address_conflict_that_never_ends_is_bounded(self) -> None:
        """huawei_ipcp_address_conflict.pcapng: IPCP opens and is terminated, every thirty seconds."""
        recorded = ppp_frames("ppp/huawei_ipcp_address_conflict.pcapng")
        request = next(frame for frame in recorded if frame[2:5] == b"\x80\x21\x01")
        terminate = next(frame for frame in recorded if frame[2:5] == b"\x80\x21\x05")
        grant = Authorization("alice", IPv4Service("10.0.0.1", "12.1.1.1"))
        station = Station(grant=grant, authentication=("pap",), echo_interval_s=0.0)
        (ours,) = station.to_network()
        said: list[Said] = []
        for _ in range(20):
            said += station.hears("8021" + "02" + str(ours)[6:])
            said += station.hears_octets(request)
            said += station.hears_octets(terminate)
            said += station.wait(3.5)
            asked = [str(item) for item in said if str(item).startswith("802101")]
            ours = asked[-1] if asked else ours
            said += station.wait(26.5)
        ending = said[-1]
        assert isinstance(ending, LinkDown)
        assert ending.end in {LinkEnd.NETWORK_TIMEOUT, LinkEnd.NEGOTIATION_FAILED}
        assert said.count(NetworkUp(Protocol.IPCP)) == said.count(NetworkDown(Protocol.IPCP)) <= 10

    def test_osinlcp_gets_a_protocol_reject_and_ipv6cp_opens(self) -> None:
        recorded = ppp_frames("ppp/huawei_ipv6cp_osinlcp.pcapng")
        requests = [frame for frame in recorded if frame[2:4] in {b"\x80\x23", b"\x80\x57"} and frame[4] == 1]
        station = Station(grant=Authorization("alice", ipv6=True), authentication=("pap",))
        station.to_network()
        station.hears("8057 02 01 000e 010a 0000000000000001")
        said = [item for frame in requests[:2] for item in station.hears_octets(frame)]
        assert said[:2] == ["80570201000e010a5df89501343c0001", NetworkUp(Protocol.IPV6CP)]
        assert said[2] == "c0210802000d802301010007010301"
        isis = plain(recorded[0])
        assert station.hears_octets(recorded[0]) == [f"c0210803{len(isis) + 4:04x}{isis.hex()}"]

    def test_multilink_options_are_rejected_and_the_link_goes_on_without_them(self) -> None:
        recorded = ppp_frames("ppp/huawei_multilink.pcapng")
        request = next(frame for frame in recorded if frame[2:6] == b"\xc0\x21\x01\x17")
        pap = next(frame for frame in recorded if frame[2:5] == b"\xc0\x23\x01")
        station = Station(authentication=("pap",))
        (ours,) = station.open()
        station.hears("c02102" + str(ours)[6:])
        assert station.hears_octets(request) == ["c02104170011" + "110405dc13090163232e350f96"]
        assert station.hears("c021 01 18 000e 0104 05dc 0506 74c06c6b") == [
            "c0210218000e010405dc050674c06c6b"
        ]
        (asked,) = station.hears_octets(pap)
        assert isinstance(asked, Authenticate)
        assert (asked.username, asked.response) == ("huawei", b"hcie")


def test_a_recorded_cisco_lns_accepts_our_client() -> None:
    """xl2tpd_lac_cisco_lns_startup.pcap: PAP, IPCP Protocol-Rejected, IPV6CP opens."""
    lns = "109.6.1.72"
    heard = [
        plain(frame)
        for sender, frame in l2tp_frames(capture("l2tp/xl2tpd_lac_cisco_lns_startup.pcap"))
        if sender == lns and plain(frame)[:1] in {b"\xc0", b"\x80"}
    ][:12]
    station = Station(Side.PEER, credentials=Credentials("ppp/95", "secret"), authentication=("pap",))
    (ours,) = station.open()
    said = station.hears_octets(heard[0])  # Configure-Request: MRU, ACCM, PAP, magic number, PFC, ACFC
    assert said[-1] == "c02102" + heard[0][3:].hex()
    (request,) = station.hears("c02102" + str(ours)[6:])
    assert str(request).startswith("c02301")
    assert station.link.peer_mru == 0x5AD
    answer = bytearray(next(octets for octets in heard if octets[:3] == b"\xc0\x23\x02"))
    answer[3] = 1
    opened = station.hears_octets(bytes(answer))
    assert [str(item)[:6] for item in opened] == ["802101", "805701"]
    reject = next(octets for octets in heard if octets[:3] == b"\xc0\x21\x08")
    assert station.hears_octets(reject) == []
    theirs = next(octets for octets in heard if octets[:3] == b"\x80\x57\x01")
    assert station.hears_octets(theirs) == ["805702" + theirs[3:].hex()]
    assert station.hears("805702" + str(opened[1])[6:]) == [NetworkUp(Protocol.IPV6CP)]
    echo = next(octets for octets in heard if octets[:3] == b"\xc0\x21\x09")
    assert station.hears_octets(echo)[0] == "c0210a01000c" + str(ours)[-8:] + echo[-4:].hex()


@pytest.mark.parametrize(
    "name",
    names("ppp/*", "xl2tpd/*.pcap", "malformed/*.pcap", "freertr/*.pcap", "l2tp/*.pcap"),
)
def test_no_recorded_octets_are_too_much(name: str) -> None:
    """Every recorded frame, of both directions and whatever it holds, into an open link of each side."""
    path = capture(name)
    recorded = [frame.octets for frame in frames(path)] + [frame for _, frame in l2tp_frames(path)]
    for side in Side:
        link = Link(LinkPolicy(authentication=()), side, random=scripted([]))
        link.open(0.0)
        for octets in recorded:
            for start in (0, 2, 12, 14, 20, 42):
                for command in link.receive(octets[start:], 1.0):
                    assert not isinstance(command, LinkDown) or link.phase is Phase.DEAD
