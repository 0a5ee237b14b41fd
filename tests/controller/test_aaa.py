"""Who may come in: the local users and the chain of sources."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.aaa.chain import Chain
from controller.aaa.outcome import Accepted, Answer, Attempt, Grant, Outcome, Refused
from controller.aaa.users import LocalUsers
from shared.config.subscribers import User


def user(name: str, **values: object) -> User:
    return User.model_validate({"name": name, "password": "clientPass", **values})


def outcome(source: LocalUsers | Chain, attempt: Attempt) -> Outcome | None:
    heard: list[Outcome | None] = []
    source.authenticate(attempt, heard.append)
    [one] = heard
    return one


def pap(name: str, password: str) -> Attempt:
    return Attempt("pap", name, 1, b"", password.encode())


# RFC 2759 §9.2
MSCHAPV2 = Attempt(
    "mschapv2",
    "User",
    1,
    bytes.fromhex("5B5D7C7D7B3F2F3E3C2C602132262628"),
    bytes.fromhex(
        "21402324255E262A28295F2B3A337C7E"
        + "00" * 8
        + "82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF"
        + "00"
    ),
)
NT_HASH = "44EBBA8D5312B8D611474411F56989AE"  # of "clientPass", ibid.


@pytest.mark.parametrize("known", [{"password": "clientPass"}, {"password": None, "nt_hash": NT_HASH}])
def test_mschapv2_is_proven_by_password_or_hash_and_answered_by_our_proof(known: dict[str, str]) -> None:
    source = LocalUsers([user("User", **known)])
    assert outcome(source, MSCHAPV2) == Accepted(Grant("User"), "S=407A5589115FD0D6209F510FE9C04566932CDA56")


def test_pap_compares_the_password() -> None:
    source = LocalUsers([user("alice")])
    assert outcome(source, pap("alice", "clientPass")) == Accepted(Grant("alice"))
    assert outcome(source, pap("alice", "clientpass")) == Refused("wrong password")


def test_pap_works_with_a_hash_and_chap_says_why_it_does_not() -> None:
    source = LocalUsers([user("alice", password=None, nt_hash=NT_HASH)])
    assert outcome(source, pap("alice", "clientPass")) == Accepted(Grant("alice"))
    assert outcome(source, pap("alice", "other")) == Refused("wrong password")
    refused = outcome(source, Attempt("chap", "alice", 1, b"c", b"r"))
    assert isinstance(refused, Refused)
    assert "NT hash" in refused.reason


def test_a_wrong_response_of_any_size_is_refused() -> None:
    source = LocalUsers([user("User")])
    for protocol in ("chap", "mschapv2"):
        for size in (0, 1, 16, 49, 200):
            assert outcome(source, Attempt(protocol, "User", 1, bytes(16), bytes(size))) == Refused(
                "wrong password"
            )


def test_an_unserved_protocol_is_refused() -> None:
    assert outcome(LocalUsers([user("a")]), Attempt("eap", "a", 1, b"", b"")) == Refused("eap is not served")


def test_an_exact_name_comes_before_patterns_and_those_in_order() -> None:
    source = LocalUsers(
        [user("sub-*", profile="many"), user("sub-1*", profile="late"), user("sub-7", profile="one")]
    )
    grants = [outcome(source, pap(name, "clientPass")) for name in ("sub-7", "sub-12")]
    assert grants == [Accepted(Grant("sub-7", profile="one")), Accepted(Grant("sub-12", profile="many"))]
    assert outcome(source, pap("Sub-7", "clientPass")) is None
    assert outcome(source, pap("xsub-7", "clientPass")) is None


def test_a_pattern_has_no_other_special_characters() -> None:
    source = LocalUsers([user("a.[b]*")])
    assert outcome(source, pap("a.[b]c", "clientPass")) is not None
    assert outcome(source, pap("axbc", "clientPass")) is None


def test_what_a_user_gets_is_granted() -> None:
    source = LocalUsers(
        [user("a", address="10.0.0.9", routes=["192.168.1.0/24"], max_sessions=2, when_full="replace")]
    )
    accepted = outcome(source, pap("a", "clientPass"))
    assert isinstance(accepted, Accepted)
    assert str(accepted.grant.address) == "10.0.0.9"
    assert accepted.grant.routes == ("192.168.1.0/24",)
    assert (accepted.grant.max_sessions, accepted.grant.replace_oldest) == (2, True)


def test_a_domain_before_the_name_counts_unless_told_otherwise() -> None:
    users = [user("alice"), user("OTHER\\alice", password="other"), user("sub-*")]
    assert outcome(LocalUsers(users), pap("CORP\\alice", "clientPass")) is None
    lenient = LocalUsers(users, strip_domain=True)
    assert outcome(lenient, pap("CORP\\alice", "clientPass")) == Accepted(Grant("alice"))
    assert outcome(lenient, pap("CORP\\sub-1", "clientPass")) == Accepted(Grant("sub-1"))
    assert outcome(lenient, pap("OTHER\\alice", "clientPass")) == Refused("wrong password")
    assert outcome(lenient, pap("OTHER\\alice", "other")) == Accepted(Grant("OTHER\\alice"))
    assert outcome(lenient, pap("CORP\\bob", "clientPass")) is None


def test_mschapv2_hashes_the_name_without_its_domain() -> None:  # RFC 2759 §8.2
    source = LocalUsers([user("User")], strip_domain=True)
    proof = "S=407A5589115FD0D6209F510FE9C04566932CDA56"
    assert outcome(source, replace(MSCHAPV2, username="CORP\\User")) == Accepted(Grant("User"), proof)


class Later:
    """A source that answers when told to."""

    def __init__(self) -> None:
        self.waiting: list[Answer] = []

    def authenticate(self, attempt: Attempt, answer: Answer) -> None:
        self.waiting.append(answer)


def test_the_chain_asks_the_next_source_only_where_the_name_is_unknown() -> None:
    later = Later()
    chain = Chain([LocalUsers([user("alice")]), later])
    assert outcome(chain, pap("alice", "no")) == Refused("wrong password")
    assert later.waiting == []
    heard: list[Outcome | None] = []
    chain.authenticate(pap("bob", "x"), heard.append)
    assert heard == []
    later.waiting[0](None)
    assert heard == [Refused("unknown user")]


def test_no_credential_is_in_a_repr() -> None:
    assert "hunter2" not in repr(pap("alice", "hunter2"))
