"""Names of the few messages that matter to the client's tests."""

_CONTROL = {4: "StopCCN", 14: "CDN"}
_LCP = {5: "Terminate-Request", 6: "Terminate-Ack"}


def kind(datagram: bytes) -> str:
    """Name a datagram by its octets (RFC 2661 §4.4.1, RFC 1661 §5); empty where it does not matter."""
    if datagram[0] & 0x80:
        return _CONTROL.get(int.from_bytes(datagram[18:20], "big"), "") if len(datagram) >= 20 else "ZLB"
    frame = datagram[6:]
    return _LCP.get(frame[4], "") if frame[:4] == b"\xff\x03\xc0\x21" else ""
