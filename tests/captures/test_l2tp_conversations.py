"""Our LNS, fed what real LACs have sent to real ones, comes to the same states and says the same."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from shared.addresses import Address
from shared.l2tp.connection import (
    CallOffered,
    Command,
    ConnectionSettings,
    ControlConnection,
    Role,
    SessionDown,
    SessionUp,
    Transmit,
    TunnelDown,
    TunnelState,
    TunnelUp,
    read_sccrq,
)
from shared.l2tp.header import decode_control, is_control, version
from shared.l2tp.messages import ICRP, SCCRP, Message, UnknownMessage, decode_message
from tests.support.captures import Datagram, capture, datagrams, names

SECRETS = {
    "generated/xl2tpd-1.3.18_tunnel-auth_random-vector.pcap": b"s3cr3t-hidden-avp",
    "xl2tpd/secret.pcap": b"tunnelpw",
    "xl2tpd/hidden.pcap": b"tunnelpw",
}
CALLS = [
    name
    for name in names("generated/*.pcap", "freertr/bcp*.pcap", "freertr/ipcp-eap.pcap", "xl2tpd/*.pcap")
    if not name.startswith(("xl2tpd/ipsec", "xl2tpd/secret-wrong"))
]


@dataclass
class Conversation:
    """One tunnel's control messages: from the LAC, and what its LNS answered."""

    lac: Address
    peer_tunnel_id: int
    local_tunnel_id: int
    challenge: bytes
    datagrams: list[Datagram] = field(default_factory=list)
    sessions: list[int] = field(default_factory=list)  # IDs that the LNS chose, in order


def decoded(datagram: Datagram) -> tuple[int, Message | UnknownMessage | None]:
    header, body = decode_control(memoryview(datagram.payload))
    return header.tunnel_id, decode_message(body) if len(body) else None


def conversations(name: str) -> list[Conversation]:
    """Return the tunnels of a capture whose SCCRQ and SCCRP are in it."""
    control = [
        datagram
        for datagram in datagrams(capture(name), 1701)
        if version(datagram.payload) == 2 and is_control(datagram.payload)
    ]
    requests: dict[tuple[Address, int], list[Datagram]] = {}
    found: dict[int, Conversation] = {}
    for datagram in control:
        tunnel_id, message = decoded(datagram)
        request = read_sccrq(datagram.payload)
        if request is not None:
            requests.setdefault((datagram.source, request.assigned_tunnel_id), []).append(datagram)
        elif isinstance(message, SCCRP) and message.assigned_tunnel_id not in found:
            first = requests[datagram.destination, tunnel_id]
            found[message.assigned_tunnel_id] = Conversation(
                *(datagram.destination, tunnel_id, message.assigned_tunnel_id),
                *(message.challenge or b"", first),
            )
        elif tunnel_id in found and datagram.source == found[tunnel_id].lac:
            found[tunnel_id].datagrams.append(datagram)
        if isinstance(message, ICRP):
            owner = next(each for each in found.values() if each.peer_tunnel_id == tunnel_id)
            owner.sessions = list(dict.fromkeys([*owner.sessions, message.assigned_session_id]))
    return list(found.values())


def replay(conversation: Conversation, secret: bytes | None) -> tuple[ControlConnection, list[Command]]:
    """Feed the LAC's datagrams as they are to an LNS that picks the recorded one's IDs and challenge."""
    settings = ConnectionSettings("lns", secret=secret)
    lns = ControlConnection(
        settings,
        Role.LNS,
        conversation.local_tunnel_id,
        conversation.lac,
        random=lambda count: (conversation.challenge or bytes(count))[:count],
    )
    sessions = iter(conversation.sessions)
    log: list[Command] = []
    for datagram in conversation.datagrams:
        commands = lns.receive(datagram.payload, datagram.source, datagram.time)
        for command in commands:
            log.append(command)
            if isinstance(command, CallOffered):
                log += lns.accept_call(command.peer_session_id, next(sessions), datagram.time)
    return lns, log


@pytest.mark.parametrize("name", CALLS)
def test_the_lns_establishes_every_recorded_tunnel_and_call(name: str) -> None:
    found = conversations(name)
    assert found
    for conversation in found:
        _, log = replay(conversation, SECRETS.get(name))
        assert sum(isinstance(command, TunnelUp) for command in log) == 1
        up = [command.local_session_id for command in log if isinstance(command, SessionUp)]
        assert up == conversation.sessions


def test_a_recorded_hang_up_ends_session_then_tunnel() -> None:
    (conversation,) = conversations("xl2tpd/mschapv2.pcap")
    lns, log = replay(conversation, None)
    events = [type(command) for command in log if not isinstance(command, Transmit)]
    assert events == [TunnelUp, CallOffered, SessionUp, SessionDown, TunnelDown]
    assert lns.state is TunnelState.CLOSED


def test_a_wrong_secret_is_refused_as_not_authorized() -> None:
    (conversation,) = conversations("xl2tpd/secret.pcap")
    _, log = replay(conversation, b"another secret")
    (down,) = [command for command in log if isinstance(command, TunnelDown)]
    assert down.result.code == 4
    assert not down.by_peer
