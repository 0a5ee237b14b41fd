"""The configuration as an operator writes it, and as the controller gets it."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, ip_network
from pathlib import Path

import pytest

from shared.config.model import Config, load
from shared.config.sections import L2TP, Listen, default_listens
from shared.errors import ConfigError
from shared.ppp.policy import LinkPolicy

REPOSITORY = Path(__file__).parents[3]

GOOD = """
[[listen]]
address = "192.0.2.1"

[workers]
count = 2

[[pool]]
name = "subscribers"
prefix = "10.0.0.0/16"
gateway = "10.0.0.1"

[profile.default]
service = "routed"
authentication = ["mschapv2", "chap", "pap"]
pool = "subscribers"
dns = ["192.168.22.1"]

[[user]]
name = "alice"
password = "secret"
address = "10.0.0.10"
profile = "default"

[[peer]]
prefix = "198.51.100.0/24"
secret = "tunnel-secret"
spread = true
hello_interval_s = 20

[nat]
masquerade = true
"""


@pytest.fixture
def write(tmp_path: Path):  # type: ignore[no-untyped-def]
    def _write(text: str, name: str = "culvert.toml", mode: int = 0o600) -> Path:
        path = tmp_path / name
        path.write_text(text)
        path.chmod(mode)
        return path

    return _write


def problems(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path)
    return [line.removeprefix(f"{path}: ") for line in caught.value.problems]


def test_the_designs_example_is_read(write) -> None:  # type: ignore[no-untyped-def]
    config = load(write(GOOD))
    assert config.listen == (Listen(address="192.0.2.1", port=1701),)
    assert config.workers.count == 2
    assert config.pool[0].prefix == ip_network("10.0.0.0/16")
    assert config.profile["default"].dns == (IPv4Address("192.168.22.1"),)
    assert config.user[0].password is not None
    assert config.user[0].password.get_secret_value() == "secret"
    assert config.peer[0].spread
    assert config.peer[0].hello_interval_s == 20
    assert config.nat.masquerade
    assert config.warnings == ()


def test_an_empty_file_listens_on_port_1701_of_every_address(write) -> None:  # type: ignore[no-untyped-def]
    config = load(write(""))
    assert config.listen == default_listens()
    assert ("0.0.0.0", 1701) in [(listen.address, listen.port) for listen in config.listen]
    assert all(listen.wildcard for listen in config.listen)
    assert config.workers.count >= 1
    assert config.http.address == "127.0.0.1:9170"
    assert str(config.paths.runtime) == "/run/culvert"
    assert config.profile["default"].mru_octets == LinkPolicy().mru_octets


def test_no_secret_is_shown(write) -> None:  # type: ignore[no-untyped-def]
    shown = repr(load(write(GOOD)))
    assert "alice" in shown
    assert "tunnel-secret" not in shown
    assert "'secret'" not in shown


def test_overrides_replace_single_keys_and_none_leaves_the_files(write) -> None:  # type: ignore[no-untyped-def]
    overrides = {"paths.runtime": Path("/tmp/x"), "http.address": "", "workers.count": None}
    config = load(write(GOOD), overrides=overrides)
    assert config.paths.runtime == Path("/tmp/x")
    assert config.http.address is None
    assert config.workers.count == 2


def test_a_bad_override_is_reported_as_its_key(write) -> None:  # type: ignore[no-untyped-def]
    path = write(GOOD)
    with pytest.raises(ConfigError, match=r"workers\.count: must be greater than or equal to 1, not 0"):
        load(path, overrides={"workers.count": 0})


def test_all_mistakes_are_reported_at_once(write) -> None:  # type: ignore[no-untyped-def]
    text = """
