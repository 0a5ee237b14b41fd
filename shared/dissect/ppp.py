"""A PPP frame: Address, Control, Protocol (RFC 1661 §2, §6.5, §6.6), and what it carries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from shared.dissect.ip import dissect_ipv4, dissect_ipv6
from shared.dissect.options import CONTROL_PROTOCOLS, describe_option
from shared.dissect.parts import Reader, plural
from shared.ppp.chap import ChapCode
from shared.ppp.frame import ADDRESS_CONTROL, Protocol
from shared.ppp.packet import Code, peer_text

NAMES: Final = {
    Protocol.IPV4: "IPv4",
    Protocol.IPV6: "IPv6",
    Protocol.LCP: "LCP",
    Protocol.PAP: "PAP",
    Protocol.CHAP: "CHAP",
    Protocol.IPCP: "IPCP",
    Protocol.IPV6CP: "IPV6CP",
    0x0031: "bridged frame",
    0x003D: "multilink",
    0x00FD: "compressed datagram",
    0x8031: "BCP",
    0x80FD: "CCP",
    0x8281: "MPLSCP",
    0xC025: "LQR",
    0xC029: "CBCP",
    0xC227: "EAP",
}
_CODES: Final = {code.value: code.name.title().replace("_", "-") for code in Code}
_PAP_CODES: Final = {1: "Authenticate-Request", 2: "Authenticate-Ack", 3: "Authenticate-Nak"}
_CHAP_CODES: Final = {code.value: code.name.title() for code in ChapCode}


def protocol_name(protocol: int) -> str:
    """Return the name of a PPP protocol number, or the number."""
    return NAMES.get(protocol, f"PPP protocol {protocol:#06x}")


def dissect_ppp(reader: Reader) -> tuple[str, str]:
    """Take a PPP frame; return what it is and what it says in a line."""
    if reader.peek(2) == ADDRESS_CONTROL and reader.left() > 2:
        reader.take(2, "PPP Address and Control: all stations, unnumbered information")
    if not reader.left():
        return "empty PPP frame", ""
    octets = 1 if reader.number(1) & 1 else 2
    protocol = reader.number(octets)
    name = protocol_name(protocol)
    reader.take(octets, f"PPP Protocol: {name}")
    reader.depth += 1
    if protocol in _CARRIED:
        return name, _CARRIED[protocol](reader)
    if protocol in CONTROL_PROTOCOLS or protocol in (Protocol.PAP, Protocol.CHAP):
        return _packet(reader, protocol, name)
    return name, plural(len(reader.take_rest("payload")), "octet")


_CARRIED: Final[dict[int, Callable[[Reader], str]]] = {
    Protocol.IPV4: dissect_ipv4,
    Protocol.IPV6: dissect_ipv6,
}


def _packet(reader: Reader, protocol: int, name: str) -> tuple[str, str]:
    """Take Code, Identifier, Length, and the data that they announce."""
    code, identifier, length = reader.number(1), reader.number(1, 1), reader.number(2, 2)
    if reader.left() < 4 or not 4 <= length <= reader.left():
        reader.take_rest("malformed: the Length does not fit")
        return name, "malformed"
    names = {Protocol.PAP: _PAP_CODES, Protocol.CHAP: _CHAP_CODES}.get(protocol, _CODES)
    code_name = names.get(code, f"code {code}")
    reader.take(1, f"Code {code}: {code_name}")
    reader.take(1, f"Identifier {identifier}")
    reader.take(2, f"Length {length}")
    inner = Reader(reader.datagram, reader.position, reader.position + length - 4, reader.depth, reader.parts)
    said = _body(inner, protocol, code)
    if inner.left():
        inner.take_rest("data")
    reader.position = inner.end
    if reader.left():
        reader.take_rest("padding")
    return f"{name} {code_name}", f"id {identifier}{' ' if said else ''}{said}"


def _body(reader: Reader, protocol: int, code: int) -> str:
    if protocol == Protocol.PAP:
        return _pap_request(reader) if code == 1 else _message(reader, counted=True)
    if protocol == Protocol.CHAP:
        return _chap_value(reader) if code in (1, 2) else _message(reader)
    if Code.CONFIGURE_REQUEST <= code <= Code.CONFIGURE_REJECT:
        return _options(reader, protocol)
    return _BODIES.get(code, _nothing)(reader)


def _options(reader: Reader, protocol: int) -> str:
    """Take configuration options (RFC 1661 §6): Type, Length, Data."""
    said = []
    reader.depth += 1
    while reader.left():
        kind, length = reader.number(1), reader.number(1, 1)
        if reader.left() < 2 or not 2 <= length <= reader.left():
            reader.take_rest("malformed option")
            said.append("malformed")
            break
        text = describe_option(protocol, kind, reader.peek(length - 2, 2))
        reader.take(length, text)
        said.append(text)
    return f"[{', '.join(said)}]" if said else ""


def _pap_request(reader: Reader) -> str:
    """Take Peer-ID and Password (RFC 1334 §2.2.1); the password is shown to nobody."""
    size = reader.number(1)
    name = peer_text(reader.peek(size, 1))
    reader.take(1 + size, f"Peer-ID {name!r}")
    reader.take(1, "Passwd-Length")
    reader.take(reader.left(), "Password ***", secret=True)
    return f"user {name!r} password ***"


def _chap_value(reader: Reader) -> str:
    size = reader.number(1)
    reader.take(1, f"Value-Size {size}")
    reader.take(size, "Value")
    name = peer_text(reader.peek(reader.left()))
    reader.take_rest(f"Name {name!r}")
    return f"{plural(size, 'octet')} by {name!r}"


def _message(reader: Reader, *, counted: bool = False) -> str:
    if counted and reader.left():
        reader.take(1, f"Msg-Length {reader.number(1)}")
    text = peer_text(reader.peek(reader.left()))
    reader.take_rest(f"Message {text!r}")
    return repr(text) if text else ""


def _rejected_protocol(reader: Reader) -> str:
    name = protocol_name(reader.number(2))
    reader.take(2, f"Rejected-Protocol {name}")
    reader.take_rest("Rejected-Information")
    return name


def _rejected_code(reader: Reader) -> str:
    code = reader.number(1)
    reader.take_rest(f"Rejected-Packet, code {code}")
    return f"code {code}"


def _magic(reader: Reader) -> str:
    magic = reader.take(4, f"Magic-Number {reader.peek(4).hex()}").hex()
    if reader.left():
        reader.take_rest("data")
    return f"magic {magic}"


def _identification(reader: Reader) -> str:
    reader.take(4, f"Magic-Number {reader.peek(4).hex()}")
    return _message(reader)


def _nothing(_: Reader) -> str:
    return ""


_BODIES: Final[dict[int, Callable[[Reader], str]]] = {
    Code.TERMINATE_REQUEST: _message,
    Code.TERMINATE_ACK: _message,
    Code.CODE_REJECT: _rejected_code,
    Code.PROTOCOL_REJECT: _rejected_protocol,
    Code.ECHO_REQUEST: _magic,
    Code.ECHO_REPLY: _magic,
    Code.DISCARD_REQUEST: _magic,
    Code.IDENTIFICATION: _identification,
    Code.TIME_REMAINING: _identification,
}
