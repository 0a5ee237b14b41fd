import json
from pathlib import Path

import pytest

from client.dial_options import DialOptions
from client.load_options import LoadOptions, TrafficOptions
from client.passwords import read_secret
from controller.cli.main import call
from shared.errors import ConfigError

PASSWORD = "correct horse"


def problems(error: pytest.ExceptionInfo[ConfigError]) -> str:
    return "\n".join(error.value.problems)


def test_a_password_file_gives_its_content_without_the_last_line_end(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(b" two words \r\n")
    assert read_secret("password", None, file, "UNSET") == " two words "


def test_the_environment_counts_only_where_nothing_else_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_PASSWORD", "from there")
    assert read_secret("password", None, None, "SOME_PASSWORD") == "from there"
    assert read_secret("password", "given", None, "SOME_PASSWORD") == "given"


def test_two_sources_or_an_unreadable_file_are_mistakes_of_the_user(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="give one of them"):
        read_secret("password", "x", tmp_path / "y", "UNSET")
    with pytest.raises(ConfigError, match="No such file"):
        read_secret("password", None, tmp_path / "y", "UNSET")


def test_secrets_are_in_no_repr() -> None:
    shown = repr(DialOptions("lns", "alice", password=PASSWORD, secret=PASSWORD.encode()))
    shown += repr(LoadOptions("lns", password=PASSWORD, secret=PASSWORD.encode()))
    assert PASSWORD not in shown


def test_all_mistakes_in_the_options_of_load_are_told_at_once() -> None:
    options = LoadOptions("lns", tunnels=0, rate_per_s=0, traffic=TrafficOptions("nowhere", size_octets=10))
    with pytest.raises(ConfigError) as error:
        options.check()
    for name in ("--tunnels", "--rate", "--traffic", "--size"):
        assert name in problems(error)


def test_all_mistakes_in_the_options_of_dial_are_told_at_once() -> None:
    options = DialOptions("lns", "", routes=("192.168.22.1/24", "2001:db8::/32"), mtu_octets=9000)
    with pytest.raises(ConfigError) as error:
        options.check()
    for name in ("--user", "host bits", "needs --ipv6", "--mtu"):
        assert name in problems(error)


def test_a_default_route_is_two_halves_that_leave_the_present_one_in_place() -> None:
    options = DialOptions("lns", "alice", routes=("192.168.22.0/24",), default_route=True)
    assert options.all_routes() == ("192.168.22.0/24", "0.0.0.0/1", "128.0.0.0/1")


@pytest.mark.parametrize(
    "arguments",
    [
        ["load", "127.0.0.1", "--auth", "magic"],
        ["load", "127.0.0.1", "--tunnels", "0"],
        ["dial", "127.0.0.1"],
        ["dial", "127.0.0.1", "--user", "alice", "--route", "nowhere"],
    ],
)
def test_options_that_make_no_sense_are_status_2(arguments: list[str]) -> None:
    assert call(arguments) == 2


def test_load_without_an_lns_writes_its_summary_and_is_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "summary.json"
    port = "9"  # discard: nobody listens there
    given = ["--timeout", "0.5", "--port", port, "--password", PASSWORD, "--json", str(file)]
    assert call(["load", "127.0.0.1", *given]) == 1
    summary = json.loads(file.read_text())
    assert (summary["ok"], summary["asked"], summary["up"]) == (False, 1, 0)
    assert summary["network_error"] == "ICMP port unreachable: nothing listens there"
    printed = capsys.readouterr()
    assert "PROBLEM: 1 session failed" in printed.out
    assert "p50" not in printed.out  # nothing was measured
    assert PASSWORD not in printed.out + printed.err + file.read_text()


def test_a_summary_that_cannot_be_written_is_told_before_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["load", "127.0.0.1", "--password", PASSWORD, "--json", str(tmp_path / "no" / "file")]) == 2
    printed = capsys.readouterr()
    assert "No such file" in printed.err
    assert not printed.out
