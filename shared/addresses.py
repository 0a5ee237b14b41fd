"""Where datagrams come from and go to, as the machines see it: opaque, hashable, comparable."""

from __future__ import annotations

from typing import TypeAlias

# What the kernel gives for an IPv4 or an IPv6 source: (host, port) or (host, port, flow info, scope).
Address: TypeAlias = tuple[str, int] | tuple[str, int, int, int]


def address_text(address: Address) -> str:
    """Return ``address`` as people write it: ``192.0.2.7:1701`` or ``[2001:db8::7]:1701``."""
    host, port = address[0], address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
