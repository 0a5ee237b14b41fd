"""IPCP and IPV6CP, frame by frame."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from shared.ppp.commands import LinkDown, NetworkUp, WishAddress
from shared.ppp.frame import Protocol
from shared.ppp.link import Credentials, Phase, Side
from shared.ppp.policy import Authorization, IPv4Service, LinkEnd
from tests.support.captures import vector
from tests.support.ppp import IPV4_ONLY, Station

NAMES = Authorization(
    "alice",
    IPv4Service(
        "10.0.0.1",
        "10.0.0.10",
        dns=("192.168.22.1", "192.168.22.2"),
        nbns=("192.168.22.3", "192.168.22.4"),
    ),
)
WISHES = Authorization("alice", IPv4Service("10.0.0.1", "10.0.0.10", honour_wish=True))
PAP = {"authentication": ("pap",)}


def networking(grant: Authorization) -> Station:
    station = Station(grant=grant, authentication=("pap",))
    station.to_network()
    return station


def down(said: Sequence[object]) -> LinkDown:
    assert isinstance(said[-1], LinkDown)
    return said[-1]


def test_our_request_is_our_own_address() -> None:
    station = Station(grant=IPV4_ONLY, authentication=("pap",))
    assert station.to_network() == ["80210101000a03060a000001"]


def test_a_client_without_an_address_is_told_the_assigned_one() -> None:
    """The octets of the client are pppd's (xl2tpd/pap.pcap)."""
    station = networking(IPV4_ONLY)
    assert station.hears("8021 01 01 000a 0306 00000000") == ["80210301000a03060a00000a"]
    assert station.hears("8021 02 01 000a 0306 0a000001") == []
    assert station.hears("8021 01 02 000a 0306 0a00000a") == [
        "80210202000a03060a00000a",
        NetworkUp(Protocol.IPCP),
    ]
    assert (station.link.ipv4, station.link.local_ipv4) == ("10.0.0.10", "10.0.0.1")


def test_windows_asks_for_all_name_servers_and_gets_those_there_are() -> None:
    frame = bytes.fromhex(vector("ppp-ipcp-code1-windows-cisco")["input"]["ppp_frame"])
    named = "03060a00000a 8106c0a81601 8206c0a81603 8306c0a81602 8406c0a81604".replace(" ", "")
    assert networking(NAMES).hears_octets(frame) == ["802103080022" + named]
    unnamed = "810600000000 820600000000 830600000000 840600000000".replace(" ", "")
    assert networking(IPV4_ONLY).hears_octets(frame) == ["80210408001c" + unnamed]


@pytest.mark.parametrize(
    "option",
    ["010a0000000000000000", "0206002d0f01", "040600000000", "fe02"],
    ids=["IP-Addresses", "Van Jacobson", "Mobile-IPv4", "from the future"],
)
def test_what_we_do_not_have_is_rejected(option: str) -> None:
    length = 4 + 6 + len(option) // 2
    said = networking(IPV4_ONLY).hears(f"8021 01 01 {length:04x} {option} 0306 00000000")
    assert said == [f"80210401{length - 6:04x}{option}"]


def test_a_peer_that_asks_for_no_address_is_told_one_and_may_insist() -> None:
    station = networking(IPV4_ONLY)
    station.hears("8021 02 01 000a 0306 0a000001")
    for identifier in range(1, 6):
        said = station.hears(f"8021 01 {identifier:02x} 0004")
        assert said == [f"802103{identifier:02x}000a03060a00000a"]
    assert station.hears("8021 01 06 0004") == ["802102060004", NetworkUp(Protocol.IPCP)]
    assert station.link.ipv4 == "10.0.0.10"


def test_a_peer_that_insists_on_a_foreign_address_ends_the_link_with_the_reason() -> None:
    station = networking(IPV4_ONLY)
    station.hears("8021 02 01 000a 0306 0a000001")
    for identifier in range(1, 6):
        station.hears(f"8021 01 {identifier:02x} 000a 0306 0c010101")
    station.hears("8021 01 06 000a 0306 0c010101")
    ending = down(station.wait(10.0))
    assert (ending.end, ending.ppp_code, ending.ppp_protocol) == (
        LinkEnd.NEGOTIATION_FAILED,
        19,
        Protocol.IPCP,
    )
    assert "12.1.1.1" in ending.reason


