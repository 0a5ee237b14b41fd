"""The octets come from a recorded conversation of two xl2tpd, and from RFC 3931's and RFC 2661's layouts."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dissect.datagram import dissect

ICRQ = bytes.fromhex(
    "c802 0030 39be 0000 0002 0001 8008 0000 0000 000a 8008 0000 000e 2ec7 800a 0000 000f 0000 0001 800a "
    "0000 0012 0000 0000"
)
LCP_REQUEST = bytes.fromhex(
    "0002 8e7a 2ec7 ff03 c021 01 01 0018 0104 0578 0206 0000 0000 0304 c023 0506 b0a9 b944"
)
PAP_REQUEST = bytes.fromhex("0002 39be e688 ff03 c023 01 01 0012 05") + b"alice" + b"\x07" + b"hunter2"
ECHO = bytes.fromhex(
    "0002 39be e688 ff03 0021 4500 0054 0000 4000 4001 0000 ac1f 000a ac1f 0001 0800 0000 02cb 0001"
) + bytes(56)


def test_an_icrq_is_named_with_its_header_and_its_session_id() -> None:
    dissection = dissect(ICRQ)
    assert dissection.name == "ICRQ"
    assert dissection.summary == "tunnel 14782 session 0 Ns 2 Nr 1: my session ID 11975"
    texts = [part.text for part in dissection.parts]
    assert "flags T L S: control message, version 2" in texts
    assert "Call Serial Number [M]: 1" in texts


def test_a_zlb_is_only_an_acknowledgement() -> None:
    assert dissect(bytes.fromhex("c802 000c 39be 0000 0004 0002")).name == "ZLB"


def test_lcp_options_are_read_in_words() -> None:
    dissection = dissect(LCP_REQUEST)
    assert dissection.name == "LCP Configure-Request"
    assert dissection.summary.endswith("id 1 [MRU 1400, ACCM 00000000, authentication PAP, magic b0a9b944]")


def test_a_pap_password_shows_neither_as_text_nor_as_octets() -> None:
    dissection = dissect(PAP_REQUEST)
    shown = "\n".join([dissection.summary, *dissection.lines()])
    assert "user 'alice' password ***" in shown
    assert "hunter2" not in shown
    octets = "".join(re.findall(r"^[0-9a-f]{4}  ((?:[0-9a-f]{2} ?)+)", shown, re.MULTILINE)).replace(" ", "")
    assert b"alice".hex() in octets
    assert b"hunter2".hex()[:6] not in octets


def test_a_proxy_password_of_iccn_does_not_show() -> None:
    avps = "8008 0000 0000 000c 800a 0000 0018 0000 0000 800a 0000 0013 0000 0001 000c 0000 0021"
    body = bytes.fromhex(avps) + b"hunter"
    dissection = dissect(bytes.fromhex("c802") + (12 + len(body)).to_bytes(2, "big") + bytes(8) + body)
    shown = "\n".join([dissection.summary, *dissection.lines()])
    assert dissection.name == "ICCN"
    assert "proxy response ***" in shown
    assert b"hunter".hex(" ")[:8] not in shown


def test_a_ping_in_a_data_message_says_who_to_whom() -> None:
    dissection = dissect(ECHO)
    assert dissection.summary == (
        "tunnel 14782 session 59016: 172.31.0.10 > 172.31.0.1 ICMP echo request, id 715, number 1"
    )
    assert dissection.parts[-1].text == "56 octets of data"


def test_a_result_code_is_read_in_its_message_s_sense() -> None:
    cdn = bytes.fromhex(
        "c802 0026 39be e688 0004 0002 8008 0000 0000 000e 800a 0000 0001 0003 0000 8008 0000 000e 2ec7"
    )
    assert "call disconnected for administrative reasons" in dissect(cdn).summary


@pytest.mark.parametrize(
    "octets", ["", "c8", "c803 000c 0000 0000 0000 0000", "c802 ffff 0000 0000 0000 0000", "0003"]
)
def test_what_is_not_l2tpv2_says_so(octets: str) -> None:
    assert dissect(bytes.fromhex(octets)).name == "not L2TPv2"


@given(
    st.binary(max_size=80),
    st.sampled_from([b"", ICRQ[:12], ICRQ[:20], LCP_REQUEST[:10], ECHO[:10], PAP_REQUEST[:8]]),
)
def test_any_octets_are_taken_apart_without_gap_or_overlap(octets: bytes, start: bytes) -> None:
    datagram = start + octets
    if datagram[:2] == b"\xc8\x02" and len(datagram) >= 12:
        datagram = datagram[:2] + len(datagram).to_bytes(2, "big") + datagram[4:]
    dissection = dissect(datagram)
    assert dissection.lines() or not datagram
    position = 0
    for part in dissection.parts:
        assert part.start == position
        assert part.octets in (None, datagram[position : position + part.length])
        position += part.length
    assert position <= len(datagram)
