"""Control messages for tunnel ID 0, read before any state exists: whose they are stands in their AVPs."""

from __future__ import annotations

from shared.errors import ProtocolError
from shared.l2tp.header import decode_control, is_control
from shared.l2tp.messages import SCCRQ, Message, StopCCN, decode_leniently


def read_sccrq(datagram: bytes | memoryview, secret: bytes | None = None) -> SCCRQ | None:
    """Return the SCCRQ in a datagram for tunnel ID 0, None where there is none.

    What is wrong with it beyond its required AVPs is for `ControlConnection.receive` to find. ``secret`` is
    needed only where the peer hides the Assigned Tunnel ID.
    """
    message = _read(datagram, secret)
    return message if isinstance(message, SCCRQ) else None


def read_stop(datagram: bytes | memoryview, secret: bytes | None = None) -> StopCCN | None:
    """Return the StopCCN in a datagram for tunnel ID 0: ``assigned_tunnel_id`` is its sender's (§4.4.3)."""
    message = _read(datagram, secret)
    return message if isinstance(message, StopCCN) else None


def _read(datagram: bytes | memoryview, secret: bytes | None) -> Message | None:
    if not is_control(datagram):
        return None
    try:
        header, body = decode_control(memoryview(datagram))
    except ProtocolError:
        return None
    return decode_leniently(body, secret) if header.tunnel_id == 0 and len(body) else None