def test_a_peer_that_rejects_our_address_does_without() -> None:
    station = networking(IPV4_ONLY)
    assert station.hears("8021 04 01 000a 0306 0a000001") == ["802101020004"]


def test_a_peer_that_naks_our_address_for_ever_is_not_obeyed_and_not_waited_for() -> None:
    station = networking(IPV4_ONLY)
    for identifier in range(1, 6):
        said = station.hears(f"8021 03 {identifier:02x} 000a 0306 0a636363")
        assert said == [f"802101{identifier + 1:02x}000a03060a000001"]
    assert station.hears("8021 03 06 000a 0306 0a636363") == ["802101070004"]


class TestWish:
    def test_it_is_granted_without_waiting_for_a_timer(self) -> None:
        station = networking(WISHES)
        assert station.hears("8021 01 01 000a 0306 0a000063") == [WishAddress("10.0.0.99")]
        said = station.link.decide_address("10.0.0.99", station.now)
        assert [bytes.fromhex("ff0380210201000a03060a000063")] == [item.frame for item in said]  # type: ignore[union-attr]

    def test_it_is_refused_by_a_nak_and_not_asked_again(self) -> None:
        station = networking(WISHES)
        station.hears("8021 01 01 000a 0306 0a000063")
        station.link.decide_address("10.0.0.10", station.now)
        assert station.hears("8021 01 02 000a 0306 0a000063") == ["80210302000a03060a00000a"]

    def test_it_is_repeated_as_the_peer_repeats_and_the_last_request_is_answered(self) -> None:
        station = networking(WISHES)
        station.hears("8021 01 01 000a 0306 0a000063")
        assert station.hears("8021 01 02 000a 0306 0a000063") == [WishAddress("10.0.0.99")]
        (said,) = station.link.decide_address("10.0.0.99", station.now)
        assert said.frame == bytes.fromhex("ff0380210202000a03060a000063")  # type: ignore[union-attr]
        assert station.link.decide_address("10.0.0.99", station.now) == []

    @pytest.mark.parametrize("address", ["00000000", "0a00000a", "0a000001"])
    def test_no_address_the_assigned_one_and_our_own_are_no_wish(self, address: str) -> None:
        said = networking(WISHES).hears(f"8021 01 01 000a 0306 {address}")
        assert not any(isinstance(item, WishAddress) for item in said)

    def test_without_the_policy_nobody_is_asked(self) -> None:
        said = networking(IPV4_ONLY).hears("8021 01 01 000a 0306 0a000063")
        assert said == ["80210301000a03060a00000a"]


class TestTheSideThatAsks:
    def asking(self, grant: Authorization | None = None) -> Station:
        station = Station(Side.PEER, grant=grant, credentials=Credentials("alice", "secret"))
        station.open()
        station.hears("c021 01 01 0004", "c021 02 01 000e 0104 05b6 0506 11111111")
        assert station.link.phase is Phase.NETWORK
        return station

    def test_it_takes_what_it_is_given(self) -> None:
        """The server's octets are pppd's (xl2tpd/dns.pcap)."""
        station = self.asking()
        said = station.hears("8021 03 01 0016 0306 ac1f000a 8106 ac1f0035 8306 ac1f0035")
        assert said == ["8021010200160306ac1f000a8106ac1f00358306ac1f0035"]
        station.hears("8021 02 02 0016 0306 ac1f000a 8106 ac1f0035 8306 ac1f0035")
        station.hears("8021 01 01 000a 0306 ac1f0001")
        assert station.link.local_ipv4 == "172.31.0.10"
        assert station.link.remote_ipv4 == "172.31.0.1"
        assert station.link.dns == ("172.31.0.53", "172.31.0.53")

    def test_it_does_without_name_servers(self) -> None:
        station = self.asking()
        said = station.hears("8021 04 01 0010 8106 00000000 8306 00000000")
        assert said == ["80210102000a030600000000"]

    def test_it_asks_for_a_given_address_and_for_ipv4_alone(self) -> None:
        wish = Authorization("alice", IPv4Service("10.0.0.77", "0.0.0.0"))
        station = Station(Side.PEER, grant=wish)
        station.open()
        station.hears("c021 01 01 0004")
        said = station.hears("c021 02 01 000e 0104 05b6 0506 11111111")
        assert said == ["80210101001603060a00004d810600000000830600000000"]

    def test_a_server_that_gives_no_address_ends_the_link(self) -> None:
        station = self.asking(Authorization("alice", IPv4Service("0.0.0.0", "0.0.0.0")))
        station.hears("8021 02 01 0016 0306 00000000 8106 00000000 8306 00000000")
        assert down(station.wait(10.0)).end is LinkEnd.NO_ADDRESS

    def test_a_server_that_wants_an_address_of_us_is_rejected(self) -> None:
        assert self.asking().hears("8021 01 01 000a 0306 00000000") == ["80210401000a030600000000"]


