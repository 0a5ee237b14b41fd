"""The listening sockets of the API, bound before any HTTP: the supervisor tries one out, too."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

from shared.errors import SystemRefused


def bind_unix(path: Path) -> socket.socket:
    """Return a socket at ``path`` which only its owner may connect to; a dead process's file is replaced.

    Raises `SystemRefused`.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        listener.bind(str(path))
        path.chmod(0o600)
    except OSError as error:
        listener.close()
        raise SystemRefused(f"admin socket {path}: {error.strerror}") from error
    return listener


def bind_tcp(address: str) -> socket.socket:
    """Return a socket bound to "127.0.0.1:9170" or "[::1]:9170". Raises `SystemRefused`."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, int(port)))
    except OSError as error:
        listener.close()
        raise SystemRefused(
            f"HTTP on {address}: {error.strerror}; choose another address under [http], or none with address"
            ' = ""'
        ) from error
    return listener
