"""Capture files (the classic pcap format, Ethernet) and the UDP datagrams in them."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from shared.ip.packet import read_ipv4, read_ipv6

_FILE_HEADER: Final = struct.Struct("<IHHiIII")
_RECORD: Final = struct.Struct("IIII")
_MAGIC: Final = {0xA1B2C3D4: 1_000_000, 0xA1B23C4D: 1_000_000_000}
_ETHERNET: Final = 1
_ETHERNET_OCTETS: Final = 14
_IPV4: Final = b"\x08\x00"
_IPV6: Final = b"\x86\xdd"
_UDP: Final = 17


@dataclass(frozen=True, slots=True)
class Datagram:
    """A UDP datagram on the wire; ``time_s`` is of the clock that the capture was made with."""

    time_s: float
    source: str
    source_port: int
    destination: str
    destination_port: int
    payload: bytes


class Writer:
    """Writes frames to a capture file, each at once."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        stream.write(_FILE_HEADER.pack(0xA1B2C3D4, 2, 4, 0, 0, 262144, _ETHERNET))
        stream.flush()

    def write(self, time_s: float, frame: bytes) -> None:
        """Append one Ethernet frame."""
        seconds = int(time_s)
        micros = int((time_s - seconds) * 1_000_000)
        self._stream.write(_RECORD.pack(seconds, micros, len(frame), len(frame)) + frame)
        self._stream.flush()


def read_frames(path: Path) -> Iterator[tuple[float, bytes]]:
    """Yield the time and the octets of every frame; a record that is cut off is the last."""
    octets = path.read_bytes()
    order = "<" if struct.unpack_from("<I", octets)[0] in _MAGIC else ">"
    units = _MAGIC[struct.unpack_from(f"{order}I", octets)[0]]
    record = struct.Struct(order + _RECORD.format)
    position = _FILE_HEADER.size
    while position + record.size <= len(octets):
        seconds, fraction, length, _ = record.unpack_from(octets, position)
        position += record.size
        if position + length > len(octets):
            return
        yield seconds + fraction / units, octets[position : position + length]
        position += length


def read_datagrams(path: Path, *, port: int = 1701) -> Iterator[Datagram]:
    """Yield the UDP datagrams to or from ``port``, unfragmented, of either IP version."""
    for time_s, frame in read_frames(path):
        datagram = _datagram(time_s, frame)
        if datagram and port in (datagram.source_port, datagram.destination_port):
            yield datagram


def _datagram(time_s: float, frame: bytes) -> Datagram | None:
    packet = memoryview(frame)[_ETHERNET_OCTETS:]
    if frame[12:14] == _IPV4 and (v4 := read_ipv4(packet)) and packet[9] == _UDP:
        fragment = (packet[6] << 8 | packet[7]) & 0x3FFF
        at, header = (packet[0] & 0x0F) * 4, v4
        source, destination = (str(ipaddress.IPv4Address(a)) for a in (v4.source, v4.destination))
    elif frame[12:14] == _IPV6 and (v6 := read_ipv6(packet)) and packet[6] == _UDP:
        fragment, at, header = 0, 40, v6
        source, destination = (str(ipaddress.IPv6Address(a)) for a in (v6.source, v6.destination))
    else:
        return None
    if fragment or at + 8 > header.octets:
        return None
    source_port, destination_port, length, _ = struct.unpack_from("!HHHH", packet, at)
    payload = bytes(packet[at + 8 : min(at + length, header.octets)])
    return Datagram(time_s, source, source_port, destination, destination_port, payload)
