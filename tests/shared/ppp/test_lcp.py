"""LCP as a peer sees it, frame by frame. Our magic number is 11111111, then 22222222, ..."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from shared.ppp.commands import Identified, LinkDown
from shared.ppp.link import Credentials, Side
from shared.ppp.policy import LinkEnd
from tests.support.captures import vector
from tests.support.ppp import IPV4_ONLY, Station

OURS = "c02101010013010405b60305c22381050611111111"  # MRU 1462, MS-CHAPv2, magic number


def down(said: Sequence[object]) -> LinkDown:
    assert isinstance(said[-1], LinkDown)
    return said[-1]


def test_our_first_configure_request_asks_for_mru_authentication_and_magic_number() -> None:
    assert Station().open() == [OURS]


def test_a_silent_peer_is_asked_ten_times_and_then_the_link_is_down() -> None:
    station = Station(establish_timeout_s=60.0)
    said = station.open() + station.wait(40.0)
    assert said[:10] == [OURS] * 10
    assert down(said).end is LinkEnd.LCP_TIMEOUT
    assert len(said) == 11


def test_lcp_has_a_deadline_whatever_the_peer_says() -> None:
    station = Station(establish_timeout_s=5.0)
    station.open()
    for _ in range(9):  # it asks and asks, and never answers
        station.wait(0.5)
        station.hears("c021 01 01 0008 0104 05dc")
    assert down(station.wait(1.0)).end is LinkEnd.LCP_TIMEOUT


def test_our_request_is_sent_again_when_the_peers_first_arrives_before_the_answer_to_it() -> None:
    """A client's pppd is often not attached yet when our first request comes (xl2tpd/pap.pcap)."""
    station = Station()
    station.open()
    assert station.hears("c021 01 01 0014 0104 0578 0206 00000000 0506 20bfb957") == [
        OURS,
        "c0210201001401040578020600000000050620bfb957",
    ]
    said = station.hears("c021 01 02 0008 0104 0577")
    assert said == ["c0210202000801040577"]  # once is enough


def test_our_request_is_not_repeated_to_a_peer_that_has_answered_it() -> None:
    station = Station()
    station.open()
    station.hears("c021" + "02" + OURS[6:])
    assert station.hears("c021 01 01 0008 0104 0578")[0] == "c0210201000801040578"


@pytest.mark.parametrize(
    ("option", "name"),
    [
        ("0405c02501", "Quality-Protocol"),
        ("0d0306", "Callback"),
        ("110405dc", "Multilink-MRRU"),
        ("1202", "Short-Sequence-Number"),
        ("13090163232e350f96", "Endpoint-Discriminator"),
        ("0304c023", "Authentication-Protocol: we prove nothing to a subscriber"),
        ("fe03aa", "an option from the future"),
        ("010305", "MRU of a wrong length"),
    ],
)
def test_what_we_do_not_have_is_rejected(option: str, name: str) -> None:
    station = Station()
    station.open()
    length = 4 + 4 + len(option) // 2
    answer = station.hears(f"c021 01 09 {length:04x} 0104 0578 {option}")[-1]
    assert answer == f"c0210409{length - 4:04x}{option}", name


def test_rejects_come_before_naks() -> None:
    station = Station()
    station.open()
    said = station.hears("c021 01 01 0011 0104 0010 0d0306 0506 00000000")
    assert said[-1] == "c0210401" + "0007" + "0d0306"


def test_an_mru_too_small_for_ip_and_a_magic_number_of_zero_are_naked() -> None:
    station = Station()
    station.open()
    said = station.hears("c021 01 01 000e 0104 0010 0506 00000000")
    assert said[-1] == "c0210301000e" + "01040080" + "050622222222"


def test_acfc_pfc_and_accm_are_acknowledged() -> None:
    station = Station()
    station.open()
    said = station.hears("c021 01 01 000e 0206 000a0000 0702 0802")
    assert said[-1] == "c0210201000e0206000a000007020802"
    assert station.link.acfc is False  # it may, but we do not


def test_we_compress_only_where_both_the_operator_and_the_peer_want_it() -> None:
    station = Station(send_acfc=True, send_pfc=True, authentication=("pap",))
    request = "c02101010016010405b60304c023050611111111" + "07020802"
    assert station.open() == [request]
    station.hears("c021 01 01 0008 0702 0802", "c02102" + request[6:])
    assert (station.link.acfc, station.link.pfc) == (True, True)
    plain = Station(send_acfc=True, send_pfc=True, authentication=("pap",))
    plain.open()
    plain.hears("c021 01 01 0004", "c02102" + request[6:])
    assert (plain.link.acfc, plain.link.pfc) == (False, False)


