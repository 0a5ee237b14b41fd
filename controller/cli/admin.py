"""Asking a running concentrator through its admin socket: HTTP over a unix socket."""

from __future__ import annotations

import errno
import http.client
import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from shared.errors import SystemRefused

_DEADLINE_S: Final = 10.0


class _UnixConnection(http.client.HTTPConnection):
    """An HTTP connection to a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("culvert", timeout=_DEADLINE_S)
        self._path = path

    def connect(self) -> None:
        """Connect to the path instead of a host."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_DEADLINE_S)
        self.sock.connect(str(self._path))


def get(path: Path, resource: str, filters: Mapping[str, object | None]) -> Any:
    """Return the JSON of ``/api/v1/RESOURCE``; a filter that is None is left out."""
    query = urlencode({key: value for key, value in filters.items() if value is not None})
    return _ask(path, "GET", f"/api/v1/{resource}" + (f"?{query}" if query else ""), None)


def post(path: Path, resource: str, body: Mapping[str, object]) -> Any:
    """Send ``body`` and return the JSON of the answer."""
    return _ask(path, "POST", f"/api/v1/{resource}", json.dumps(body))


def _ask(path: Path, method: str, url: str, body: str | None) -> Any:
    """Raises `SystemRefused` where nobody answers, or where the answer is an error."""
    connection = _UnixConnection(path)
    try:
        connection.request(method, url, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        document = json.loads(answer.read())
    except TimeoutError as error:
        raise SystemRefused(
            f"culvert at {path} has not answered within {_DEADLINE_S:g} s; see its log"
        ) from error
    except OSError as error:
        raise SystemRefused(_explain(error, path)) from error
    except (http.client.HTTPException, ValueError) as error:
        raise SystemRefused(f"what answers at {path} is no culvert: {error}") from error
    finally:
        connection.close()
    if answer.status != http.client.OK:
        reason = document.get("error") if isinstance(document, dict) else None
        raise SystemRefused(f"culvert refuses: {reason or answer.reason}")
    return document


def _explain(error: OSError, path: Path) -> str:
    if error.errno in {errno.ENOENT, errno.ECONNREFUSED}:
        return f"no culvert answers at {path}: start it (culvert run), or name its socket by --socket or -c"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"{path} is not yours: run this as root, or as the user that culvert runs as"
    return f"{path}: {error.strerror or error}"
