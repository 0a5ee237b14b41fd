"""CHAP and MS-CHAPv2 against the RFC's example and against recorded conversations."""

from __future__ import annotations

import hashlib

import pytest
from Cryptodome.Cipher import DES

from shared.errors import BadLength
from shared.ppp import mschap
from shared.ppp.authenticator import peer_name
from shared.ppp.chap import chap_response, decode_value, verify_chap
from tests.support.captures import capture, frames, vector


@pytest.mark.parametrize("identifier", ["huawei-l2tp", "huawei-ppp"])
def test_chap_responses_that_recorded_authenticators_accepted(identifier: str) -> None:
    known = vector(f"chap-md5-rfc1994-4.1-{identifier}")
    given = known["input"]
    secret, challenge = given["secret"].encode(), bytes.fromhex(given["challenge"])
    response = chap_response(given["identifier"], secret, challenge)
    assert response.hex() == known["expect"]["response"]
    assert verify_chap(given["identifier"], secret, challenge, response)
    assert not verify_chap(given["identifier"], b"wrong", challenge, response)
    assert not verify_chap(given["identifier"] + 1, secret, challenge, response)


def test_rfc_2759_section_9_2() -> None:
    known = vector("mschapv2-rfc2759-9.2")
    given, expected = known["input"], known["expect"]
    challenge = bytes.fromhex(given["authenticator_challenge"])
    peer_challenge = bytes.fromhex(given["peer_challenge"])
    hashed = mschap.nt_hash(given["password"])
    value = mschap.respond_mschapv2(given["password"], given["username"], challenge, peer_challenge)
    assert hashed.hex() == expected["nt_password_hash"]
    assert value.hex() == given["peer_challenge"] + "00" * 8 + expected["nt_response"] + "00"
    success = mschap.verify_mschapv2(hashed, given["username"], challenge, value)
    assert success == expected["authenticator_response"]
    assert mschap.expect_success(given["password"], given["username"], challenge, value) == success


def test_des_keys_have_odd_parity() -> None:
    known = vector("des-parity-rfc2759-9.3")
    keys = [mschap.des_key(bytes.fromhex(raw)).hex() for raw in known["input"]["raw_keys"]]
    assert keys == known["expect"]["parity_corrected"]


def test_a_domain_before_the_name_takes_no_part_in_mschapv2() -> None:
    challenge, peer_challenge = b"c" * 16, b"p" * 16
    value = mschap.respond_mschapv2("secret", "alice", challenge, peer_challenge)
    hashed = mschap.nt_hash("secret")
    expected = mschap.expect_success("secret", "alice", challenge, value)
    assert mschap.verify_mschapv2(hashed, "EXAMPLE\\alice", challenge, value) == expected


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_name_beyond_ascii_is_hashed_in_the_octets_that_the_peer_has_sent(encoding: str) -> None:
    """Linux writes UTF-8 and Windows its code page; RFC 2759 §8.2 hashes whatever stood in the Response."""
    challenge, peer_challenge = b"c" * 16, b"p" * 16
    hashed = mschap.nt_hash("secret")
    digest = hashlib.sha1(peer_challenge + challenge + "jörg".encode(encoding)).digest()[:8]
    keys = [mschap.des_key(hashed.ljust(21, b"\0")[at : at + 7]) for at in (0, 7, 14)]
    proof = b"".join(DES.new(key, DES.MODE_ECB).encrypt(digest) for key in keys)
    value = peer_challenge + bytes(8) + proof + b"\0"
    name = peer_name("EXAMPLE\\jörg".encode(encoding))
    success = mschap.verify_mschapv2(hashed, name, challenge, value)
    assert success is not None
    assert success.startswith("S=")
    assert mschap.verify_mschapv2(mschap.nt_hash("other"), name, challenge, value) is None


@pytest.mark.parametrize("octets", [0, 16, 48, 50])
def test_an_mschapv2_response_of_another_size_proves_nothing(octets: int) -> None:
    assert mschap.verify_mschapv2(mschap.nt_hash("secret"), "alice", b"c" * 16, bytes(octets)) is None


def test_the_failure_message_is_that_of_rfc_2759_section_6() -> None:
    assert mschap.failure_message(b"\xab" * 16, "no") == f"E=691 R=0 C={'AB' * 16} V=3 M=no"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (f"E=691 R=0 C={'0F' * 16} V=3 M=Access denied", "Access denied (E=691)"),
        ("E=691 R=1", "authentication failed (E=691)"),
        ("E=648 R=0 V=3 M=", "authentication failed (E=648)"),
        ("go away", "go away"),
    ],
)
def test_two_failures_for_one_reason_read_alike_whatever_their_challenge(message: str, reason: str) -> None:
    assert mschap.failure_reason(message) == reason


def test_windows_7_proves_itself_and_pptpd_answers() -> None:
    """`pptp_windows7_mschapv2_mppe_solar.pcap`: user solar, password solarisalwaysbusy."""
    path = capture("ppp/pptp_windows7_mschapv2_mppe_solar.pcap")
    packets = [frame.octets for frame in frames(path)]
    challenge, response, success = (
        next(octets for octets in packets if marker in octets)
        for marker in (b"\xc2\x23\x01", b"\xc2\x23\x02", b"\xc2\x23\x03")
    )
    asked = challenge[challenge.index(b"\xc2\x23\x01") + 7 :][:16]
    answered = response[response.index(b"\xc2\x23\x02") + 7 :][:49]
    hashed = mschap.nt_hash("solarisalwaysbusy")
    proof = mschap.verify_mschapv2(hashed, "solar", asked, answered)
    assert proof is not None
    assert proof.encode() in success


@pytest.mark.parametrize("body", ["", "00", "05 01020304", "10"])
def test_a_value_size_that_runs_past_the_packet_is_refused(body: str) -> None:
    with pytest.raises(BadLength):
        decode_value(memoryview(bytes.fromhex(body)))