pol = 1
[[listen]]
address = "somewhere"
prot = 1701
[workers]
count = "2"
[[pool]]
name = "a"
prefix = "10.0.0.1/16"
gateway = "10.0.0.1"
[profile.default]
pool = "b"
service = "bridged"
[[user]]
name = "alice"
pasword = "secret"
[[user]]
name = "bob"
password = "x"
profile = "defualt"
"""
    assert sorted(problems(write(text))) == sorted(
        [
            "pol: unknown key, did you mean 'pool'?",
            "listen[0].address: 'somewhere' is not an IPv4 or IPv6 address",
            "listen[0].prot: unknown key, did you mean 'port'?",
            "workers.count: must be a whole number",
            "pool[0].prefix: 10.0.0.1/16 has host bits set",
            "profile.default.service: 'bridged' is not served by this version, only \"routed\" is",
            "user[0].pasword: unknown key, did you mean 'password'?",
            "user[1].profile: there is no profile 'defualt', did you mean 'default'?",
        ]
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[[listen]]\naddress="::1"\n' * 2, "listen[1]: ::1:1701 is listened on already by listen[0]"),
        ("[listen]", "listen: must be an array of tables, written [[listen]]"),
        ("[[profile]]", "profile: must be tables, written [profile.NAME]"),
        ("profile.x = 1", "profile.x: must be a table"),
        ("[http]\naddress = '9170'",
         "http.address: '9170' is not of the form \"127.0.0.1:9170\" or \"[::1]:9170\""),
        ("[paths]\nruntime = 'run'", "paths.runtime: 'run' must be an absolute path"),
        ("[log]\nlevel = 'loud'", "log.level: 'loud' is none of DEBUG, INFO, WARNING, ERROR"),
        ("[l2tp]\nhello_interval_s = nan", "l2tp.hello_interval_s: must be a finite number, not nan"),
        ("[profile.p]\nauthentication = ['eap']",
         "profile.p.authentication[0]: must be 'mschapv2', 'chap' or 'pap', not 'eap'"),
        ("[profile.p]\nauthentication = ['pap', 'pap']", "profile.p.authentication: offers a protocol twice"),
        ("[[peer]]\nprefix = 7", "peer[0].prefix: must be text in quotes"),
        ("[[peer]]\nprefix = '2001:db8::1/32'", "peer[0].prefix: 2001:db8::1/32 has host bits set"),
        ("[[user]]\nname = 'a'", "user[0]: needs exactly one of password, password_file and nt_hash"),
        ("[[user]]\nname = 'a'\nnt_hash = 'zz'", "user[0].nt_hash: must be 32 hexadecimal digits"),
        ("[[user]]\nname = 'a'\npassword_file = 'none'",
         re.compile(r"user\[0\]\.password_file: /.*/none: can't be read: No such file or directory")),
        ("[[user]]\nname = 's-*'\npassword = 'x'\naddress = '10.0.0.2'",
         "user[0]: the pattern 's-*' stands for many users: no address or routes of one"),
        ("[[user]]\nname = 's'\npassword = 'x'\nroutes = ['0.0.0.0/0']",
         "user[0].routes[0]: a default route to a subscriber would take all traffic"),
        ("[[user]]\nname = 's'\npassword = 'x'\naddress = '10.0.0.2'",
         "user[0].address: 10.0.0.2 is in no pool, and its profile has no pool or gateway to be our end"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_by_key_and_reason(write, text: str, expected: str | re.Pattern[str]) -> None:  # type: ignore[no-untyped-def]
    [line] = problems(write(text))
    assert re.fullmatch(expected, line) if isinstance(expected, re.Pattern) else line == expected


POOL = '[[pool]]\nname = "a"\nprefix = "10.0.0.0/24"\ngateway = "{}"\n'
USER = '[[user]]\nname = "{}"\npassword = "x"\naddress = "{}"\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (POOL.format("10.1.0.1"), "pool[0].gateway: 10.1.0.1 is not inside 10.0.0.0/24"),
        (POOL.format("10.0.0.255"),
         "pool[0].gateway: 10.0.0.255 is the network or broadcast address of 10.0.0.0/24"),
        (POOL.format("10.0.0.1") + "block_addresses = 3", "pool[0].block_addresses: 3 is not a power of two"),
        (POOL.format("10.0.0.1") + "block_addresses = 512",
         "pool[0].block_addresses: 10.0.0.0/24 has only 256 addresses"),
        (POOL.format("10.0.0.1") + POOL.format("10.0.0.1").replace('"a"', '"b"'),
         "pool[1].prefix: 10.0.0.0/24 overlaps 10.0.0.0/24 of pool[0]"),
        (POOL.format("10.0.0.1") + USER.format("u", "10.0.0.1"),
         "user[0].address: 10.0.0.1 is the gateway of pool 'a'"),
        (POOL.format("10.0.0.1") + USER.format("u", "10.0.0.255"),
         "user[0].address: 10.0.0.255 is the network or broadcast address of pool 'a'"),
        (POOL.format("10.0.0.1") + USER.format("u", "10.0.0.2") + USER.format("u", "10.0.0.3"),
         "user[1].name: u is the name already of user[0]"),
        (POOL.format("10.0.0.1") + USER.format("u", "10.0.0.2") + USER.format("v", "10.0.0.2"),
         "user[1].address: 10.0.0.2 belongs already to user[0]"),
    ],
)  # fmt: skip
def test_addresses_and_names_must_not_collide(write, text: str, expected: str) -> None:  # type: ignore[no-untyped-def]
    assert problems(write(text)) == [expected]


def test_toml_that_is_none_is_reported_with_its_line(write) -> None:  # type: ignore[no-untyped-def]
    [line] = problems(write('[nat]\nmasquerade = "yes\n'))
    assert line.startswith("not TOML: ")
    assert "line 2" in line


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    assert problems(tmp_path / "none.toml") == ["can't be read: No such file or directory"]


def test_users_file_is_read_beside_the_configuration_and_named_in_its_mistakes(write) -> None:  # type: ignore[no-untyped-def]
    users = write('[[user]]\nname = "bob"\npassword = "b"\nprofile = "x"\n[nat]\n', "users.toml")
    path = write(f'users_file = "users.toml"\n{GOOD}')
    assert problems(path) == [
        f"{users}: nat: unknown key",
        f"{users}: user[0].profile: there is no profile 'x'",
    ]
    users.write_text('[[user]]\nname = "bob"\npassword = "b"\n')
    assert [user.name for user in load(path).user] == ["alice", "bob"]


def test_a_user_in_both_files_is_a_duplicate(write) -> None:  # type: ignore[no-untyped-def]
    users = write('[[user]]\nname = "alice"\npassword = "b"\n', "users.toml")
    path = write(f'users_file = "users.toml"\n{GOOD}')
    assert problems(path) == [f"{users}: user[0].name: alice is the name already of user[0] in {path}"]


def test_secrets_are_read_from_files_without_their_newline(write) -> None:  # type: ignore[no-untyped-def]
    write("s3cret\n", "alice.secret")
    write("tunnel\r\n", "lac.secret")
    text = """
