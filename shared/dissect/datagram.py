"""One L2TP datagram of either kind (RFC 2661 §3.1), from its first octet to what PPP carries in it."""

from __future__ import annotations

from shared.dissect.attributes import describe_avp, message_name
from shared.dissect.parts import Dissection, Reader, plural
from shared.dissect.ppp import dissect_ppp
from shared.errors import ProtocolError
from shared.l2tp.avp import HEADER_OCTETS, decode_avps
from shared.l2tp.header import (
    CONTROL_HEADER_OCTETS,
    LENGTH_BIT,
    OFFSET_BIT,
    PRIORITY_BIT,
    SEQUENCE_BIT,
    TYPE_BIT,
    DataHeader,
    decode_control,
    is_control,
    parse_data_header,
)

_FLAGS = ((TYPE_BIT, "T"), (LENGTH_BIT, "L"), (SEQUENCE_BIT, "S"), (OFFSET_BIT, "O"), (PRIORITY_BIT, "P"))


def dissect(datagram: bytes) -> Dissection:
    """Take a UDP payload apart. Whatever it is, something is returned: what can't be read says why."""
    if is_control(datagram):
        return _control(datagram)
    header = parse_data_header(datagram)
    return (
        _not_l2tp(datagram, "neither control nor data message") if header is None else _data(datagram, header)
    )


def _control(datagram: bytes) -> Dissection:
    try:
        header, body = decode_control(memoryview(datagram))
    except ProtocolError as error:
        return _not_l2tp(datagram, str(error))
    reader = Reader(datagram, end=CONTROL_HEADER_OCTETS + len(body))
    reader.take(2, f"{_flag_text(datagram)}: control message, version 2")
    reader.take(2, f"Length {CONTROL_HEADER_OCTETS + len(body)}")
    reader.take(2, f"Tunnel ID {header.tunnel_id}{'' if header.tunnel_id else ' (not assigned yet)'}")
    reader.take(2, f"Session ID {header.session_id}{'' if header.session_id else ' (the tunnel itself)'}")
    reader.take(2, f"Ns {header.ns}")
    reader.take(2, f"Nr {header.nr}, so all before it has arrived")
    where = f"tunnel {header.tunnel_id} session {header.session_id} Ns {header.ns} Nr {header.nr}"
    if not body:
        return Dissection("ZLB", f"{where}: only an acknowledgement", tuple(reader.parts))
    name, said = _avps(reader, body)
    return Dissection(name, f"{where}{said}", tuple(reader.parts))


def _avps(reader: Reader, body: memoryview) -> tuple[str, str]:
    """Take every AVP; return the message's name and, in a few words, what it says."""
    name = message_name(bytes(body[HEADER_OCTETS : HEADER_OCTETS + 2]))
    said: list[str] = []
    reader.depth = 1
    try:
        for avp in decode_avps(body):
            text, brief = describe_avp(avp, name)
            octets = HEADER_OCTETS + len(avp.value)
            if brief.endswith("***"):
                reader.take(HEADER_OCTETS, text)
                reader.take(len(avp.value), "***", secret=True)
            else:
                reader.take(octets, text)
            if brief:
                said.append(brief)
    except ProtocolError as error:
        reader.take_rest(f"malformed: {error}")
        said.append(f"malformed: {error}")
    return name, f": {', '.join(said)}" if said else ""


def _data(datagram: bytes, header: DataHeader) -> Dissection:
    reader = Reader(datagram, end=header.end_of_payload)
    flags = reader.number(2)
    reader.take(2, f"{_flag_text(datagram)}: data message, version 2")
    if flags & LENGTH_BIT:
        reader.take(2, f"Length {reader.number(2)}")
    reader.take(2, f"Tunnel ID {header.tunnel_id}")
    reader.take(2, f"Session ID {header.session_id}")
    if header.ns is not None:
        reader.take(2, f"Ns {header.ns}")
        reader.take(2, f"Nr {header.nr}, which means nothing in data messages")
    if flags & OFFSET_BIT:
        reader.take(2, f"Offset Size {reader.number(2)}")
        reader.take(header.offset_of_payload - reader.position, "offset padding")
    name, summary = dissect_ppp(reader)
    where = f"tunnel {header.tunnel_id} session {header.session_id}"
    return Dissection(name, f"{where}: {summary}" if summary else where, tuple(reader.parts))


def _flag_text(datagram: bytes) -> str:
    flags = datagram[0] << 8
    names = [name for bit, name in _FLAGS if flags & bit]
    return f"flags {' '.join(names)}" if names else "no flags"


def _not_l2tp(datagram: bytes, why: str) -> Dissection:
    reader = Reader(datagram)
    reader.take_rest(f"not L2TPv2: {why}")
    return Dissection("not L2TPv2", f"{plural(len(datagram), 'octet')}: {why}", tuple(reader.parts))