def test_an_answer_that_does_not_fit_our_request_is_discarded() -> None:
    station = Station(authentication=("pap",))
    station.open()
    station.hears("c021 01 01 0004")
    good = "c021 02 01 0012 0104 05b6 0304 c023 0506 11111111"
    assert station.hears(good.replace("02 01", "02 02")) == []  # another Identifier
    assert station.hears("c021 02 01 000e 0104 05b6 0506 11111111") == []  # without authentication!
    assert station.hears("c021 04 02 0008 0304 c023") == []
    assert station.hears("c021 04 01 0006 0802") == []  # rejects what we never asked for
    assert station.hears(good) == []
    assert station.link.phase.name == "AUTHENTICATE"
    assert station.hears(good) == []  # a second time: no new negotiation
    assert station.link.phase.name == "AUTHENTICATE"


def test_a_rejected_mru_and_magic_number_are_left_out() -> None:
    station = Station(authentication=("pap",))
    station.open()
    said = station.hears("c021 04 01 000e 0104 05b6 0506 11111111")
    assert said == ["c021010200080304c023"]


def test_an_mru_smaller_than_ours_is_taken_and_a_larger_one_is_not() -> None:
    station = Station(authentication=("pap",))
    station.open()
    assert station.hears("c021 03 01 0008 0104 0500") == ["c02101020012010405000304c023050611111111"]
    assert station.hears("c021 03 02 0008 0104 05dc") == ["c02101030012010405000304c023050611111111"]


class TestAuthenticationProtocol:
    def test_the_peers_nak_is_honoured_where_it_names_another_of_ours(self) -> None:
        station = Station()
        station.open()
        assert station.hears("c021 03 01 0008 0304 c023") == ["c02101020012010405b60304c023050611111111"]

    def test_a_nak_for_what_we_do_not_have_gets_the_next_of_our_list(self) -> None:
        station = Station()
        station.open()
        assert station.hears("c021 03 01 0008 0304 c227") == [  # EAP
            "c02101020013010405b60305c22305050611111111"
        ]
        assert station.hears("c021 03 02 0009 0305 c22380") == [  # MS-CHAPv1
            "c02101030012010405b60304c023050611111111"
        ]

    def test_a_peer_that_agrees_to_nothing_ends_the_link_with_a_reason(self) -> None:
        """xl2tpd/auth-refused.pcap: the recorded peer wants PAP, and only MS-CHAPv2 is offered."""
        station = Station(authentication=("mschapv2",))
        station.open()
        said = station.hears("c021 03 01 0008 0304 c023")
        assert len(said) == 1
        assert str(said[0]).startswith("c0210502")  # Terminate-Request, no request without authentication
        ending = down(station.hears("c021 06 02 0004"))
        assert ending.end is LinkEnd.NO_COMMON_AUTHENTICATION
        assert "mschapv2" in ending.reason
        assert (ending.ppp_code, ending.ppp_direction) == (15, 1)

    def test_a_peer_that_rejects_authentication_ends_the_link_and_never_skips_it(self) -> None:
        """huawei_lcp_reject_auth.pcapng, frame 6: Configure-Reject of CHAP."""
        station = Station(authentication=("chap",))
        station.open()
        station.hears("c021 01 07 000e 0104 05dc 0506 6473ff93")
        said = station.hears("c021 04 01 0009 0305 c22305")
        assert str(said[0]).startswith("c0210502")
        assert station.hears("8021 01 01 000a 0306 0c010102") == []
        assert down(station.hears("c021 06 02 0004")).end is LinkEnd.NO_COMMON_AUTHENTICATION

    def test_a_client_naks_what_it_can_not_do_and_rejects_without_credentials(self) -> None:
        able = Station(Side.PEER, credentials=Credentials("alice", "secret"), authentication=("chap", "pap"))
        able.open()
        assert able.hears("c021 01 01 0008 0304 c227")[-1] == "c02103010009" + "0305c22305"
        assert able.hears("c021 01 02 0008 0304 c023")[-1] == "c02102020008" + "0304c023"
        unable = Station(Side.PEER)
        unable.open()
        assert unable.hears("c021 01 01 0008 0304 c023")[-1] == "c02104010008" + "0304c023"


class TestMagicNumber:
    def test_our_own_magic_number_is_naked_first_and_ends_a_looped_link(self) -> None:
        station = Station()
        queue = [str(frame) for frame in station.open()]
        said: list[object] = []
        while queue and len(said) < 200:  # the wire is a loop: it hears whatever it says
            heard = station.hears(queue.pop(0))
            said += heard
            queue += [frame for frame in heard if isinstance(frame, str)]
        assert down(said).end is LinkEnd.LOOPED_BACK
        assert down(said).ppp_code == 7

    def test_a_collision_by_chance_is_resolved(self) -> None:
        station = Station()
        station.open()
        said = station.hears("c021 01 01 000a 0506 11111111")
        assert said[-1] == "c0210301000a050622222222"
        assert station.hears("c021 01 02 000a 0506 22222222")[-1] == "c0210202000a050622222222"

    def test_an_echo_request_with_our_own_magic_number_gets_no_answer(self) -> None:
        station = Station(authentication=("pap",)).to_authentication()
        assert station.hears("c021 09 01 0008 11111111") == []


