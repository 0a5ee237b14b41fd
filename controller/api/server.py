"""The admin socket and the HTTP listener: the same answers, but only the socket changes anything."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from controller import metrics
from controller.api import documents
from controller.api.listeners import bind_tcp, bind_unix
from controller.quiet import Seldom
from controller.surface import Service

_BODY_OCTETS: Final = 4096
_BACKLOG: Final = 128
_CONNECTIONS: Final = 256  # of one listener
_GRACE_S: Final = 1.0  # for requests under way when we end
_dumps = json.JSONEncoder(separators=(",", ":")).encode

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """The listeners of one process; `close` ends them."""

    def __init__(self, admin_socket: Path) -> None:
        self._admin_socket = admin_socket
        self._runners: list[web.AppRunner] = []
        self._listeners: list[asyncio.Server] = []

    async def listen(self, application: web.Application, listener: socket.socket) -> None:
        """Serve ``application`` on a socket that is bound already, and which is closed with this."""
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=_GRACE_S, logger=_seldom())
        self._runners.append(runner)
        await runner.setup()
        assert runner.server is not None
        accept = partial(_accept, runner.server)
        loop = asyncio.get_running_loop()
        self._listeners.append(await loop.create_server(accept, sock=listener, backlog=_BACKLOG))

    async def close(self) -> None:
        """Stop listening, let requests under way finish, remove the admin socket."""
        for listener in self._listeners:
            listener.close()
        await asyncio.gather(*(runner.cleanup() for runner in self._runners))
        self._admin_socket.unlink(missing_ok=True)


def _accept(server: web.Server) -> web.RequestHandler:
    """Return the protocol of a new connection, at the cost of the oldest where there are `_CONNECTIONS`.

    Idle ones would hold the descriptors that a worker's successor needs, and keep health checks out.
    """
    connections = server.connections
    if len(connections) >= _CONNECTIONS:
        oldest = next((each for each in connections if each.transport is not None), None)
        if oldest is not None:
            oldest.force_close()
    return server()


def _seldom() -> logging.Logger:
    """Return a logger for what is wrong with requests: anybody can cause a traceback for each of his."""
    quiet = logging.getLogger(f"{__name__}.requests")
    quiet.filters = [Seldom(time.monotonic)]
    return quiet


async def serve(
    service: Service, http_address: str | None, admin_socket: Path, info: Mapping[str, str]
) -> Server:
    """Listen on ``admin_socket`` and, read-only, on ``http_address`` ("127.0.0.1:9170") where given.

    ``info`` is shown as it is: the version. Raises `SystemRefused` where an address can't be had.
    """
    server = Server(admin_socket)
    try:
        await server.listen(application(service, info, writable=True), bind_unix(admin_socket))
        if http_address is not None:
            await server.listen(application(service, info, writable=False), bind_tcp(http_address))
    except BaseException:
        await server.close()
        raise
    return server


def application(service: Service, info: Mapping[str, str], *, writable: bool) -> web.Application:
    """Return the routes over ``service``; with those that change something where ``writable``."""
    views = _Views(service, info)
    made = web.Application(middlewares=[_answer_errors], client_max_size=_BODY_OCTETS)
    made.router.add_get("/metrics", views.metrics)
    made.router.add_get("/healthz", views.healthz)
    made.router.add_get("/readyz", views.readyz)
    for name in ("sessions", "tunnels", "workers", "pools", "stat"):
        made.router.add_get(f"/api/v1/{name}", getattr(views, name))
    if writable:
        made.router.add_post("/api/v1/terminate", views.terminate)
    return made


class _Views:
    """One method for each resource. `Service` never waits, so neither do they."""

    def __init__(self, service: Service, info: Mapping[str, str]) -> None:
        self._service = service
        self._info = info
        self._registry = metrics.registry(service, info)
        self._started = asyncio.get_running_loop().time()

    async def metrics(self, request: web.Request) -> web.Response:
        text, content_type = metrics.exposition(self._registry, request.headers.get("Accept", ""))
        return web.Response(body=text, headers={"Content-Type": content_type})

    async def healthz(self, _: web.Request) -> web.Response:
        """Being able to answer is all that is asked for: the event loop runs."""
        return _json({"alive": True})

    async def readyz(self, _: web.Request) -> web.Response:
        missing = self._service.missing()
        return _json({"ready": not missing, "missing": missing}, status=503 if missing else 200)

    async def sessions(self, request: web.Request) -> web.Response:
        return _json(documents.sessions(self._service, request.query))

    async def tunnels(self, request: web.Request) -> web.Response:
        return _json(documents.tunnels(self._service, request.query))

    async def workers(self, _: web.Request) -> web.Response:
        return _json(documents.rows(self._service.workers()))

    async def pools(self, _: web.Request) -> web.Response:
        return _json(documents.rows(self._service.pools()))

    async def stat(self, _: web.Request) -> web.Response:
        uptime_s = int(asyncio.get_running_loop().time() - self._started)
        return _json(documents.statistics(self._service, self._info, uptime_s))

    async def terminate(self, request: web.Request) -> web.Response:
        try:
            body = await request.json()
        except (ValueError, RecursionError) as error:
            raise documents.BadRequest(f"the body is no JSON: {error}") from error
        selection, reason = documents.read_termination(body)
        return _json({"terminated": self._service.terminate(selection, reason)})


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer what is wrong with a request in JSON too; a bug stays a bug, logged by aiohttp."""
    try:
        return await handler(request)
    except documents.BadRequest as error:
        return _json({"error": str(error)}, status=400)
    except web.HTTPException as error:
        headers = {key: value for key, value in error.headers.items() if key == "Allow"}
        return _json({"error": error.reason}, status=error.status, headers=headers)


def _json(document: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response(document, status=status, headers=headers, dumps=_dumps)
