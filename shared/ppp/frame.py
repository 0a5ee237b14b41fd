"""PPP frames without HDLC framing, as L2TP carries them: Address, Control, Protocol (RFC 1661 §2)."""

from __future__ import annotations

from typing import Final

ADDRESS_CONTROL: Final = b"\xff\x03"  # All-Stations, Unnumbered Information


class Protocol:
    """Protocol numbers (IANA "PPP DLL Protocol Numbers")."""

    IPV4: Final = 0x0021
    IPV6: Final = 0x0057
    IPCP: Final = 0x8021
    IPV6CP: Final = 0x8057
    LCP: Final = 0xC021
    PAP: Final = 0xC023
    CHAP: Final = 0xC223


def split_frame(frame: memoryview) -> tuple[int, memoryview] | None:
    """Return the protocol and the rest of ``frame``, borrowed; None where there is no Protocol field.

    Compressed forms are taken whether negotiated or not: without Address and Control (RFC 1661 §6.6)
    and with a Protocol of one octet (§6.5). A Protocol's last octet is odd, its first one even.
    """
    start = 2 if len(frame) > 2 and frame[0] == 0xFF and frame[1] == 0x03 else 0
    if not frame:
        return None
    first = frame[start]
    if first & 1:
        return first, frame[start + 1 :]
    if len(frame) < start + 2 or not frame[start + 1] & 1:
        return None
    return first << 8 | frame[start + 1], frame[start + 2 :]


def make_frame(protocol: int, payload: bytes, *, acfc: bool = False, pfc: bool = False) -> bytes:
    """Return ``payload`` as a frame; ``acfc`` and ``pfc`` leave out what the peer agreed to miss.

    The frames of LCP are never compressed (RFC 1661 §6.5, §6.6): a peer may have forgotten that it agreed.
    """
    if protocol == Protocol.LCP:
        acfc = pfc = False
    address = b"" if acfc else ADDRESS_CONTROL
    octets = 1 if pfc and protocol < 0x100 else 2
    return address + protocol.to_bytes(octets, "big") + payload
