"""Hidden AVPs (RFC 2661 §4.3) and tunnel authentication (§4.4.3), against recorded values."""

from __future__ import annotations

import pytest

from shared.errors import ProtocolError
from shared.l2tp.authentication import answers, challenge_response
from shared.l2tp.hiding import Hider, unhide
from tests.support.captures import vector, vectors


def test_hidden_values_of_accel_ppp_are_revealed_and_lies_about_the_length_refused() -> None:
    given = vector("l2tp-hidden-avp-matrix")["input"]
    secret, random_vector = given["secret"].encode(), bytes.fromhex(given["random_vector"])
    for case in given["cases"]:
        hidden = bytes.fromhex(case["hidden_value"])
        if case["verdict"] == "accept":
            plain = unhide(case["avp_type"], hidden, secret, random_vector)
            assert plain == bytes.fromhex(case["plain"]), case["case"]
        else:
            with pytest.raises(ProtocolError):
                unhide(case["avp_type"], hidden, secret, random_vector)


def test_values_over_several_blocks_are_revealed_and_hidden_alike() -> None:
    case = vector("l2tp-hidden-avp-multiblock")
    secret, random_vector = case["input"]["secret"].encode(), bytes.fromhex(case["input"]["random_vector"])
    for hidden, plain in zip(case["input"]["hidden"], case["expect"]["plain"], strict=True):
        octets, value = bytes.fromhex(hidden["hidden_value"]), bytes.fromhex(plain["value"])
        assert unhide(hidden["avp_type"], octets, secret, random_vector) == value
        ours = Hider(secret, random_vector).hide(hidden["avp_type"], value)
        whole = len(ours) // 16 * 16  # the same up to where the padding makes a block differ
        assert ours[:whole] == octets[:whole]
        assert ours[whole:] == octets[whole : len(ours)]


@pytest.mark.parametrize(
    ("hidden", "random_vector"), [(b"\x12\x34\x56", None), (b"", b"vector"), (b"\1", b"v")]
)
def test_a_hidden_value_needs_a_random_vector_and_room_for_its_length(
    hidden: bytes, random_vector: bytes | None
) -> None:
    with pytest.raises(ProtocolError):
        unhide(7, hidden, b"secret", random_vector)


def test_challenges_are_answered_as_huawei_xl2tpd_and_freertr_answer_them() -> None:
    found = vectors("l2tp-tunnel-auth-")
    assert found
    for case in found:
        given = case["input"]
        secret, challenge = given["secret"].encode(), bytes.fromhex(given["challenge"])
        expected = bytes.fromhex(case["expect"]["challenge_response"])
        assert challenge_response(given["message_type"], secret, challenge) == expected
        assert answers(given["message_type"], secret, challenge, expected)
        assert not answers(given["message_type"], secret + b"x", challenge, expected)


def test_no_response_is_no_answer() -> None:
    assert not answers(3, b"secret", b"challenge", None)


def test_the_secret_is_not_shown() -> None:
    assert "s3cr3t" not in repr(Hider(b"s3cr3t", b"vector"))
