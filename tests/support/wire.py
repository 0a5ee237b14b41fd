"""Octets for attacks: L2TP messages by hand, from any source port, and mutations of recorded ones."""

from __future__ import annotations

import random
import socket
import struct
from typing import Final

from deploy.lab.namespaces import Namespace

_BOUNDARIES: Final = (0, 1, 6, 12, 0x7FFF, 0x8000, 0xFFFF)


def control(tunnel_id: int, session_id: int, ns: int, nr: int, message_type: int, avps: bytes = b"") -> bytes:
    """Return a control message (RFC 2661 §3.1) of one type, with more AVPs as octets."""
    body = struct.pack("!HHHH", 0x8008, 0, 0, message_type) + avps
    return struct.pack("!HHHHHH", 0xC802, 12 + len(body), tunnel_id, session_id, ns, nr) + body


def data(tunnel_id: int, session_id: int, protocol: int, payload: bytes) -> bytes:
    """Return a data message without optional fields."""
    return struct.pack("!HHHHH", 0x0002, tunnel_id, session_id, 0xFF03, protocol) + payload


class Spoofer:
    """Sends datagrams from any port of ``namespace``, also one that a program of it has."""

    def __init__(self, namespace: Namespace, target: tuple[str, int]) -> None:
        self._target = target
        self._socket = namespace.call(
            lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
        )

    def send(self, source_port: int, datagram: bytes) -> None:
        """Send ``datagram``; its UDP checksum is 0, none (RFC 768)."""
        header = struct.pack("!HHHH", source_port, self._target[1], 8 + len(datagram), 0)
        self._socket.sendto(header + datagram, (self._target[0], 0))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class Mutator:
    """Yields spoilt forms of recorded datagrams, the same for the same seed."""

    def __init__(self, recorded: list[bytes], seed: int) -> None:
        self._recorded = [datagram for datagram in recorded if datagram]
        self._chance = random.Random(seed)
        self._ways = (self._flip, self._cut, self._extend, self._splice, self._boundary, self._replace)

    def next(self) -> bytes:
        """Return one datagram with one to three things wrong with it."""
        datagram = self._chance.choice(self._recorded)
        for _ in range(self._chance.randint(1, 3)):
            datagram = self._chance.choice(self._ways)(datagram)[:2000]
        return datagram

    def _flip(self, datagram: bytes) -> bytes:
        changed = bytearray(datagram)
        for _ in range(self._chance.randint(1, 4)):
            if changed:
                changed[self._chance.randrange(len(changed))] ^= 1 << self._chance.randrange(8)
        return bytes(changed)

    def _cut(self, datagram: bytes) -> bytes:
        return datagram[: self._chance.randint(0, len(datagram))]

    def _extend(self, datagram: bytes) -> bytes:
        return datagram + self._chance.randbytes(self._chance.randint(1, 64))

    def _splice(self, datagram: bytes) -> bytes:
        other = self._chance.choice(self._recorded)
        return (
            datagram[: self._chance.randint(0, len(datagram))] + other[self._chance.randint(0, len(other)) :]
        )

    def _boundary(self, datagram: bytes) -> bytes:
        if len(datagram) < 2:
            return datagram
        at = self._chance.randint(0, len(datagram) - 2)
        return datagram[:at] + struct.pack("!H", self._chance.choice(_BOUNDARIES)) + datagram[at + 2 :]

    def _replace(self, datagram: bytes) -> bytes:
        kept = self._chance.choice((0, 2, 6, 10, 12))
        return datagram[:kept] + self._chance.randbytes(self._chance.randint(0, 200))
