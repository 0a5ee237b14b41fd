"""AVPs and control messages (RFC 2661 §4, §6, §7.1)."""

from __future__ import annotations

import pytest

from shared.errors import BadLength
from shared.l2tp.attributes import ACCM, BY_NUMBER, TABLE, CallErrors
from shared.l2tp.avp import AVP, MAX_AVPS, decode_avps
from shared.l2tp.messages import (
    CDN,
    HELLO,
    ICCN,
    SCCRQ,
    SLI,
    WEN,
    BadMessage,
    StopCCN,
    UnknownMessage,
    decode_leniently,
    decode_message,
    encode_message,
)
from shared.l2tp.results import DisconnectCause, Result, ResultKind, readable

ICRQ = "8008 0000 0000 000a"
ASSIGNED_SESSION = "8008 0000 000e 0015"
SERIAL = "800a 0000 000f 00000001"


def body(*parts: str) -> memoryview:
    return memoryview(bytes.fromhex(" ".join(parts)))


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        ("8008 0000 0000 0006", AVP(0, b"\x00\x06")),  # Message Type: HELLO
        ("8006 0000 0027", AVP(39, b"")),  # Sequencing Required, which has no value
        ("0008 0009 0001 abcd", AVP(1, b"\xab\xcd", vendor=9, flags=0)),  # a Cisco AVP
        ("c008 0000 0009 1234", AVP(9, b"\x12\x34", flags=0xC000)),
    ],
)
def test_an_avp_is_read_and_written(octets: str, expected: AVP) -> None:
    assert list(decode_avps(body(octets))) == [expected]
    assert expected.encode() == bytes(body(octets))


@pytest.mark.parametrize("octets", ["8008 0000 0000", "8005 0000 0000", "8009 0000 0000 0006", "80"])
def test_an_avp_whose_length_is_wrong_is_refused(octets: str) -> None:
    with pytest.raises(BadLength):
        list(decode_avps(body(octets)))


def test_a_value_of_1017_octets_fits_and_one_more_does_not() -> None:
    assert len(AVP(7, bytes(1017)).encode()) == 1023
    with pytest.raises(BadLength):
        AVP(7, bytes(1018)).encode()


def test_a_string_of_1017_octets_is_read_back() -> None:
    message = SCCRQ(
        protocol_version=0x0100, framing_capabilities=3, host_name=b"h" * 1017, assigned_tunnel_id=1
    )
    assert decode_message(memoryview(encode_message(message))) == message


def test_hello_is_its_message_type_alone() -> None:
    assert encode_message(HELLO()) == bytes.fromhex("8008 0000 0000 0006")


def test_the_table_has_the_flags_of_section_4_4() -> None:
    not_mandatory = {5, 6, 8, 25, 26, 27, 28, 29, 30, 31, 32, 33, 37, 38, 46}
    never_hidden = {0, 1, 2, 5, 7, 10, 12, 36, 39}
    assert {row.number for row in TABLE if not row.mandatory} == not_mandatory
    assert {row.number for row in TABLE if not row.hideable} == never_hidden
    assert set(BY_NUMBER) == {*range(20), *range(21, 40), 46}


def test_an_unknown_avp_without_the_m_bit_is_kept() -> None:
    unknown = "0008 0000 0bad 0001"
    message = decode_message(body("8008 0000 0000 0006", unknown))
    assert message == HELLO(unknown=(AVP(0x0BAD, b"\0\1", flags=0),))
    assert encode_message(HELLO(unknown=message.unknown)) == bytes(body("8008 0000 0000 0006", unknown))


@pytest.mark.parametrize(
    "unknown",
    [
        "8008 0000 0bad 0001",  # an attribute that does not exist
        "8008 0009 000f 0001",  # another vendor's
        "a00a 0000 0012 00000001",  # Bearer Type with a reserved bit set
    ],
)
def test_an_unknown_avp_with_the_m_bit_ends_what_its_message_is_about(unknown: str) -> None:
    with pytest.raises(BadMessage) as session:
        decode_message(body(ICRQ, ASSIGNED_SESSION, SERIAL, unknown))
    assert (session.value.error, session.value.ends_session) == (8, True)
    assert session.value.assigned_session_id == 0x15
    with pytest.raises(BadMessage) as tunnel:
        decode_message(body("8008 0000 0000 0006", unknown))
    assert (tunnel.value.error, tunnel.value.ends_session) == (8, False)


def test_a_malformed_avp_without_the_m_bit_is_ignored_and_with_it_is_not() -> None:
    short_channel_id = "0008 0000 0019 0001"
    message = decode_message(body(ICRQ, ASSIGNED_SESSION, SERIAL, short_channel_id))
    assert len(message.unknown) == 1
    with pytest.raises(BadMessage) as error:
        decode_message(body(ICRQ, ASSIGNED_SESSION, SERIAL, "8008 0000 0012 0001"))
    assert error.value.error == 2


def test_a_missing_avp_is_named() -> None:
    with pytest.raises(BadMessage, match="Call Serial Number AVP is missing"):
        decode_message(body(ICRQ, ASSIGNED_SESSION))


def test_a_known_avp_out_of_place_ends_nothing() -> None:
    called_number = "8009 0000 0015 313233"
    assert len(decode_message(body("8008 0000 0000 0006", called_number)).unknown) == 1


