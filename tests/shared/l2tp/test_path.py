"""Peers that may be forged, that move behind a NAT, and that begin anew."""

from __future__ import annotations

from shared.addresses import Address
from shared.l2tp.connection import (
    ConnectionSettings,
    ControlConnection,
    PeerMoved,
    Released,
    Role,
    TunnelDown,
    TunnelState,
)
from shared.l2tp.connection import Transmit as Sent
from shared.l2tp.header import ControlHeader
from shared.l2tp.messages import HELLO, SCCCN, SCCRQ, encode_message
from tests.support.l2tp import LAC_ADDRESS, LAC_TUNNEL, LNS_TUNNEL, Pair, established

MOVED: Address = ("198.51.100.7", 40777)
FORGER: Address = ("203.0.113.66", 1701)
REQUEST = ControlHeader(0, 0, 0, 0).encode(
    encode_message(
        SCCRQ(
            protocol_version=0x0100, framing_capabilities=3, host_name=b"lac", assigned_tunnel_id=LAC_TUNNEL
        )
    )
)


def rebind(pair: Pair) -> None:
    """Let the LAC's NAT give it another port: the old one leads nowhere now."""
    pair.addresses.pop(LAC_ADDRESS, None)
    pair.addresses[MOVED] = pair.lac
    pair.sources[id(pair.lac)] = MOVED


def hello(pair: Pair, ns: int | None = None) -> bytes:
    """Return a HELLO such as a forger sends who knows the IDs and the LNS's Nr."""
    number = pair.lns._channel.nr if ns is None else ns
    return ControlHeader(LNS_TUNNEL, 0, number, pair.lns._channel.oldest_ns).encode(encode_message(HELLO()))


def test_a_forged_sccrq_gets_no_more_than_three_times_its_octets() -> None:
    lns = ControlConnection(ConnectionSettings("lns" * 20), Role.LNS, LNS_TUNNEL, LAC_ADDRESS, random=bytes)
    sent = [command for command in lns.receive(REQUEST, LAC_ADDRESS, 0.0) if isinstance(command, Sent)]
    while (due := lns.next_timeout()) is not None:
        sent += [command for command in lns.handle_timer(due) if isinstance(command, Sent)]
    assert len(sent) >= 1
    assert sum(len(each.datagram) for each in sent) <= 3 * len(REQUEST)
    assert lns.state is TunnelState.RELEASED


def test_a_forged_sccrq_of_another_number_is_not_kept_and_does_not_end_the_set_up_of_a_peer() -> None:
    lns = ControlConnection(ConnectionSettings("lns"), Role.LNS, LNS_TUNNEL, LAC_ADDRESS, random=bytes)
    lns.receive(REQUEST, LAC_ADDRESS, 0.0)
    for ns in (1, 2, 15):
        forged = ControlHeader(0, 0, ns, 0).encode(REQUEST[12:])
        assert lns.receive(forged, LAC_ADDRESS, 0.1) == []
    connected = ControlHeader(LNS_TUNNEL, 0, 1, 1).encode(encode_message(SCCCN()))
    lns.receive(connected, LAC_ADDRESS, 0.2)
    assert lns.state is TunnelState.ESTABLISHED


def test_a_peer_moves_when_it_acknowledges_from_where_its_messages_come() -> None:
    pair = established(hello_interval_s=20.0)
    rebind(pair)
    pair.run(60.0)
    assert pair.lns.peer == MOVED
    assert pair.of(pair.lns, PeerMoved) == [PeerMoved(MOVED)]
    assert pair.lac.state is pair.lns.state is TunnelState.ESTABLISHED


def test_a_peer_whose_data_come_from_elsewhere_is_asked_there() -> None:
    pair = established()
    rebind(pair)
    pair.perform(pair.lns, pair.lns.probe(MOVED, pair.now))
    pair.run(5.0)
    assert pair.lns.peer == MOVED


def test_the_present_address_is_asked_first_and_its_answer_dismisses_a_forger() -> None:
    pair = established()
    commands = pair.lns.receive(hello(pair), FORGER, pair.now)
    assert [command.to for command in commands if isinstance(command, Sent)] == [LAC_ADDRESS]
    pair.perform(pair.lns, commands)
    pair.run(30.0)
    assert pair.lns.peer == LAC_ADDRESS
    assert not pair.of(pair.lns, PeerMoved)


