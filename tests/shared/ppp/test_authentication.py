"""Both sides of PAP, CHAP and MS-CHAPv2, and what each does about lost packets."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from shared.ppp import mschap
from shared.ppp.chap import chap_response
from shared.ppp.commands import Authenticate, LinkDown
from shared.ppp.link import Credentials, Phase, Side
from shared.ppp.policy import LinkEnd
from tests.support.captures import vector
from tests.support.ppp import Pair, Station

ALICE_BY_PAP = "c023 01 01 0011 05 616c696365 06 736563726574"  # xl2tpd/pap.pcap
CHAP, MSCHAPV2 = "0305c22305", "0305c22381"
CHALLENGE = "22" * 16  # our second random octets, after the magic number; the Identifier comes third


def down(said: Sequence[object]) -> LinkDown:
    assert isinstance(said[-1], LinkDown)
    return said[-1]


def asked(said: Sequence[object]) -> Authenticate:
    assert len(said) == 1
    assert isinstance(said[0], Authenticate)
    return said[0]


def challenged(method: str, **policy: object) -> tuple[Station, str]:
    """Return a link that has just sent a Challenge, and that Challenge without its protocol."""
    name = {CHAP: "chap", MSCHAPV2: "mschapv2"}[method]
    station = Station(authentication=(name,), **policy)  # type: ignore[arg-type]
    (request,) = station.open()
    assert isinstance(request, str)
    station.hears("c021 01 07 000a 0506 0badcafe")
    (challenge,) = station.hears("c02102" + request[6:])
    assert isinstance(challenge, str)
    assert challenge[:6] == "c22301"
    return station, challenge[4:]


def response_to(challenge: str, value: bytes, name: bytes = b"alice") -> str:
    body = bytes((len(value),)) + value + name
    return f"c223 02 {challenge[2:4]} {len(body) + 4:04x} {body.hex()}"


def chap_answer(challenge: str, secret: bytes = b"secret") -> str:
    value = chap_response(int(challenge[2:4], 16), secret, bytes.fromhex(challenge[10:42]))
    return response_to(challenge, value)


class TestPap:
    def test_name_and_password_go_to_whoever_decides(self) -> None:
        station = Station(authentication=("pap",)).to_authentication()
        question = asked(station.hears(ALICE_BY_PAP))
        assert (question.protocol, question.username, question.response) == ("pap", "alice", b"secret")
        assert "secret" not in repr(question)
        assert station.decide(True, "Login ok")[0] == "c0230201000d084c6f67696e206f6b"
        assert station.link.phase is Phase.NETWORK

    def test_a_windows_client_is_understood(self) -> None:
        frame = bytes.fromhex(vector("ppp-pap-code-windows-cisco")["input"]["ppp_frame"])
        station = Station(authentication=("pap",)).to_authentication()
        question = asked(station.hears_octets(frame))
        assert (question.username, question.response) == ("markw", b"qwerty")

    def test_a_refusal_is_told_before_the_link_is_terminated(self) -> None:
        station = Station(authentication=("pap",)).to_authentication()
        station.hears(ALICE_BY_PAP)
        said = station.decide(False, "Login incorrect", "unknown user alice")
        assert said[0] == "c02303010014" + "0f" + b"Login incorrect".hex()
        assert str(said[1]).startswith("c02105")
        assert len(said) == 2
        assert b"alice".hex() not in str(said[1])
        ending = down(station.hears(f"c021 06 {str(said[1])[6:8]} 0004"))
        assert (ending.end, ending.reason) == (LinkEnd.AUTHENTICATION_FAILED, "unknown user alice")
        assert (ending.ppp_code, ending.ppp_protocol, ending.ppp_direction) == (16, 0xC023, 1)
        assert "alice" not in ending.ppp_message

    def test_a_lost_acknowledgement_is_sent_again(self) -> None:
        station = Station(authentication=("pap",))
        station.to_network()
        again = station.hears("c023 01 02 0011 05 616c696365 06 736563726574")
        assert again == ["c02302020005" + "00"]
        assert station.link.phase is Phase.NETWORK

    def test_a_repeated_request_repeats_the_question_and_a_different_one_does_not(self) -> None:
        station = Station(authentication=("pap",)).to_authentication()
        first = asked(station.hears(ALICE_BY_PAP))
        assert asked(station.hears("c023 01 02 0011 05 616c696365 06 736563726574")) == first
        assert station.hears("c023 01 03 0011 05 616c696365 06 777777777777") == []
        assert station.decide(True)[0] == "c0230202000500"  # to the last one that counted

    def test_a_question_without_an_answer_is_asked_again_and_has_an_end(self) -> None:
        station = Station(authentication=("pap",)).to_authentication()
        first = asked(station.hears(ALICE_BY_PAP))
        assert station.wait(3.0) == [first]
        said = station.wait(60.0)
        assert [item for item in said if isinstance(item, Authenticate)] == [first] * 9
        assert down(said).end is LinkEnd.AUTHENTICATION_TIMEOUT

    @pytest.mark.parametrize(
        "frame", ["c023 01 01 0005 05", "c023 01 01 0006 0561", "c023 01 01 0004", "c023"]
    )
    def test_a_request_whose_lengths_contradict_it_is_discarded(self, frame: str) -> None:
        assert Station(authentication=("pap",)).to_authentication().hears(frame) == []

    def test_an_answer_to_an_older_question_changes_nothing(self) -> None:
        station = Station(authentication=("pap",)).to_authentication()
        question = asked(station.hears(ALICE_BY_PAP))
        assert station.link.decide(True, "", "", None, station.now, question.request_id + 1) == []
        assert station.link.phase is Phase.AUTHENTICATE


class TestChap:
    def test_a_response_is_matched_to_its_challenge(self) -> None:
        station, challenge = challenged(CHAP)
        answer = chap_answer(challenge)
        other = f"{int(challenge[2:4], 16) ^ 1:02x}"
        assert station.hears(answer[:8] + other + answer[10:]) == []
        question = asked(station.hears(answer))
        assert question.protocol == "chap"
        assert question.challenge == bytes.fromhex(challenge[10:42])
        assert question.identifier == int(challenge[2:4], 16)
        assert station.decide(True, "Welcome")[0] == f"c22303{challenge[2:4]}000b" + b"Welcome".hex()

    def test_a_challenge_names_us_and_has_sixteen_octets(self) -> None:
        _, challenge = challenged(CHAP, local_name="lns")
        assert challenge[4:10] == "001810"
        assert challenge[42:] == b"lns".hex()

    def test_a_lost_challenge_is_sent_again_until_the_deadline(self) -> None:
        station, challenge = challenged(CHAP)
        said = station.wait(31.0)
        assert said[:9] == ["c223" + challenge] * 9
        ending = down(said + station.wait(10.0))
        assert ending.end is LinkEnd.AUTHENTICATION_TIMEOUT
        assert (ending.ppp_code, ending.ppp_protocol) == (13, 0xC223)

    def test_a_repeated_response_gets_the_same_verdict(self) -> None:
        station, challenge = challenged(CHAP)
        answer = chap_answer(challenge)
        first = asked(station.hears(answer))
        assert asked(station.hears(answer)) == first
        told = station.decide(True, "Welcome")[0]
        assert station.hears(answer) == [told]

    @pytest.mark.parametrize("size", [1, 15, 17, 49])
    def test_a_response_of_another_size_is_discarded(self, size: int) -> None:
        station, challenge = challenged(CHAP)
        assert station.hears(response_to(challenge, bytes(size))) == []

    def test_a_refused_peer_hears_failure_and_then_terminate_request(self) -> None:
        station, challenge = challenged(CHAP)
        station.hears(chap_answer(challenge))
        said = station.decide(False, "no")
        assert said[0] == f"c22304{challenge[2:4]}0006" + b"no".hex()
        assert str(said[1]).startswith("c02105")

    def test_a_name_that_would_break_a_log_line_is_made_harmless(self) -> None:
        station, challenge = challenged(CHAP)
        value = bytes(16)
        question = asked(station.hears(response_to(challenge, value, b"al\nice\xe9")))
        assert question.username == "al\ufffdice\xe9"
        other, challenge = challenged(CHAP)
        assert other.hears(response_to(challenge, value, b"a" * 256)) == []

    def test_an_open_link_is_challenged_again_and_survives_a_right_answer(self) -> None:
        station, challenge = challenged(CHAP, rechallenge_interval_s=60.0, echo_interval_s=0.0)
        station.hears(chap_answer(challenge))
        station.decide(True)
        station.hears("8021 01 05 000a 0306 0a00000a", "8021 02 01 000a 0306 0a000001")
        station.hears("8057 01 05 000e 010a 0000000000000009", "8057 02 01 000e 010a 0000000000000001")
        (again,) = station.wait(60.0)
        assert isinstance(again, str)
        assert again[:6] == "c22301"
        assert (again[6:8], again[14:46]) != (challenge[2:4], challenge[10:42])
        asked(station.hears(chap_answer(again[4:])))
        assert [str(said)[:6] for said in station.decide(True)] == ["c22303"]
        assert station.link.ipv4 == "10.0.0.10"

    def test_an_open_link_ends_by_a_wrong_answer_or_none(self) -> None:
        for answered in (True, False):
            station, challenge = challenged(CHAP, rechallenge_interval_s=60.0, echo_interval_s=0.0)
            station.hears(chap_answer(challenge))
            station.decide(True)
            station.hears("8021 01 05 000a 0306 0a00000a", "8021 02 01 000a 0306 0a000001")
            station.hears("c021 08 01 0006 8057")
            said = station.wait(60.0)
            if answered:
                station.hears(chap_answer(str(said[-1])[4:]))
                station.decide(False)
                assert down(station.wait(10.0)).end is LinkEnd.AUTHENTICATION_FAILED
            else:
                assert down(station.wait(60.0)).end is LinkEnd.AUTHENTICATION_TIMEOUT


class TestMsChapV2:
    def test_success_carries_the_authenticators_own_proof(self) -> None:
        station, challenge = challenged(MSCHAPV2)
        value = mschap.respond_mschapv2("secret", "alice", bytes.fromhex(challenge[10:42]), b"p" * 16)
        question = asked(station.hears(response_to(challenge, value)))
        hashed = mschap.nt_hash("secret")
        proof = mschap.verify_mschapv2(hashed, question.username, question.challenge, question.response)
        assert proof is not None
        assert bytes.fromhex(str(station.decide(True, proof)[0])[12:]).decode() == proof

    def test_failure_has_the_form_of_rfc_2759_section_6(self) -> None:
        station, challenge = challenged(MSCHAPV2)
        station.hears(response_to(challenge, bytes(49)))
        message = bytes.fromhex(str(station.decide(False)[0])[12:]).decode()
        assert message.startswith("E=691 R=0 C=")
        assert " V=3 M=" in message

    def test_an_md5_response_to_mschapv2_is_discarded(self) -> None:
        station, challenge = challenged(MSCHAPV2)
        assert station.hears(chap_answer(challenge)) == []


class TestWhatWasNotNegotiated:
    def test_another_authentication_protocol_is_not_run(self) -> None:
        station, _ = challenged(CHAP)
        assert station.hears(ALICE_BY_PAP) == []
        assert station.hears("c227 01 01 0004") == []

    def test_network_protocols_before_authentication_are_discarded_without_a_word(self) -> None:
        station = Station(authentication=("pap",)).to_authentication()
        for frame in ("8021 01 01 000a 0306 00000000", "80fd 01 01 0004", "0021 45", "8281 01 01 0004"):
            assert station.hears(frame) == []

    def test_a_protocol_reject_of_what_was_agreed_ends_the_link(self) -> None:
        station, challenge = challenged(CHAP)
        station.hears(f"c021 08 01 001a c223 {challenge}")
        assert down(station.wait(10.0)).end is LinkEnd.NO_COMMON_AUTHENTICATION


class TestTheSideThatProves:
    @pytest.mark.parametrize("method", ["pap", "chap", "mschapv2"])
    def test_both_sides_agree(self, method: str) -> None:
        pair = Pair(authenticator={"authentication": (method,)}).open().run(2.0)
        assert pair.up()

    @pytest.mark.parametrize("method", ["pap", "chap", "mschapv2"])
    def test_a_wrong_password_ends_both_sides_with_the_reason(self, method: str) -> None:
        wrong = Credentials("alice", "wrong")
        pair = Pair(authenticator={"authentication": (method,)}, credentials=wrong).open().run(10.0)
        for which in (0, 1):
            ending = pair.down(which)
            assert ending is not None
            assert ending.end is LinkEnd.AUTHENTICATION_FAILED

    def test_the_preferred_protocol_of_the_client_is_what_it_gets(self) -> None:
        pair = Pair(peer={"authentication": ("chap",)}).open().run(2.0)
        assert pair.up()
        assert any(frame.startswith("c22302") for frame in pair.frames(1))

    def test_an_authenticator_that_can_not_prove_itself_is_refused(self) -> None:
        """RFC 2759 §5: the S= of the Success message must fit."""
        station = Station(Side.PEER, credentials=Credentials("alice", "secret"))
        station.open()
        station.hears("c021 01 01 0009 0305 c22381", "c021 02 01 000e 0104 05b6 0506 11111111")
        (answer,) = station.hears(f"c223 01 07 0017 10 {'ab' * 16} 6c6e")
        assert str(answer).startswith("c2230207003b31")
        said = station.hears("c223 03 07 002e" + (b"S=" + b"0" * 40).hex())
        assert str(said[0]).startswith("c02105")
        assert down(station.wait(10.0)).end is LinkEnd.AUTHENTICATION_FAILED

    def test_a_lost_response_is_sent_again_and_a_repeated_challenge_gets_the_same_one(self) -> None:
        station = Station(Side.PEER, credentials=Credentials("alice", "secret"))
        station.open()
        station.hears("c021 01 01 0009 0305 c22381", "c021 02 01 000e 0104 05b6 0506 11111111")
        challenge = f"c223 01 07 0017 10 {'ab' * 16} 6c6e"
        (answer,) = station.hears(challenge)
        assert station.wait(3.0) == [answer]
        assert station.hears(challenge) == [answer]

    def test_a_recorded_windows_challenge_is_answered_as_windows_did(self) -> None:
        known = vector("chap-md5-rfc1994-4.1-huawei-l2tp")
        given = known["input"]
        credentials = Credentials(given["name"], given["secret"])
        station = Station(Side.PEER, credentials=credentials)
        station.open()
        station.hears("c021 01 01 0009 0305 c22305", "c021 02 01 000e 0104 05b6 0506 11111111")
        (answer,) = station.hears(f"c223 01 01 0015 10 {given['challenge']}")
        assert answer == "c22302010017" + "10" + known["expect"]["response"] + "6161"

    def test_a_server_that_demands_nothing_is_let_in(self) -> None:
        station = Station(Side.PEER, credentials=Credentials("alice", "secret"))
        station.open()
        station.hears("c021 01 01 0004", "c021 02 01 000e 0104 05b6 0506 11111111")
        assert station.link.phase is Phase.NETWORK

    def test_a_password_is_in_no_repr(self) -> None:
        assert "secret" not in repr(Credentials("alice", "secret"))
