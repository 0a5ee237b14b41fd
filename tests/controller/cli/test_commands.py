"""The commands as an operator types them: what they print, where, and their exit status.

Those that ask a running concentrator ask a real admin socket, behind which stand the rows of `Rows`.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from controller.api.server import serve
from controller.cli.main import call
from controller.cli.options import admin_socket
from controller.surface import Selection
from shared.config.sections import Paths
from tests.support.service import ALICE, Rows

Culvert = Callable[..., tuple[int, str, str]]


class Concentrator(threading.Thread):
    """An admin socket that a thread serves."""

    def __init__(self, service: Rows, path: Path) -> None:
        super().__init__()
        self._service, self._path = service, path
        self.ready = threading.Event()

    def run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        server = await serve(self._service, None, self._path, {"version": "1.2.3"})
        self.ready.set()
        await self._end.wait()
        await server.close()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self.join()


@pytest.fixture
def rows() -> Rows:
    return Rows()


@pytest.fixture
def socket(rows: Rows, tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "admin.sock"
    concentrator = Concentrator(rows, path)
    concentrator.start()
    assert concentrator.ready.wait(20)
    yield path
    concentrator.stop()


@pytest.fixture
def culvert(capsys: pytest.CaptureFixture[str]) -> Culvert:
    """``culvert("show", ...)`` gives exit status, standard output and standard error."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        status = call([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


def test_sessions_are_a_table_with_accel_ppps_columns(culvert: Culvert, socket: Path) -> None:
    status, out, err = culvert("show", "sessions", "--socket", socket)
    assert (status, err) == (0, "")
    head, _, alice, carol, bob = out.splitlines()
    assert head.split()[:7] == ["ifname", "username", "calling-sid", "ip", "type", "state", "uptime"]
    assert alice.split()[:7] == ["culvert1", "alice", "192.0.2.2", "10.0.0.10", "l2tp", "active", "01:02:03"]
    assert "1.9 MiB" in alice
    assert ("carol" in carol, "bob" in bob) == (True, True)


def test_sessions_are_json_with_the_documented_keys(culvert: Culvert, socket: Path) -> None:
    status, out, _ = culvert("show", "sessions", "--json", "--user", "alice", "--socket", socket)
    [row] = json.loads(out)
    assert status == 0
    assert row["username"] == "alice"
    documented = {"session_id", "tunnel_id", "worker", "username", "ip", "state", "service", "uptime_s"}
    documented |= {"rx_bytes", "tx_bytes", "rx_packets", "tx_packets", "peer"}
    assert documented <= row.keys()


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        (["--ip", "10.0.0.11"], ["bob"]),
        (["--tunnel", "1"], ["alice", "carol"]),
        (["--tunnel", "1", "--user", "bob"], []),
    ],
)
def test_sessions_are_filtered(culvert: Culvert, socket: Path, filters: list[str], names: list[str]) -> None:
    _, out, _ = culvert("show", "sessions", "--json", *filters, "--socket", socket)
    assert [row["username"] for row in json.loads(out)] == names


def test_columns_can_be_chosen(culvert: Culvert, socket: Path) -> None:
    _, out, _ = culvert("show", "sessions", "--columns", "username,rx-bytes-raw", "--socket", socket)
    assert [line.split() for line in out.splitlines()[2:]] == [
        ["alice", "1000"],
        ["carol", "1000"],
        ["bob", "1000"],
    ]
    status, _, err = culvert("show", "sessions", "--columns", "nonsense", "--socket", socket)
    assert status == 2
    assert "no column 'nonsense'" in err


def test_tunnels_workers_pools_and_totals_are_shown(culvert: Culvert, socket: Path) -> None:
    _, out, _ = culvert("show", "tunnels", "--socket", socket)
    assert out.splitlines()[3].split()[-3:] == ["1", "all", "01:02:10"]
    _, out, _ = culvert("show", "workers", "--socket", socket)
    assert "4242 192.0.2.1:1701" in out
    assert "away" in out
    _, out, _ = culvert("show", "pools", "--socket", socket)
    assert "subscribers" in out
    _, out, _ = culvert("show", "stat", "--socket", socket)
    assert "  sccrq_received: 2\n" in out
    assert "worker 0:\n" in out
    for what in ("tunnels", "workers", "pools", "stat"):
        status, out, _ = culvert("show", what, "--json", "--socket", socket)
        assert (status, bool(json.loads(out))) == (0, True)


