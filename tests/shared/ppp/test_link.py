"""The phases of a link: their order, their deadlines, and their ends."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest

from shared.ppp.commands import LinkDown, NetworkDown, NetworkUp, SendFrame
from shared.ppp.frame import Protocol
from shared.ppp.link import Link, Phase, Side
from shared.ppp.policy import Authorization, IPv4Service, LinkEnd, LinkPolicy
from tests.support.captures import vector
from tests.support.lossy import Wire
from tests.support.ppp import GRANT, IPV4_ONLY, Pair, Station

PEER_IPCP = "8021 01 05 000a 0306 0a00000a"
OUR_IPCP_ACKED = "8021 02 01 000a 0306 0a000001"
PEER_IPV6CP = "8057 01 05 000e 010a 0000000000000009"
OUR_IPV6CP_ACKED = "8057 02 01 000e 010a 0000000000000001"


def open_link(grant: Authorization = GRANT) -> Station:
    station = Station(grant=grant, authentication=("pap",), echo_interval_s=0.0)
    station.to_network()
    station.hears(PEER_IPCP, OUR_IPCP_ACKED)
    if grant.ipv6:
        station.hears(PEER_IPV6CP, OUR_IPV6CP_ACKED)
    return station


def down(said: Sequence[object]) -> LinkDown:
    assert isinstance(said[-1], LinkDown)
    return said[-1]


def phase(station: Station) -> Phase:
    return station.link.phase


def lives(station: Station) -> bool:
    return station.hears("c021 09 07 0008 0badcafe") == ["c0210a07000811111111"]


class TestNetworkPhase:
    def test_a_router_that_sends_ipcp_and_ccp_in_one_burst_gets_both_answers(self) -> None:
        """RouterOS pipelines: a Protocol-Reject answers CCP, never a Terminate-Ack."""
        station = Station(grant=IPV4_ONLY, authentication=("pap",))
        station.to_network()
        said = station.hears("8021 01 01 000a 0306 00000000", "80fd 01 01 000a 1206 01000060")
        assert said == ["80210301000a03060a00000a", "c0210802001080fd0101000a120601000060"]

    @pytest.mark.parametrize(
        "protocol", ["80fd", "8281", "c029", "8031", "8023", "8057", "00fd", "c227", "c225"]
    )
    def test_whatever_is_not_granted_is_protocol_rejected(self, protocol: str) -> None:
        station = Station(grant=IPV4_ONLY, authentication=("pap",))
        station.to_network()
        assert station.hears(f"{protocol} 01 01 0004") == [f"c0210802000a{protocol}01010004"]

    def test_ipcp_is_rejected_where_there_is_no_ipv4(self) -> None:
        """As a recorded Cisco LNS does it: ppp-lcp-protocol-reject-ipcp."""
        recorded = bytes.fromhex(vector("ppp-lcp-protocol-reject-ipcp")["input"]["ppp_frame"])
        station = Station(grant=Authorization("alice", ipv6=True), authentication=("pap",))
        station.to_network()
        (said,) = station.hears("8021" + recorded[10:].hex())
        assert str(said)[8:] == recorded[6:].hex()

    def test_a_protocol_reject_is_cut_to_the_peers_mru(self) -> None:
        station = Station(grant=IPV4_ONLY, authentication=("pap",))
        station.open()
        station.hears("c021 01 07 0008 0104 0080", "c021 02 01 0012 0104 05b6 0304 c023 0506 11111111")
        station.hears("c023 01 01 0011 05 616c696365 06 736563726574")
        station.decide(True)
        (said,) = station.hears("8281" + "ab" * 300)
        assert len(bytes.fromhex(str(said))) == 2 + 128

    def test_stray_packets_of_known_protocols_are_not_rejected(self) -> None:
        station = Station(grant=IPV4_ONLY, authentication=("pap",))
        station.to_network()
        assert station.hears("0021 45", "0057 60", "c223 02 01 0004") == []

    def test_each_network_protocol_comes_up_on_its_own(self) -> None:
        station = Station(authentication=("pap",))
        station.to_network()
        assert station.hears(PEER_IPV6CP, OUR_IPV6CP_ACKED)[-1] == NetworkUp(Protocol.IPV6CP)
        assert station.hears(OUR_IPCP_ACKED, PEER_IPCP)[-1] == NetworkUp(Protocol.IPCP)
        assert station.link.phase is Phase.NETWORK

    def test_ipv6_alone_is_enough_where_the_peer_rejects_ipcp(self) -> None:
        station = Station(authentication=("pap",), echo_interval_s=0.0)
        station.to_network()
        station.hears("c021 08 09 0010 8021 0101000a03060a000001", PEER_IPV6CP, OUR_IPV6CP_ACKED)
        assert station.wait(3600.0) == []
        assert lives(station)

    def test_ipv4_alone_is_enough_where_ipv6cp_is_never_answered(self) -> None:
        station = Station(authentication=("pap",), echo_interval_s=0.0).to_ipcp()
        station.wait(3600.0)
        assert lives(station)

    def test_a_peer_that_rejects_every_network_protocol_ends_the_link(self) -> None:
        station = Station(authentication=("pap",))
        station.to_network()
        station.hears("c021 08 01 0010 8021 0101000a03060a000001")
        station.hears("c021 08 02 0014 8057 0101000e010a0000000000000001")
        ending = down(station.wait(10.0))
        assert ending.end is LinkEnd.NO_NETWORK_PROTOCOL
        assert ending.ppp_code == 18

    def test_without_any_network_protocol_in_time_the_link_ends(self) -> None:
        station = Station(authentication=("pap",), network_timeout_s=20.0)
        station.to_network()
        ending = down(station.wait(27.0))
        assert (ending.end, ending.ppp_code) == (LinkEnd.NETWORK_TIMEOUT, 17)

    def test_a_grant_of_nothing_ends_the_link_after_success(self) -> None:
        station = Station(grant=Authorization("alice"), authentication=("pap",)).to_authentication()
        station.hears("c023 01 01 0011 05 616c696365 06 736563726574")
        said = station.decide(True)
        assert [str(frame)[:6] for frame in said] == ["c02302", "c02105"]
        assert down(station.wait(10.0)).end is LinkEnd.NO_ADDRESS

    def test_a_peer_that_closes_its_only_network_protocol_has_a_while_to_come_back(self) -> None:
        station = open_link(IPV4_ONLY)
        said = station.hears("8021 05 06 0004")
        assert said == [NetworkDown(Protocol.IPCP), "802106060004"]
        station.wait(5.0)
        said = station.hears("8021 01 07 000a 0306 0a00000a")
        assert said == ["80210102000a03060a000001", "80210207000a03060a00000a"]
        assert station.hears("8021 02 02 000a 0306 0a000001") == [NetworkUp(Protocol.IPCP)]
        assert station.wait(3600.0) == []
        station.hears("8021 05 08 0004")
        assert down(station.wait(40.0)).end is LinkEnd.NETWORK_TIMEOUT


class TestRenegotiation:
    def test_a_new_configure_request_restarts_every_phase(self) -> None:
        station = open_link()
        said = station.hears("c021 01 44 000a 0506 99999999")
        assert said[:2] == [NetworkDown(Protocol.IPCP), NetworkDown(Protocol.IPV6CP)]
        assert str(said[2]).startswith("c02101")
        assert said[3] == "c0210244000a050699999999"
        assert phase(station) is Phase.ESTABLISH
        assert station.link.ipv4 is None
        station.hears("c02102" + str(said[2])[6:])
        assert phase(station) is Phase.AUTHENTICATE
        assert station.hears(PEER_IPCP) == []  # not before the peer has proven itself again
        station.hears("c023 01 01 0011 05 616c696365 06 736563726574")
        station.decide(True)
        assert NetworkUp(Protocol.IPCP) in station.hears(PEER_IPCP, OUR_IPCP_ACKED)

    def test_authentication_is_demanded_again_even_of_who_has_proven_itself(self) -> None:
        station = open_link()
        request = str(station.hears("c021 01 44 000a 0506 99999999")[2])
        assert "0304c023" in request
        station.hears("c02104" + request[6:8] + "0008" + "0304c023")
        assert down(station.wait(10.0)).end is LinkEnd.NO_COMMON_AUTHENTICATION

    def test_a_duplicate_of_the_request_that_opened_lcp_is_acknowledged_and_no_more(self) -> None:
        """The network may repeat a datagram; RFC 1661 §4.1 alone would take the link down."""
        station = Station(authentication=("pap",)).to_authentication()
        assert station.hears("c021 01 07 000a 0506 0badcafe") == ["c0210207000a05060badcafe"]
        assert phase(station) is Phase.AUTHENTICATE

    def test_the_same_octets_much_later_are_a_peer_that_begins_again(self) -> None:
        station = open_link()
        station.wait(10.0)
        station.hears("c021 01 07 000a 0506 0badcafe")
        assert phase(station) is Phase.ESTABLISH

    def test_a_peer_that_begins_again_without_end_is_sent_away(self) -> None:
        station = open_link()
        said: list[object] = []
        for number in range(12):
            said += station.hears(f"c021 01 {number + 100:02x} 000a 0506 0badcafe")
            requests = [item for item in said if str(item).startswith("c02101")]
            said += station.hears("c02102" + str(requests[-1])[6:])
        assert down(said + station.wait(10.0)).end is LinkEnd.NEGOTIATION_FAILED

    def test_two_links_renegotiate_and_come_up_again(self) -> None:
        pair = Pair(grant=IPV4_ONLY).open().run(2.0)
        assert pair.up()
        pair.perform(0, pair.links[0].receive(bytes.fromhex("c0210144000a050699999999"), pair.now))
        assert not pair.up()
        assert pair.run(10.0).up()

    @pytest.mark.parametrize("method", ["pap", "chap", "mschapv2"])
    def test_a_successor_that_knows_nothing_of_an_open_link_brings_it_up_anew(self, method: str) -> None:
        """Its worker has died: a fresh link speaks to a peer whose LCP, IPCP and IPV6CP are all Opened."""
        policy = LinkPolicy(authentication=(method,))
        pair = Pair(authenticator={"authentication": (method,)}).open().run(20.0)
        assert pair.up()
        successor = Link(policy, Side.AUTHENTICATOR, random=Random(2).randbytes)
        pair.links = (successor, pair.links[1])
        pair.perform(0, successor.open(pair.now))
        assert pair.links[1].ipv4 == "10.0.0.1"  # it has not heard yet
        assert pair.run(1.0).up()  # and no timer was waited for
        assert successor.interface_id == 2


class TestTermination:
    def test_the_peers_terminate_request_is_answered_and_the_link_is_down(self) -> None:
        station = open_link()  # the octets are pppd's (xl2tpd/pap.pcap)
        said = station.hears("c021 05 02 0010 557365722072657175657374")
        assert said[0] == NetworkDown(Protocol.IPCP)
        assert "c02106020004" in said
        ending = down(said)
        assert (ending.end, ending.reason) == (
            LinkEnd.PEER_TERMINATED,
            "the peer terminated the link: User request",
        )
        assert (ending.ppp_code, ending.ppp_direction) == (3, 1)
        assert station.hears("c021 05 02 0004") == []
        assert station.link.next_timeout() is None

    def test_windows_terminates_with_octets_that_are_no_text(self) -> None:
        frame = bytes.fromhex(vector("ppp-lcp-code5-windows-cisco")["input"]["ppp_frame"])
        assert down(open_link().hears_octets(frame)).reason == "the peer terminated the link"

    def test_a_peer_that_terminates_while_it_negotiates_is_gone_too(self) -> None:
        station = Station()
        station.open()
        assert down(station.hears("c021 05 02 0004")).end is LinkEnd.PEER_TERMINATED

    def test_our_terminate_request_is_repeated_and_given_up(self) -> None:
        station = open_link()
        said = station.link.close(LinkEnd.ADMINISTRATIVE, "drained", station.now)
        assert said[:2] == [NetworkDown(Protocol.IPCP), NetworkDown(Protocol.IPV6CP)]
        assert isinstance(said[2], SendFrame)
        assert said[2].frame[8:] == b"drained"
        repeated = station.wait(10.0)
        assert repeated[:-1] == [said[2].frame[2:].hex()]  # Max-Terminate is 2 (RFC 1661 §4.6)
        assert down(repeated).end is LinkEnd.ADMINISTRATIVE
        assert down(repeated).ppp_code == 1

    def test_an_acknowledged_terminate_request_ends_the_link_at_once(self) -> None:
        station = open_link()
        (frame,) = [
            item.frame
            for item in station.link.close(LinkEnd.SESSION_TIMEOUT, "time is up", station.now)
            if isinstance(item, SendFrame)
        ]
        assert station.hears("c021 06 ee 0004") == []  # acknowledges something else
        ending = down(station.hears(f"c021 06 {frame[5]:02x} 0004"))
        assert (ending.end, ending.reason) == (LinkEnd.SESSION_TIMEOUT, "time is up")

    def test_the_first_reason_stays(self) -> None:
        station = open_link()
        station.link.close(LinkEnd.ADMINISTRATIVE, "first", station.now)
        assert station.link.close(LinkEnd.IDLE_TIMEOUT, "second", station.now) == []
        assert down(station.hears("c021 05 02 0004")).reason == "first"

    def test_crossing_terminate_requests_end_the_link(self) -> None:
        pair = Pair(wire=Wire(delay_s=0.2)).open().run(10.0)
        assert pair.up()
        for which in (0, 1):
            ended = pair.links[which].close(LinkEnd.ADMINISTRATIVE, "both", pair.now)
            pair.perform(which, ended)
        pair.run(1.0)
        assert pair.down(0) is not None
        assert pair.down(1) is not None


class TestBothSides:
    def test_dns_and_addresses_arrive_at_the_client(self) -> None:
        pair = Pair().open().run(2.0)
        client = pair.links[1]
        assert (client.local_ipv4, client.remote_ipv4) == ("10.0.0.10", "10.0.0.1")
        assert client.dns == ("192.168.22.1",)
        assert (pair.links[0].interface_id, client.interface_id) == (2, 1)
        assert client.peer_mru == 1462

    def test_a_link_comes_up_within_few_round_trips(self) -> None:
        pair = Pair(wire=Wire(delay_s=0.1), grant=IPV4_ONLY).open().run(1.2)
        assert pair.up()  # six round trips; no timer was waited for

    def test_equal_interface_identifiers_are_told_apart(self) -> None:
        pair = Pair()
        pair.links[1]._terms.local_interface_id = 1
        pair.open().run(5.0)
        assert pair.links[0].interface_id not in {None, 1}
        assert pair.links[1].interface_id == 1

    def test_only_lcp_echoes_ask_for_priority(self) -> None:
        pair = Pair(authenticator={"echo_interval_s": 5.0}).open().run(12.0)
        frames = [item for item in pair.said[0] if isinstance(item, SendFrame)]
        assert {item.frame[2:5].hex() for item in frames if item.priority} == {"c02109"}
        assert any(item.frame[2:5].hex() == "c02109" for item in frames)

    def test_nothing_is_remembered_of_a_link_that_is_down(self) -> None:
        pair = Pair().open().run(2.0)
        pair.perform(1, pair.links[1].close(LinkEnd.ADMINISTRATIVE, "bye", pair.now))
        pair.run(10.0)
        for link in pair.links:
            assert link.phase is Phase.DEAD
            assert link.receive(bytes.fromhex("c0210101000a050699999999"), pair.now) == []
            assert link.handle_timer(pair.now + 1000.0) == []


def test_a_second_address_family_is_independent_of_the_first() -> None:
    both = Authorization("alice", IPv4Service("10.0.0.1", "10.0.0.10"), ipv6=True)
    station = open_link(both)
    assert station.hears("8021 05 06 0004")[0] == NetworkDown(Protocol.IPCP)
    station.wait(120.0)
    assert station.link.interface_id == 9
    assert lives(station)
