"""The captures folder, and a reader of pcap and pcapng files down to UDP payloads.

The folder is ``$CULVERT_CAPTURES``, else ``../shared/captures`` beside the repository. A test that needs it
is skipped, saying so, where it is absent.
"""

from __future__ import annotations

import functools
import ipaddress
import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

_BESIDE = Path(__file__).resolve().parents[2].parent / "shared" / "captures"
_ETHERNET, _LINUX_SLL, _RAW = 1, 113, 101
_VLAN_TYPES = (0x8100, 0x88A8)
_PPPOE_SESSION, _IPV4, _IPV6 = 0x8864, 0x0800, 0x86DD
_UDP = 17


class Frame(NamedTuple):
    """One captured frame with its link type (the numbers of pcap-linktype(7)); ``time`` in seconds."""

    time: float
    link_type: int
    octets: bytes


class Datagram(NamedTuple):
    """One UDP datagram with its addresses."""

    time: float
    source: tuple[str, int]
    destination: tuple[str, int]
    payload: bytes


def folder() -> Path | None:
    """Return the captures folder, None where it is absent."""
    path = Path(os.environ.get("CULVERT_CAPTURES", str(_BESIDE)))
    return path if path.is_dir() else None


def capture(name: str) -> Path:
    """Return the path of one capture, such as ``xl2tpd/pap.pcap``; skips the test where it is absent."""
    base = folder()
    if base is None:
        pytest.skip(f"no captures folder at {_BESIDE} (set CULVERT_CAPTURES)")
    path = base / name
    if not path.exists():
        pytest.skip(f"no capture {path}")
    return path


def names(*patterns: str) -> list[str]:
    """Return the captures that match, for parametrizing; what is named without a wildcard is always there.

    Where the folder is absent that one placeholder per pattern makes `capture` skip with the reason.
    """
    base = folder()
    if base is None:
        return list(patterns)
    return sorted(str(path.relative_to(base)) for pattern in patterns for path in base.glob(pattern))


@functools.cache
def _all_vectors(path: Path) -> dict[str, Any]:
    return {vector["id"]: vector for vector in json.loads(path.read_text())["vectors"]}


def vector(identifier: str) -> dict[str, Any]:
    """Return one known-answer vector with its ``input`` and ``expect``."""
    found: dict[str, Any] = _all_vectors(capture("vectors.json"))[identifier]
    return found


def vectors(prefix: str) -> list[dict[str, Any]]:
    """Return the vectors whose identifiers begin with ``prefix``."""
    table = _all_vectors(capture("vectors.json"))
    return [table[identifier] for identifier in table if identifier.startswith(prefix)]


def frames(path: Path) -> Iterator[Frame]:
    """Yield the frames of a pcap or pcapng file of either byte order."""
    octets = path.read_bytes()
    if octets[:4] == b"\x0a\x0d\x0d\x0a":
        yield from _pcapng_frames(octets)
        return
    order = "<" if octets[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    fraction = 1e9 if octets[:4] in (b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d") else 1e6
    link_type = struct.unpack_from(order + "I", octets, 20)[0] & 0xFFFF
    position = 24
    while position + 16 <= len(octets):
        seconds, part, size, _ = struct.unpack_from(order + "IIII", octets, position)
        position += 16
        yield Frame(seconds + part / fraction, link_type, octets[position : position + size])
        position += size


def _pcapng_frames(octets: bytes) -> Iterator[Frame]:
    order, link_types, position = "<", list[int](), 0
    while position + 12 <= len(octets):
        if octets[position : position + 4] == b"\x0a\x0d\x0d\x0a":
            order = "<" if octets[position + 8 : position + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            link_types = []
        kind, size = struct.unpack_from(order + "II", octets, position)
        body = octets[position + 8 : position + size - 4]
        if kind == 1:  # interface description
            link_types.append(struct.unpack_from(order + "H", body)[0])
        elif kind == 6:  # enhanced packet
            interface, high, low, captured = struct.unpack_from(order + "IIII", body)
            yield Frame((high << 32 | low) / 1e6, link_types[interface], body[20 : 20 + captured])
        elif kind == 3:  # simple packet
            yield Frame(0.0, link_types[0], body[4:])
        position += size


def datagrams(path: Path, port: int | None = None) -> Iterator[Datagram]:
    """Yield the unfragmented UDP datagrams of a capture, over VLAN and PPPoE too; of one port if given."""
    for frame in frames(path):
        packet = _ip_packet(frame)
        found = _udp(packet, frame.time) if packet else None
        if found is not None and (port is None or port in (found.source[1], found.destination[1])):
            yield found


def _ip_packet(frame: Frame) -> bytes | None:
    octets = frame.octets
    if frame.link_type == _RAW:
        return octets
    position = {_ETHERNET: 12, _LINUX_SLL: 14}.get(frame.link_type)
    if position is None or len(octets) < position + 2:
        return None
    kind = int.from_bytes(octets[position : position + 2], "big")
    while kind in _VLAN_TYPES:
        position += 4
        kind = int.from_bytes(octets[position : position + 2], "big")
    if kind == _PPPOE_SESSION:
        protocol = int.from_bytes(octets[position + 8 : position + 10], "big")
        return octets[position + 10 :] if protocol in (0x0021, 0x0057) else None
    return octets[position + 2 :] if kind in (_IPV4, _IPV6) else None


def _udp(packet: bytes, time: float) -> Datagram | None:
    """Return the UDP datagram in an IP packet, cut where UDP's own length says."""
    if packet[0] >> 4 == 4:
        header, protocol, addresses = (packet[0] & 15) * 4, packet[9], (packet[12:16], packet[16:20])
        if int.from_bytes(packet[6:8], "big") & 0x3FFF:
            return None
    else:
        header, protocol, addresses = 40, packet[6], (packet[8:24], packet[24:40])
    if protocol != _UDP or len(packet) < header + 8:
        return None
    source, destination, length = struct.unpack_from("!HHH", packet, header)
    hosts = [str(ipaddress.ip_address(address)) for address in addresses]
    payload = packet[header + 8 : header + max(length, 8)]
    return Datagram(time, (hosts[0], source), (hosts[1], destination), payload)