def test_a_peers_name_can_not_steer_the_terminal(culvert: Culvert, socket: Path, rows: Rows) -> None:
    rows.session_rows = [replace(ALICE, username="a\x1b[2J\nb")]
    _, out, _ = culvert("show", "sessions", "--socket", socket)
    assert "\\x1b[2J\\nb" in out
    assert len(out.splitlines()) == 3


@pytest.mark.parametrize("verb", ["terminate", "disconnect"])
def test_terminate_says_how_many(culvert: Culvert, socket: Path, rows: Rows, verb: str) -> None:
    assert culvert(verb, "--tunnel", "1", "--socket", socket) == (0, "2 sessions terminated\n", "")
    assert rows.terminated == [(Selection(tunnel_id=1), "administrative request")]


@pytest.mark.parametrize(
    ("options", "selection", "count"),
    [
        (["--user", "alice"], Selection(username="alice"), 1),
        (["--ip", "10.0.0.12"], Selection(ip="10.0.0.12"), 1),
        (["--session", "2"], Selection(session_id=2), 1),
        (["--session", "1/7"], Selection(tunnel_id=1, session_id=7), 1),
        (["--session", "7", "--tunnel", "1"], Selection(tunnel_id=1, session_id=7), 1),
        (["--all"], Selection(all=True), 3),
    ],
)
def test_terminate_selects(
    culvert: Culvert, socket: Path, rows: Rows, options: list[str], selection: Selection, count: int
) -> None:
    status, out, _ = culvert("terminate", *options, "--json", "--socket", socket)
    assert (status, json.loads(out)) == (0, {"terminated": count})
    assert [said for said, _ in rows.terminated] == [selection]


def test_terminate_fails_when_no_session_matches(culvert: Culvert, socket: Path) -> None:
    status, out, err = culvert("terminate", "--user", "nobody", "--socket", socket)
    assert (status, out) == (1, "")
    assert err == "culvert: no session matches: see culvert show sessions\n"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ([], "give one or more of --session, --user, --ip and --tunnel, or --all alone"),
        (["--all", "--user", "alice"], "give one or more of"),
        (["--session", "seven"], "'seven' is neither ID nor TUNNEL/ID"),
        (["--session", "1/7", "--tunnel", "2"], "--session 1/7 is not in --tunnel 2"),
    ],
)
def test_terminate_needs_to_be_told_what(
    culvert: Culvert, socket: Path, rows: Rows, options: list[str], reason: str
) -> None:
    status, _, err = culvert("terminate", *options, "--socket", socket)
    assert status == 2
    assert reason in err
    assert len(err.splitlines()) == 1
    assert rows.terminated == []


def test_a_session_id_that_many_tunnels_have_is_ambiguous(culvert: Culvert, socket: Path, rows: Rows) -> None:
    rows.session_rows.append(replace(ALICE, tunnel_id=9))
    status, _, err = culvert("terminate", "--session", "2", "--socket", socket)
    assert status == 2
    assert "session 2 is in 2 tunnels, choose one: 1/2, 9/2" in err
    assert rows.terminated == []


def test_nobody_at_the_socket_is_one_line_with_a_remedy(culvert: Culvert, tmp_path: Path) -> None:
    status, out, err = culvert("show", "sessions", "--socket", tmp_path / "admin.sock")
    assert (status, out) == (1, "")
    assert err.startswith(f"culvert: no culvert answers at {tmp_path}/admin.sock: start it")
    assert len(err.splitlines()) == 1


def test_the_socket_is_found_by_the_configuration(culvert: Culvert, socket: Path, tmp_path: Path) -> None:
    file = tmp_path / "culvert.toml"
    file.write_text(f'[paths]\nruntime = "{tmp_path}"\n[[user]]\nname = "broken"\n')
    assert culvert("show", "pools", "-c", file)[0] == 0


@pytest.mark.parametrize("content", ["", "[paths]\n", "paths = 3", "[paths]\nruntime = 3", "nonsense"])
def test_a_configuration_without_a_runtime_folder_means_the_default_one(content: str, tmp_path: Path) -> None:
    (tmp_path / "culvert.toml").write_text(content)
    assert admin_socket(None, tmp_path / "culvert.toml") == Paths().runtime / "admin.sock"
    assert admin_socket(None, tmp_path / "absent.toml") == Paths().runtime / "admin.sock"