[[user]]
name = "alice"
password_file = "alice.secret"
[[peer]]
prefix = "2001:db8::/32"
secret_file = "lac.secret"
"""
    config = load(write(text))
    assert config.user[0].password is not None
    assert config.user[0].password.get_secret_value() == "s3cret"
    assert config.peer[0].secret is not None
    assert config.peer[0].secret.get_secret_value() == "tunnel"


def test_a_secret_and_its_file_can_not_both_hold(write) -> None:  # type: ignore[no-untyped-def]
    write("x", "s")
    text = '[[peer]]\nprefix = "::/0"\nsecret = "x"\nsecret_file = "s"\n'
    assert problems(write(text)) == ["peer[0].secret_file: stands beside secret: only one can hold"]


def test_files_with_secrets_that_everybody_can_read_are_warned_of(write) -> None:  # type: ignore[no-untyped-def]
    path = write(GOOD, mode=0o644)
    [warning] = load(path).warnings
    assert warning.startswith(f"{path}: holds secrets and its mode 0644 lets everybody in")


def test_the_commented_example_is_valid_and_shows_the_defaults(write) -> None:  # type: ignore[no-untyped-def]
    text = (REPOSITORY / "deploy/culvert.toml").read_text()
    load(write(text))
    shown = re.search(r"^\[l2tp\]\n(.*?)^\[nat\]", text, re.DOTALL | re.MULTILINE)
    assert shown is not None
    section = "[l2tp]\n" + re.sub(r"^# ", "", shown[1], flags=re.MULTILINE)
    assert load(write(section)).l2tp == L2TP()


def test_a_configuration_can_be_made_without_a_file() -> None:
    config = Config.model_validate({"listen": [{"address": "127.0.0.1"}], "workers": {"count": 1}})
    assert config.profile["default"].service == "routed"
