"""Who has a UDP port, from /proc: only for an error message, so nothing here raises."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")


def holder_of(family: int, host: str, port: int) -> str | None:
    """Return "xl2tpd, pid 123" for a process that has ``port`` on ``host`` or on all addresses, or None."""
    inodes = set(_inodes(family, host, port))
    targets = {f"socket:[{inode}]" for inode in inodes}
    for process in _PROC.glob("[0-9]*") if targets else ():
        with contextlib.suppress(OSError):  # it is not ours to look into, or it has just ended
            if any(_target(link) in targets for link in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()}, pid {process.name}"
    return None


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:  # it was closed meanwhile
        return ""


def _inodes(family: int, host: str, port: int) -> Iterator[str]:
    """Yield the inode of each socket on ``port`` that stands in the way of ``host``."""
    wanted = ipaddress.ip_address(host.partition("%")[0])
    table = _PROC / "net" / ("udp6" if family == socket.AF_INET6 else "udp")
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return
    for line in lines:
        columns = line.split()
        address, _, at = columns[1].partition(":")
        bound = _address(address)
        if int(at, 16) == port and (bound == wanted or bound.is_unspecified or wanted.is_unspecified):
            yield columns[9]


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the address in /proc's notation: hexadecimal words of four octets in the host's order."""
    words = [int(text[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(text), 8)]
    return ipaddress.ip_address(b"".join(words))