class TestIpv6cp:
    SIX = Authorization("alice", ipv6=True)

    def test_a_recorded_lac_keeps_its_identifier(self) -> None:
        frame = bytes.fromhex(vector("ppp-ipv6cp-confreq-lac")["input"]["ppp_frame"])
        station = networking(self.SIX)
        station.hears("8057 02 01 000e 010a 0000000000000001")
        assert station.hears_octets(frame) == [
            "80570201000e010ae2a1d7fffe18c270",
            NetworkUp(Protocol.IPV6CP),
        ]
        assert station.link.interface_id == 0xE2A1D7FFFE18C270

    @pytest.mark.parametrize(
        "asked", ["0000000000000000", "0000000000000001", "00000000000000ab"], ids=["zero", "ours", "taken"]
    )
    def test_an_identifier_that_can_not_be_is_naked_with_one_that_can(self, asked: str) -> None:
        station = Station(
            grant=self.SIX, authentication=("pap",), claim_interface_id=lambda number: number != 0xAB
        )
        station.to_network()
        (said,) = station.hears(f"8057 01 01 000e 010a {asked}")
        assert isinstance(said, str)
        assert said.startswith("80570301000e010a")
        suggested = int(said[16:], 16)
        assert suggested not in {0, 1, 0xAB}
        assert not suggested >> 57 & 1  # the universal bit of RFC 5072 §4.1 is clear
        assert station.hears(f"8057 01 02 000e 010a {said[16:]}") == [f"80570202000e010a{said[16:]}"]

    def test_an_identifier_that_nobody_can_have_is_not_claimed(self) -> None:
        """A worker's session holds one at a time: zero and our own would push out what is held."""
        asked: list[int] = []

        def claim(number: int) -> bool:
            asked.append(number)
            return True

        station = Station(grant=self.SIX, authentication=("pap",), claim_interface_id=claim)
        station.to_network()
        station.hears("8057 01 01 000e 010a 0000000000000000", "8057 01 02 000e 010a 0000000000000001")
        assert asked
        assert not {0, 1} & set(asked)

    def test_the_suggestion_stays_the_same(self) -> None:
        station = networking(self.SIX)
        first = station.hears("8057 01 01 000e 010a 0000000000000000")
        second = station.hears("8057 01 01 000e 010a 0000000000000000")
        assert first == second

    def test_compression_is_rejected(self) -> None:
        said = networking(self.SIX).hears("8057 01 01 0012 0204 004f 010a 0000000000000009")
        assert said == ["80570401000802040" + "04f"]

    def test_a_peer_without_an_identifier_is_told_one(self) -> None:
        (said,) = networking(self.SIX).hears("8057 01 01 0004")
        assert str(said).startswith("80570301000e010a")

    def test_a_client_takes_the_identifier_it_is_given(self) -> None:
        station = TestTheSideThatAsks().asking()
        said = station.hears("8057 03 01 000e 010a 00000000000000cd")
        assert said == ["80570102000e010a00000000000000cd"]
        assert station.link.local_interface_id == 0xCD

    def test_a_source_of_randomness_that_finds_nothing_free_does_not_hang(self) -> None:
        station = Station(grant=self.SIX, authentication=("pap",), claim_interface_id=lambda _: False)
        station.to_network()
        said = station.hears(*[f"8057 01 {number:02x} 000e 010a 0000000000000009" for number in range(6)])
        assert str(said[-1]).startswith("c02105")  # Max-Failure, and no other network protocol