def test_the_first_of_two_equal_avps_counts() -> None:
    message = decode_message(body(ICRQ, ASSIGNED_SESSION, "8008 0000 000e 0099", SERIAL))
    assert getattr(message, "assigned_session_id", None) == 0x15


def test_the_message_type_must_come_first_and_be_known_if_mandatory() -> None:
    for octets in (SERIAL, "8008 0000 0000 0063", "c008 0000 0000 0006", ""):
        with pytest.raises(BadMessage):
            decode_message(body(octets))
    assert decode_message(body("0008 0000 0000 0063")) == UnknownMessage(99)


def test_a_message_type_with_reserved_bits_is_none() -> None:  # §4.1: it is as if unrecognised
    for octets in ("a008 0000 0000 0006", "2008 0000 0000 0006", "8408 0000 0000 0006"):
        with pytest.raises(BadMessage, match="not a Message Type"):
            decode_message(body(octets))


def test_an_unknown_message_without_the_m_bit_is_ignored_whatever_stands_in_it() -> None:  # §4.4.1
    unknown_mandatory = "8006 0000 0bad"
    message = decode_message(body("0008 0000 0000 0063", unknown_mandatory))
    assert isinstance(message, UnknownMessage)
    assert [avp.attribute for avp in message.unknown] == [0x0BAD]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0003", Result(3)),  # the AVP of 8 octets that xl2tpd and others send
        ("0002 0008", Result(2, 8)),
        ("0001 0000 676f6e65", Result(1, 0, "gone")),
    ],
)
def test_a_result_code_may_lack_error_and_message(value: str, expected: Result) -> None:
    octets = bytes.fromhex(value)
    avp = AVP(1, octets).encode().hex()
    stop = decode_message(body("8008 0000 0000 0004", "8008 0000 0009 0007", avp))
    assert stop == StopCCN(assigned_tunnel_id=7, result=expected)


def test_ppp_disconnect_cause_is_rfc_3145s() -> None:
    cause = DisconnectCause(16, 0xC023, 1, "no")
    octets = encode_message(CDN(result=Result(3), assigned_session_id=9, disconnect_cause=cause))
    assert octets.endswith(bytes.fromhex("000d 0000 002e 0010 c023 01 6e6f"))
    assert "bad name, password or secret" in cause.text()


def test_wen_and_sli_carry_a_reserved_field_first() -> None:
    errors = CallErrors(1, 2, 3, 4, 5, 6)
    assert encode_message(WEN(call_errors=errors))[8:] == bytes.fromhex(
        "8020 0000 0022 0000 00000001 00000002 00000003 00000004 00000005 00000006"
    )
    assert encode_message(SLI(accm=ACCM(0, 0xFFFFFFFF)))[8:] == bytes.fromhex(
        "8010 0000 0023 0000 00000000 ffffffff"
    )


def test_sequencing_required_is_an_avp_without_value() -> None:
    octets = encode_message(ICCN(tx_connect_speed=64000, framing_type=1, sequencing_required=True))
    assert octets.endswith(bytes.fromhex("8006 0000 0027"))


def test_a_request_is_read_leniently_to_know_whose_it_is() -> None:
    octets = encode_message(
        SCCRQ(protocol_version=0x0100, framing_capabilities=3, host_name=b"h", assigned_tunnel_id=5)
    )
    spoiled = memoryview(octets + bytes.fromhex("8006 0000 0bad"))
    assert getattr(decode_leniently(spoiled), "assigned_tunnel_id", None) == 5
    with pytest.raises(BadMessage):
        decode_message(spoiled)


def test_whose_an_incomplete_request_is_stands_in_its_assigned_tunnel_id_alone() -> None:
    tunnel = "8008 0000 0009 0005"
    for kind in ("8008 0000 0000 0001", "8008 0000 0000 0004"):  # SCCRQ, StopCCN
        assert getattr(decode_leniently(body(kind, tunnel)), "assigned_tunnel_id", None) == 5
        assert decode_leniently(body(kind)) is None
    assert decode_leniently(body(ICRQ, ASSIGNED_SESSION)) is None


def test_results_have_words_that_depend_on_their_message() -> None:
    assert Result(4).text(ResultKind.STOPCCN).startswith("result 4, requester is not authorized")
    assert "temporary" in Result(4).text(ResultKind.CDN)
    assert "M bit" in Result(2, 8).text(ResultKind.CDN)
    assert "1.0" in Result(5, 0x0100).text(ResultKind.STOPCCN)
    assert "unknown" in Result(99, 99).text(ResultKind.CDN)


def test_a_peers_text_cannot_break_a_line_of_the_log() -> None:
    assert readable(b"ok\n\x1b[31mred\xff") == "ok??[31mred\N{REPLACEMENT CHARACTER}"


def test_a_message_of_countless_avps_is_read_no_further_than_any_real_one_goes() -> None:
    many = bytes.fromhex("0006 0009 0001") * MAX_AVPS  # a vendor's, without a value
    assert len(list(decode_avps(memoryview(many)))) == MAX_AVPS
    with pytest.raises(BadLength):
        list(decode_avps(memoryview(many + many[:6])))
    with pytest.raises(BadMessage):
        decode_message(memoryview(bytes.fromhex(ICRQ) + many))