GOOD = """
[[listen]]
address = "127.0.0.1"
[[pool]]
name = "p"
prefix = "10.0.0.0/24"
gateway = "10.0.0.1"
[profile.default]
pool = "p"
[[user]]
name = "alice"
password = "secret"
"""


def test_a_good_configuration_is_summed_up(culvert: Culvert, tmp_path: Path) -> None:
    file = tmp_path / "culvert.toml"
    file.write_text(GOOD)
    file.chmod(0o600)
    status, out, err = culvert("check", "-c", file)
    assert (status, err) == (0, "")
    assert "good. Listens on 127.0.0.1 port 1701" in out
    assert "secret" not in out


@pytest.mark.parametrize("command", ["check", "run"])
def test_every_mistake_of_a_configuration_is_shown_with_status_2(
    culvert: Culvert, tmp_path: Path, command: str
) -> None:
    file = tmp_path / "culvert.toml"
    file.write_text(GOOD.replace("10.0.0.1", "10.9.0.1").replace("password", "pasword"))
    status, out, err = culvert(command, "-c", file)
    assert (status, out) == (2, "")
    lines = err.splitlines()
    assert len(lines) >= 2
    assert all(line.startswith(f"{file}: ") for line in lines)


@pytest.mark.parametrize(
    ("options", "mtu"),
    [
        ([], 1462),
        (["--length"], 1460),
        (["--length", "--sequence"], 1456),
        (["--bcp"], 1446),
        (["--bcp", "--vlan"], 1442),
        (["--gtp", "lte"], 1426),
        (["--ipv6"], 1442),
        (["--acfc", "--pfc"], 1465),
        (["--ipsec", "aes-cbc-sha256", "--nat-t"], 1404),
        (["--link-mtu", "1280", "--offset", "0"], 1240),
    ],
)
def test_mtu_derives_what_fits(culvert: Culvert, options: list[str], mtu: int) -> None:
    status, out, _ = culvert("mtu", *options, "--json")
    document = json.loads(out)
    assert status == 0
    assert (document["mtu_octets"], document["mss_ipv4_octets"]) == (mtu, mtu - 40)
    _, out, _ = culvert("mtu", *options)
    assert f": {mtu}; TCP MSS: {mtu - 40} over IPv4, {mtu - 60} over IPv6" in out


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--nat-t"], "--nat-t means nothing without --ipsec"),
        (["--vlan"], "--vlan means nothing without --bcp"),
        (["--ipsec", "rot13"], "'rot13' is none of aes-cbc-sha1"),
        (["--gtp", "6g"], "'6g' is none of lte, 5g"),
        (["--link-mtu", "100"], "leaves no room"),
        (["--link-mtu", "many"], "Invalid value for '--link-mtu'"),
    ],
)
def test_mtu_refuses_what_makes_no_sense(culvert: Culvert, options: list[str], reason: str) -> None:
    status, out, err = culvert("mtu", *options)
    assert (status, out) == (2, "")
    assert reason in err
    assert err.endswith("; see culvert mtu --help\n")


@pytest.mark.parametrize(
    "arguments",
    [[], ["show"], ["nonsense"], ["show", "sessions", "--nonsense"], ["show", "sessions", "--tunnel", "x"]],
)
def test_bad_usage_is_one_line_and_status_2(culvert: Culvert, arguments: list[str]) -> None:
    status, out, err = culvert(*arguments)
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert "--help" in err


@pytest.mark.parametrize(
    "command",
    [
        "",
        "run",
        "check",
        "show",
        "show sessions",
        "show stat",
        "terminate",
        "disconnect",
        "mtu",
        "dial",
        "load",
    ],
)
def test_every_command_has_help(culvert: Culvert, command: str) -> None:
    status, out, _ = culvert(*command.split(), "--help")
    assert status == 0
    assert out.startswith("Usage: culvert")


def test_the_version_is_shown(culvert: Culvert) -> None:
    status, out, _ = culvert("--version")
    assert status == 0
    assert out.startswith("culvert ")
