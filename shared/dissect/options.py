"""Configuration options of LCP and the network control protocols, by protocol and type."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from shared.ppp.frame import Protocol

_CCP: Final = 0x80FD
_BCP: Final = 0x8031
_AUTHENTICATION: Final = {
    b"\xc0\x23": "PAP",
    b"\xc2\x23\x05": "CHAP-MD5",
    b"\xc2\x23\x80": "MS-CHAPv1",
    b"\xc2\x23\x81": "MS-CHAPv2",
    b"\xc2\x27": "EAP",
}


@dataclass(frozen=True, slots=True)
class _Option:
    """``octets`` is the length of a well-formed value, None where it varies."""

    name: str
    octets: int | None
    text: Callable[[bytes], str]


def describe_option(protocol: int, kind: int, value: bytes) -> str:
    """Return an option in words, such as ``MRU 1462``."""
    option = _OPTIONS.get((protocol, kind))
    if option is None:
        return f"option {kind}{' ' if value else ''}{value.hex()}"
    if option.octets is not None and len(value) != option.octets:
        return f"{option.name} malformed ({value.hex() or 'no value'})"
    said = option.text(value)
    return f"{option.name} {said}" if said else option.name


def _number(value: bytes) -> str:
    return str(int.from_bytes(value, "big"))


def _address(value: bytes) -> str:
    return str(ipaddress.IPv4Address(value))


def _interface(value: bytes) -> str:
    return ":".join(value[at : at + 2].hex() for at in range(0, len(value), 2))


def _authentication(value: bytes) -> str:
    return _AUTHENTICATION.get(value, value.hex())


def _nothing(_: bytes) -> str:
    return ""


_OPTIONS: Final = {
    (Protocol.LCP, 1): _Option("MRU", 2, _number),
    (Protocol.LCP, 2): _Option("ACCM", 4, bytes.hex),
    (Protocol.LCP, 3): _Option("authentication", None, _authentication),
    (Protocol.LCP, 4): _Option("quality protocol", None, bytes.hex),
    (Protocol.LCP, 5): _Option("magic", 4, bytes.hex),
    (Protocol.LCP, 7): _Option("PFC", 0, _nothing),
    (Protocol.LCP, 8): _Option("ACFC", 0, _nothing),
    (Protocol.LCP, 13): _Option("callback", None, bytes.hex),
    (Protocol.LCP, 17): _Option("MRRU", 2, _number),
    (Protocol.LCP, 18): _Option("short sequence numbers", 0, _nothing),
    (Protocol.LCP, 19): _Option("endpoint discriminator", None, bytes.hex),
    (Protocol.IPCP, 2): _Option("IP compression", None, bytes.hex),
    (Protocol.IPCP, 3): _Option("address", 4, _address),
    (Protocol.IPCP, 129): _Option("DNS", 4, _address),
    (Protocol.IPCP, 130): _Option("NBNS", 4, _address),
    (Protocol.IPCP, 131): _Option("second DNS", 4, _address),
    (Protocol.IPCP, 132): _Option("second NBNS", 4, _address),
    (Protocol.IPV6CP, 1): _Option("interface", 8, _interface),
    (Protocol.IPV6CP, 2): _Option("IPv6 compression", None, bytes.hex),
    (_CCP, 17): _Option("LZS", None, bytes.hex),
    (_CCP, 18): _Option("MPPE", 4, bytes.hex),
    (_CCP, 21): _Option("BSD-Compress", None, bytes.hex),
    (_CCP, 24): _Option("Deflate (draft)", None, bytes.hex),
    (_CCP, 26): _Option("Deflate", None, bytes.hex),
}

# Those whose packets are LCP's: Code, Identifier, Length, options.
CONTROL_PROTOCOLS: Final = frozenset({Protocol.LCP, Protocol.IPCP, Protocol.IPV6CP, _CCP, _BCP, 0x8281})
