"""The API as a client sees it, over real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvloop

from controller.api.server import serve
from controller.surface import Selection
from shared.errors import SystemRefused
from tests.support.service import ALICE, BOB, CAROL, Rows

INFO = {"version": "1.2.3"}
Ask = Callable[..., Awaitable[tuple[int, Any]]]


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def exchange(service: Rows, folder: Path, questions: Callable[[Ask, Ask], Awaitable[None]]) -> None:
    """Serve ``service`` and call ``questions(admin, http)``, which ask over the unix socket and over TCP."""

    async def run() -> None:
        address = free_address()
        server = await serve(service, address, folder / "admin.sock", INFO)
        try:
            unix = aiohttp.UnixConnector(str(folder / "admin.sock"))
            async with aiohttp.ClientSession(connector=unix) as one, aiohttp.ClientSession() as other:
                await questions(asking(one, "http://culvert"), asking(other, f"http://{address}"))
        finally:
            await server.close()

    uvloop.run(run())


def asking(session: aiohttp.ClientSession, base: str) -> Ask:
    async def ask(path: str, method: str = "GET", **options: Any) -> tuple[int, Any]:
        async with session.request(method, base + path, **options) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if answer.content_type == "application/json" else text

    return ask


def test_sessions_are_shown_by_id_with_the_documented_keys(tmp_path: Path) -> None:
    async def questions(admin: Ask, http: Ask) -> None:
        for ask in (admin, http):
            status, found = await ask("/api/v1/sessions")
            assert status == 200
            assert found == [asdict(ALICE), asdict(CAROL), asdict(BOB)]

    exchange(Rows(), tmp_path, questions)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("username=alice", ["alice"]),
        ("ip=10.0.0.11", ["bob"]),
        ("tunnel_id=1", ["alice", "carol"]),
        ("tunnel_id=1&session_id=7", ["carol"]),
        ("username=nobody", []),
    ],
)
def test_sessions_are_filtered(tmp_path: Path, query: str, names: list[str]) -> None:
    async def questions(admin: Ask, http: Ask) -> None:
        _, found = await admin(f"/api/v1/sessions?{query}")
        assert [row["username"] for row in found] == names

    exchange(Rows(), tmp_path, questions)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("user=alice", "user: unknown, there are tunnel_id, session_id, username, ip"),
        ("tunnel_id=one", "tunnel_id: 'one' is no number"),
    ],
)
def test_a_wrong_filter_is_an_error_and_not_everything(tmp_path: Path, query: str, reason: str) -> None:
    async def questions(admin: Ask, http: Ask) -> None:
        assert await http(f"/api/v1/sessions?{query}") == (400, {"error": reason})

    exchange(Rows(), tmp_path, questions)


def test_tunnels_workers_pools_and_totals_are_shown(tmp_path: Path) -> None:
    async def questions(admin: Ask, http: Ask) -> None:
        _, tunnels = await http("/api/v1/tunnels")
        assert [(row["tunnel_id"], row["worker"]) for row in tunnels] == [(1, 1), (2, None)]
        _, workers = await http("/api/v1/workers")
        assert [(row["index"], row["pid"], row["sockets"]) for row in workers] == [
            (0, 4711, ["4242 192.0.2.1:1701"]),
            (1, None, ["4242 192.0.2.1:1701"]),
        ]
        _, pools = await http("/api/v1/pools")
        assert pools[0]["free"] == 65530
        _, stat = await http("/api/v1/stat")
        assert stat["version"] == "1.2.3"
        assert stat["sessions"] == {"active": 2, "starting": 1}
        assert stat["controller"]["sccrq_received"] == 2
        assert stat["workers"]["0"]["no_session"] == 1

    exchange(Rows(), tmp_path, questions)


def test_readiness_says_what_is_missing(tmp_path: Path) -> None:
    service = Rows()

    async def questions(admin: Ask, http: Ask) -> None:
        assert await http("/readyz") == (200, {"ready": True, "missing": []})
        service.absent = ["worker 1 has not said hello"]
        assert await http("/readyz") == (503, {"ready": False, "missing": ["worker 1 has not said hello"]})
        assert (await http("/healthz"))[0] == 200

    exchange(service, tmp_path, questions)


def test_only_the_admin_socket_terminates(tmp_path: Path) -> None:
    service = Rows()

    async def questions(admin: Ask, http: Ask) -> None:
        body = {"username": "alice", "reason": "maintenance"}
        assert (await http("/api/v1/terminate", "POST", json=body))[0] == 404
        assert service.terminated == []
        assert await admin("/api/v1/terminate", "POST", json=body) == (200, {"terminated": 1})
        assert service.terminated == [(Selection(username="alice"), "maintenance")]
        assert (await http("/api/v1/sessions", "POST", json=body))[0] == 405

    exchange(service, tmp_path, questions)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("{}", "nothing is selected: give tunnel_id, session_id, username, ip, or all = true"),
        ('{"all": false}', "nothing is selected: give tunnel_id, session_id, username, ip, or all = true"),
        ('{"all": 1}', "all: must be true or false"),
        ('{"tunnel_id": "1"}', "tunnel_id: must be a number"),
        ('{"tunnel_id": true}', "tunnel_id: must be a number"),
        ('{"user": "alice"}', "user: unknown, there are tunnel_id, session_id, username, ip, all, reason"),
        ("[]", "the body must be a JSON object"),
        ('{"all": true, "reason": 3}', "reason: must be text of at most 200 characters"),
    ],
)
def test_a_request_that_is_not_understood_terminates_nothing(tmp_path: Path, body: str, reason: str) -> None:
    service = Rows()

    async def questions(admin: Ask, http: Ask) -> None:
        assert await admin("/api/v1/terminate", "POST", data=body) == (400, {"error": reason})

    exchange(service, tmp_path, questions)
    assert service.terminated == []


def test_octets_that_are_no_json_terminate_nothing(tmp_path: Path) -> None:
    service = Rows()

    async def questions(admin: Ask, http: Ask) -> None:
        for body in (b"", b"\xff\xfe", b"{", b"[" * 4000, b" " * 100_000):
            status, answer = await admin("/api/v1/terminate", "POST", data=body)
            assert status in {400, 413}
            assert "error" in answer

    exchange(service, tmp_path, questions)
    assert service.terminated == []


def test_the_admin_socket_is_its_owners_and_replaces_that_of_a_dead_process(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()

    async def questions(admin: Ask, http: Ask) -> None:
        assert path.stat().st_mode & 0o777 == 0o600
        assert (await admin("/healthz"))[0] == 200

    exchange(Rows(), tmp_path, questions)
    assert not path.exists()


def test_an_http_address_in_use_is_refused_with_a_remedy(tmp_path: Path) -> None:
    async def run(address: str) -> None:
        await serve(Rows(), address, tmp_path / "admin.sock", INFO)

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(SystemRefused, match=r"in use; choose another address under \[http\]"):
            uvloop.run(run(f"127.0.0.1:{other.getsockname()[1]}"))
    assert not (tmp_path / "admin.sock").exists()


def test_without_an_http_address_only_the_admin_socket_listens(tmp_path: Path) -> None:
    async def run() -> None:
        server = await serve(Rows(), None, tmp_path / "admin.sock", INFO)
        await server.close()

    uvloop.run(run())


def test_idle_connections_keep_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.api.server._CONNECTIONS", 10)

    async def run() -> None:
        address = free_address()
        server = await serve(Rows(), address, tmp_path / "admin.sock", INFO)
        host, _, port = address.partition(":")
        idle = []
        for _ in range(30):
            idle.append(await asyncio.open_connection(host, int(port)))
            idle[-1][1].write(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
        async with aiohttp.ClientSession() as session:
            assert (await asking(session, f"http://{address}")("/healthz"))[0] == 200
        async with asyncio.timeout(5):
            assert [await reader.read(1) for reader, _ in idle[:20]] == [b""] * 20  # the oldest have gone
        assert not any(reader.at_eof() for reader, _ in idle[21:])
        for _, writer in idle:
            writer.close()
        await server.close()

    uvloop.run(run())


def test_malformed_requests_do_not_fill_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        address = free_address()
        server = await serve(Rows(), address, tmp_path / "admin.sock", INFO)
        host, _, port = address.partition(":")
        for _ in range(50):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET / HTTP/1.1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n")
            assert b" 400 " in await reader.read(20)
            writer.close()
        await server.close()

    uvloop.run(run())
    assert 1 <= len(caplog.records) <= 11