def test_a_peer_that_moves_twice_is_found_though_the_first_move_leads_nowhere_now() -> None:
    pair = established()
    del pair.addresses[LAC_ADDRESS]
    gone: Address = (MOVED[0], 40000)
    pair.perform(pair.lns, pair.lns.receive(hello(pair), gone, pair.now))
    pair.run(8.0)
    rebind(pair)
    pair.perform(pair.lns, pair.lns.probe(MOVED, pair.now))
    pair.run(30.0)
    assert pair.lns.peer == MOVED
    assert pair.lns.state is TunnelState.ESTABLISHED


def test_a_forgers_message_is_neither_acted_on_nor_acknowledged() -> None:
    pair = established()
    before = pair.lns._channel.nr
    pair.perform(pair.lns, pair.lns.receive(hello(pair), FORGER, pair.now))
    assert pair.lns._channel.nr == before


def test_a_forger_that_acknowledges_too_early_moves_nothing() -> None:
    pair = established()
    pair.addresses.clear()
    pair.lns.receive(hello(pair), FORGER, pair.now)
    nr = (pair.lns._channel.oldest_ns + 1) % 65536
    guess = ControlHeader(LNS_TUNNEL, 0, pair.lns._channel.nr, nr).encode(b"")
    pair.perform(pair.lns, pair.lns.receive(guess, FORGER, pair.now))
    assert pair.lns.peer == LAC_ADDRESS


def test_a_message_outside_the_window_is_not_even_asked_about() -> None:
    pair = established()
    assert pair.lns.receive(hello(pair, ns=500), FORGER, pair.now) == []


def test_strangers_are_asked_about_one_at_a_time_and_seldom() -> None:
    pair = established()
    asked = 0
    for number in range(200):
        stranger: Address = (f"203.0.113.{number}", 1)
        commands = pair.lns.receive(hello(pair), stranger, pair.now)
        asked += sum(isinstance(command, Sent) for command in commands)
        pair.perform(pair.lns, commands)
        pair.run(pair.now + 0.05)
    assert 1 <= asked <= 3


def test_a_candidate_gets_no_more_than_three_times_its_octets() -> None:
    pair = established()
    pair.addresses.clear()
    octets = hello(pair)
    commands = pair.lns.receive(octets, FORGER, pair.now)
    while (due := pair.lns.next_timeout()) is not None:
        commands += pair.lns.handle_timer(due)
    to_forger = [len(each.datagram) for each in commands if isinstance(each, Sent) and each.to == FORGER]
    assert 0 < sum(to_forger) <= 3 * len(octets)


def test_an_lns_may_answer_from_another_port() -> None:  # §8.1
    pair = Pair()
    pair.sources[id(pair.lns)] = ("192.0.2.1", 45000)
    pair.addresses["192.0.2.1", 45000] = pair.lns
    pair.dial()
    pair.run(2.0)
    assert pair.lac.peer == ("192.0.2.1", 45000)
    assert pair.lac.state is pair.lns.state is TunnelState.ESTABLISHED


def test_a_peer_that_has_lost_its_state_is_found_out_when_it_dials_again() -> None:
    pair = established()
    pair.addresses.clear()
    pair.now = 30.0
    pair.perform(pair.lns, pair.lns.receive(REQUEST, LAC_ADDRESS, pair.now))
    pair.run(38.0)
    assert [type(event) for event in pair.events[id(pair.lns)]][-2:] == [TunnelDown, Released]


def test_a_forged_or_late_sccrq_does_not_end_a_tunnel_whose_peer_lives() -> None:
    pair = established()
    for pause in (0.0, 30.0, 60.0):
        pair.run(pair.now + pause)
        pair.perform(pair.lns, pair.lns.receive(REQUEST, LAC_ADDRESS, pair.now))
    pair.run(200.0)
    assert pair.lns.state is pair.lac.state is TunnelState.ESTABLISHED