class TestMessages:
    def test_echo_requests_are_answered_with_our_magic_number_and_their_data(self) -> None:
        station = Station(authentication=("pap",)).to_authentication()
        assert station.hears("c021 09 07 000c 0badcafe 01020304") == ["c0210a07000c1111111101020304"]
        assert station.hears("c021 09 07 0006 0bad") == []  # too short for a magic number

    def test_echoes_before_opened_are_discarded(self) -> None:
        station = Station()
        station.open()
        assert station.hears("c021 09 07 0008 0badcafe") == []

    def test_windows_identification_is_reported(self) -> None:
        frame = bytes.fromhex(vector("ppp-lcp-code12-windows-cisco")["input"]["ppp_frame"])
        station = Station()
        station.open()
        assert station.hears_octets(frame) == [Identified("MSRASV5.10")]

    def test_identifications_are_reported_a_few_times_only(self) -> None:
        station = Station()
        station.open()
        said = station.hears(*["c021 0c 05 0009 4dd55d57 41"] * 100)
        assert said == [Identified("A")] * 8

    @pytest.mark.parametrize("frame", ["c021 0b 01 0008 0badcafe", "c021 0d 01 000c 0badcafe 0000003c"])
    def test_discard_request_and_time_remaining_want_no_answer(self, frame: str) -> None:
        assert Station(authentication=("pap",)).to_authentication().hears(frame) == []

    def test_an_unknown_code_gets_a_code_reject_with_a_copy(self) -> None:
        station = Station()
        station.open()
        assert station.hears("c021 0e 09 0006 abcd") == ["c0210702000a0e090006abcd"]

    def test_a_code_reject_is_cut_to_the_peers_mru(self) -> None:
        station = Station(authentication=("pap",))
        station.open()
        station.hears("c021 01 07 0008 0104 0080", "c021 02 01 0012 0104 05b6 0304 c023 0506 11111111")
        (said,) = station.hears("c021 0e 09 0104" + "ab" * 256)
        assert len(bytes.fromhex(str(said))) == 2 + 128

    def test_a_code_reject_of_configure_request_ends_the_link(self) -> None:
        station = Station()
        station.open()
        assert down(station.hears("c021 07 01 0008 01010004")).end is LinkEnd.NEGOTIATION_FAILED

    def test_a_peer_that_rejects_the_echo_code_is_not_asked_any_more(self) -> None:
        station = Station(authentication=("pap",), authenticate_timeout_s=3000.0, echo_interval_s=10.0)
        station.to_authentication()
        (echo,) = station.wait(10.0)
        assert station.hears(f"c021 07 01 000c {str(echo)[4:]}") == []
        assert station.wait(1000.0) == []


class TestLiveness:
    def test_echoes_go_out_at_the_interval_and_answers_keep_the_link(self) -> None:
        station = Station(grant=IPV4_ONLY, authentication=("pap",), echo_interval_s=10.0, echo_failures=3)
        station.to_ipcp()
        for _ in range(20):
            (echo,) = station.wait(10.0)
            assert isinstance(echo, str)
            assert echo[:6] == "c02109"
            assert station.hears("c0210a" + echo[6:]) == []

    def test_a_peer_that_stops_answering_is_gone_after_the_failures(self) -> None:
        station = Station(
            grant=IPV4_ONLY, authentication=("pap",), echo_interval_s=10.0, echo_failures=3
        ).to_ipcp()
        said = station.wait(39.9)
        assert [str(echo)[:6] for echo in said] == ["c02109"] * 3
        ending = down(station.wait(0.2))
        assert ending.end is LinkEnd.ECHO_LOST
        assert (ending.ppp_code, ending.ppp_protocol) == (8, 0xC021)

    def test_a_reply_that_answers_no_request_proves_nothing(self) -> None:
        station = Station(
            grant=IPV4_ONLY, authentication=("pap",), echo_interval_s=10.0, echo_failures=2
        ).to_ipcp()
        station.wait(20.0)
        station.hears("c021 0a ee 0008 0badcafe")
        assert down(station.wait(10.0)).end is LinkEnd.ECHO_LOST

    def test_without_an_interval_there_is_no_echo(self) -> None:
        station = Station(grant=IPV4_ONLY, authentication=("pap",), echo_interval_s=0.0).to_ipcp()
        assert station.wait(3600.0) == []
