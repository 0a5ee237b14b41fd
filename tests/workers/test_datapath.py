import struct
from ipaddress import IPv6Address

import pytest

from shared.addresses import Address
from shared.ip.checksum import internet_checksum
from tests.workers.recordings import Recorded, data_messages
from tests.workers.sessions import PEER, datapath, ipv4, ipv6, session, writable
from workers.datapath import FRAMES_PER_SESSION, Datapath, Downlink, Frame, Moved, Uplink

HOST = bytes((192, 168, 22, 100))
SUBSCRIBER = bytes((10, 0, 0, 10))
ELSEWHERE: Address = ("203.0.113.9", 4500)


def packet(
    source: bytes = SUBSCRIBER, destination: bytes = HOST, *, octets: int = 28, dont_fragment: bool = False
) -> bytes:
    flags = 0x4000 if dont_fragment else 0
    return (
        struct.pack("!BBHHHBBH", 0x45, 0, octets, 1, flags, 64, 17, 0)
        + source
        + destination
        + bytes(octets - 20)
    )


def packet6(source: str, destination: str, *, octets: int = 48) -> bytes:
    head = struct.pack("!IHBB", 6 << 28, octets - 40, 17, 64)
    return head + IPv6Address(source).packed + IPv6Address(destination).packed + bytes(octets - 40)


def data(payload: bytes, header: str = "0002 0001 0002") -> bytes:
    """RFC 2661 §3.1: flags and version, our tunnel ID, our session ID."""
    return bytes.fromhex(header) + payload


def up(path: Datapath, *datagrams: bytes, source: Address = PEER, now: float = 1.0) -> Uplink:
    return path.uplink([(writable(item), source) for item in datagrams], now)


def down(path: Datapath, *packets: bytes, now: float = 1.0) -> Downlink:
    return path.downlink([writable(item) for item in packets], now)


def dropped(path: Datapath) -> dict[str, int]:
    """The reasons that have been counted."""
    uneventful = {"rx_packets", "rx_octets", "tx_packets", "tx_octets", "rx_ppp_frames", "tx_ppp_frames"}
    return {name: value for name, value in path.counters.totals() if value and name not in uneventful}


def routed() -> Datapath:
    """One session, tunnel 1 session 2, with 10.0.0.10 and 192.168.150.0/24 behind it."""
    path = datapath(one := session())
    path.open_ipv4(one, ipv4("10.0.0.10", "192.168.150.0/24"))
    path.open_ipv6(one, ipv6("fe80::a", "2001:db8:150::/48"))
    return path


# ------------------------------------------------------------------------------------ from the peers


@pytest.mark.parametrize(
    ("header", "ppp"),
    [
        ("0002 0001 0002", "ff030021"),
        ("4002 0028 0001 0002", "ff030021"),  # L, as xl2tpd sends it
        ("0202 0001 0002 0000", "ff030021"),  # O with size 0 and no L: Cisco
        ("0202 0001 0002 0003 aaaaaa", "ff030021"),  # three octets of offset padding
        ("0102 0001 0002", "ff030021"),  # P
        ("0802 0001 0002 0007 0000", "ff030021"),  # S
        ("0002 0001 0002", "0021"),  # Address and Control compressed (RFC 1661 §6.6)
        ("0002 0001 0002", "21"),  # Protocol compressed too (§6.5)
        ("0002 0001 0002", "ff0321"),
    ],
)
def test_a_packet_goes_to_the_tun_from_any_form_of_header(header: str, ppp: str) -> None:
    path = routed()
    out = up(path, data(bytes.fromhex(ppp) + packet(), header))
    assert [bytes(item) for item in out.packets] == [packet()]
    assert not dropped(path)
    one = path.sessions[1, 2]
    assert (one.rx_packets, one.rx_octets, one.active_at) == (1, 28, 1.0)


def test_padding_behind_a_packet_is_stripped() -> None:
    assert [bytes(item) for item in up(routed(), data(b"\x21" + packet() + b"padding")).packets] == [packet()]


def test_what_is_no_packet_goes_to_the_machine_of_its_session() -> None:
    path = routed()
    echo = bytes.fromhex("ff03c021 09010008 12345678")
    out = up(path, data(echo))
    assert out.frames == [Frame(path.sessions[1, 2], echo)]
    assert path.counters.rx_ppp_frames == 1


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (b"", "malformed_l2tp"),
        (data(b"", "c802 000c 0001 0002 0000 0000"), "malformed_l2tp"),  # a control message
        (data(packet(), "0003 0001 0002"), "malformed_l2tp"),  # L2TPv3
        (data(packet(), "4002 0100 0001 0002"), "malformed_l2tp"),  # Length past the datagram
        (data(b"\x21" + packet(), "0002 0001 0003"), "no_session"),
        (data(b""), "malformed_ppp"),
        (data(b"\xff\x03\x00"), "malformed_ppp"),
        (data(b"\x21" + packet()[:19]), "malformed_ip"),
        (data(b"\x57" + packet()), "malformed_ip"),
        (data(b"\x21" + packet(HOST)), "spoofed_source"),
        (data(b"\x57" + packet6("fe80::b", "ff02::2")), "spoofed_source"),
        (data(b"\x57" + packet6("::", "ff02::16")), "spoofed_source"),
    ],
)
def test_what_can_not_be_forwarded_is_counted_once(datagram: bytes, reason: str) -> None:
    path = routed()
    assert up(path, datagram) == Uplink()
    assert dropped(path) == {reason: 1}


@pytest.mark.parametrize("octets", [b"\x21" + packet(), b"\x57" + packet6("fe80::a", "fe80::1")])
def test_packets_are_dropped_until_their_ncp_is_open(octets: bytes) -> None:  # RFC 1661 §3.5 for NCPs
    path = datapath(session())
    assert up(path, data(octets)) == Uplink()
    assert dropped(path) == {"network_closed": 1}


@pytest.mark.parametrize(
    "octets",
    [
        b"\x21" + packet(bytes((192, 168, 150, 10))),
        b"\x57" + packet6("2001:db8:150::10", "2001:db8::1"),
        b"\x57" + packet6("fe80::a", "ff02::2"),
    ],
)
def test_a_subscriber_sends_from_its_routes_and_its_link_local_address(octets: bytes) -> None:
    path = routed()
    assert len(up(path, data(octets)).packets) == 1
    assert not dropped(path)


def test_data_from_another_source_are_reported_once_a_second_for_each_tunnel() -> None:
    path = routed()
    path.add(session(7, 1))
    for now in (1.0, 1.5, 1.9):
        out = up(path, data(b"\x21" + packet()), source=ELSEWHERE, now=now)
        assert out == (Uplink(moved=[Moved(1, ELSEWHERE)]) if now == 1.0 else Uplink())
    assert up(path, data(b"", "0002 0007 0001"), source=ELSEWHERE, now=1.9).moved == [Moved(7, ELSEWHERE)]
    assert up(path, data(b"\x21" + packet()), source=ELSEWHERE, now=2.0).moved == [Moved(1, ELSEWHERE)]
    assert dropped(path) == {"wrong_peer": 5}


def test_a_source_with_the_same_address_and_another_port_is_another_source() -> None:
    path = routed()
    assert up(path, data(b"\x21" + packet()), source=(PEER[0], 1702)).packets == []


def test_a_tunnel_moves_with_all_its_sessions_and_no_other() -> None:
    path = datapath(one := session(1, 1), two := session(1, 2), other := session(2, 1))
    path.move_tunnel(1, ELSEWHERE)
    assert (one.peer, two.peer, other.peer) == (ELSEWHERE, ELSEWHERE, PEER)
    with pytest.raises(ValueError, match="host"):
        path.move_tunnel(2, ("host.example", 1701))
    assert other.peer == PEER


def test_old_sequence_numbers_are_dropped() -> None:  # RFC 2661 §5.4
    path = routed()
    numbers = ("0007", "0008", "0007", "0009")
    out = up(path, *[data(b"\x21" + packet(), f"0802 0001 0002 {ns} 0000") for ns in numbers])
    assert len(out.packets) == 3
    assert dropped(path) == {"out_of_sequence": 1}


def test_a_forger_does_not_move_the_sequence() -> None:
    path = routed()
    up(path, data(b"\x21" + packet(), "0802 0001 0002 0007 0000"))
    up(path, data(b"\x21" + packet(), "0802 0001 0002 7000 0000"), source=ELSEWHERE)
    assert len(up(path, data(b"\x21" + packet(), "0802 0001 0002 0008 0000")).packets) == 1


def test_one_session_can_not_flood_the_machines_of_all() -> None:
    path = routed()
    path.add(session(1, 3))
    flood = [data(bytes.fromhex("c021 0901 0004"))] * (FRAMES_PER_SESSION + 5)
    out = up(path, *flood, data(bytes.fromhex("c021 0901 0004"), "0002 0001 0003"))
    assert [frame.session.session_id for frame in out.frames] == [2] * FRAMES_PER_SESSION + [3]
    assert dropped(path) == {"ppp_flood": 5}


def test_the_mss_is_clamped_in_both_directions() -> None:
    path = datapath(one := session())
    path.open_ipv4(one, ipv4("10.0.0.10", clamp=1400))
    path.open_ipv6(one, ipv6("fe80::a", clamp=1400))
    syn = bytes.fromhex("c35000507b000001000000006002faf000000000 020405b4")
    syn4 = packet(octets=44)[:9] + b"\x06" + packet()[10:20] + syn
    syn6 = (
        packet6("fe80::a", "fe80::1", octets=64)[:6] + b"\x06\x40" + packet6("fe80::a", "fe80::1")[8:40] + syn
    )
    sent = up(path, data(b"\x21" + syn4), data(b"\x57" + syn6)).packets
    assert [bytes(item[-4:]).hex() for item in sent] == ["02040550", "0204053c"]  # 1360 and 1340
    back4 = syn4[:12] + syn4[16:20] + syn4[12:16] + syn4[20:]
    back6 = syn6[:8] + syn6[24:40] + syn6[8:24] + syn6[40:]
    datagrams = down(path, back4, back6).datagrams
    assert [item.octets[-4:].hex() for item in datagrams] == ["02040550", "0204053c"]
    assert dropped(path) == {"mss_clamped": 4}


# -------------------------------------------------------------------------------------- from the TUN


def test_a_packet_leaves_without_optional_header_fields() -> None:
    path = routed()
    (datagram,) = down(path, packet(HOST, SUBSCRIBER), now=4.0).datagrams
    assert datagram.octets == bytes.fromhex("0002 1111 2222 ff03 0021") + packet(HOST, SUBSCRIBER)
    one = path.sessions[1, 2]
    assert datagram.session is one
    assert (one.tx_packets, one.tx_octets, one.active_at) == (1, 28, 4.0)


def test_compressed_headers_and_sequence_numbers_are_sent_where_they_were_agreed() -> None:
    path = datapath(one := session(sequencing=True))
    path.open_ipv4(one, ipv4("10.0.0.10", ppp=b"\x21"))
    out = down(path, packet(HOST, SUBSCRIBER), packet(HOST, SUBSCRIBER)).datagrams
    assert [item.octets[:11].hex() for item in out] == [f"080211112222000{ns}000021" for ns in (0, 1)]


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"", "not_ip"),
        (b"\x45" + bytes(30), "not_ip"),
        (packet(HOST, bytes((224, 0, 0, 251))), "multicast"),
        (packet(HOST, bytes((255, 255, 255, 255))), "multicast"),
        (packet6("fe80::1", "ff02::1"), "multicast"),
        (packet(HOST, bytes((10, 0, 0, 11))), "no_destination"),
        (packet6("fe80::1", "fe80::b"), "no_destination"),
    ],
)
def test_what_is_for_nobody_is_counted(octets: bytes, reason: str) -> None:
    path = routed()
    assert down(path, octets) == Downlink()
    assert dropped(path) == {reason: 1}


def test_the_kernel_s_redirects_to_another_subscriber_are_kept_from_the_first() -> None:
    """Linux sends them for what comes in from a TUN and leaves by it; on a PPP link there is one router."""
    path = routed()
    # ICMP Redirect for the host 10.0.0.11 (RFC 792), from the gateway to the subscriber, without its quote.
    redirect = bytes.fromhex("45c0001c00000000 4001 0000 0a000001 0a00000a 0501 0000 0a00000b")
    redirect6 = packet6("fe80::1", "2001:db8:150::10")  # RFC 4861 §4.5
    redirect6 = redirect6[:6] + b"\x3a\xff" + redirect6[8:40] + b"\x89" + bytes(7)
    assert down(path, redirect, redirect6) == Downlink()
    assert dropped(path) == {"redirect": 2}
    echo = redirect[:20] + b"\x08" + redirect[21:]
    later_fragment = redirect[:6] + b"\x00\x10" + redirect[8:]
    assert len(down(path, echo, later_fragment, redirect[:2] + b"\x00\x14" + redirect[4:]).datagrams) == 3


def test_the_longest_prefix_decides_between_sessions() -> None:
    path = datapath(one := session(1, 1), two := session(1, 2), three := session(1, 3))
    path.open_ipv4(one, ipv4(None, "0.0.0.0/0"))
    path.open_ipv4(two, ipv4("10.0.0.2", "172.16.0.0/12"))
    path.open_ipv4(three, ipv4("10.0.0.3", "172.16.5.0/24"))
    destinations = ((10, 0, 0, 2), (172, 16, 5, 9), (172, 16, 6, 9), (8, 8, 8, 8))
    out = down(path, *[packet(HOST, bytes(item)) for item in destinations]).datagrams
    assert [item.session.session_id for item in out] == [2, 3, 2, 1]


def test_a_subscriber_who_dials_again_takes_its_address_over() -> None:
    path = datapath(old := session(1, 1), new := session(1, 2))
    path.open_ipv4(old, ipv4("10.0.0.10", "192.168.150.0/24"))
    path.open_ipv4(new, ipv4("10.0.0.10", "192.168.150.0/24"))
    path.remove(old)
    packets = packet(HOST, SUBSCRIBER), packet(HOST, bytes((192, 168, 150, 1)))
    assert [item.session for item in down(path, *packets).datagrams] == [new, new]
    path.remove(new)
    assert down(path, *packets).datagrams == []


def test_after_ipcp_is_closed_nothing_is_forwarded_either_way() -> None:
    path = routed()
    path.close_ipv4(path.sessions[1, 2])
    assert up(path, data(b"\x21" + packet())) == Uplink()
    assert down(path, packet(HOST, SUBSCRIBER)) == Downlink()
    assert dropped(path) == {"network_closed": 1, "no_destination": 1}


def test_a_packet_of_exactly_the_mtu_passes() -> None:
    path = routed()
    out = down(path, packet(HOST, SUBSCRIBER, octets=1462, dont_fragment=True))
    assert len(out.datagrams[0].octets) == 1462 + 10
    assert not dropped(path)


def test_one_that_is_larger_is_fragmented() -> None:
    path = routed()
    out = down(path, packet(HOST, SUBSCRIBER, octets=1500))
    assert [len(item.octets) - 10 for item in out.datagrams] == [1460, 60]  # 1440 and 40 octets of data
    assert path.sessions[1, 2].tx_packets == 1
    assert dropped(path) == {"fragmented": 1}


def test_one_with_df_comes_back_as_fragmentation_needed() -> None:  # RFC 1191 §4
    path = routed()
    out = down(path, packet(HOST, SUBSCRIBER, octets=1463, dont_fragment=True))
    assert out.datagrams == []
    (error,) = out.packets
    assert error[12:20] == SUBSCRIBER + HOST
    assert error[20:22].hex() == "0304"
    assert error[26:28].hex() == "05b6"
    assert internet_checksum(error[20:]) == 0
    assert dropped(path) == {"icmp_too_big": 1}


def test_in_ipv6_it_comes_back_as_packet_too_big() -> None:  # RFC 4443 §3.2
    out = down(routed(), packet6("2001:db8::1", "2001:db8:150::10", octets=1463))
    assert out.datagrams == []
    (error,) = out.packets
    assert error[40:42].hex() == "0200"
    assert error[44:48].hex() == "000005b6"


def test_an_ipv6_packet_of_the_least_mtu_always_passes() -> None:  # RFC 8200 §5
    path = datapath(one := session())
    path.open_ipv6(one, ipv6("fe80::a", mtu=576))
    assert len(down(path, packet6("fe80::1", "fe80::a", octets=1280)).datagrams) == 1


def test_icmp_errors_have_a_rate() -> None:  # RFC 1812 §4.3.2.8
    path = routed()
    large = packet(HOST, SUBSCRIBER, octets=1500, dont_fragment=True)
    assert len(down(path, *[large] * 64, now=1.0).packets) == 50
    assert len(down(path, *[large] * 64, now=1.1).packets) == 10
    assert dropped(path) == {"icmp_too_big": 60, "too_big": 68}


# ----------------------------------------------------------------------------- sessions and frames


def test_a_priority_frame_has_the_p_bit() -> None:  # RFC 2661 §3.1: LCP echo
    path = datapath(one := session(), two := session(1, 3, sequencing=True))
    echo = bytes.fromhex("ff03c0210901000812345678")
    assert path.frame(one, echo, priority=True).octets == bytes.fromhex("0102 1111 2222") + echo
    assert path.frame(one, echo, priority=False).octets == bytes.fromhex("0002 1111 2222") + echo
    assert path.frame(two, echo, priority=True).octets == bytes.fromhex("0902 1111 2222 0000 0000") + echo


def test_a_session_with_the_ids_of_another_takes_its_place() -> None:
    path = routed()
    path.add(new := session())
    assert path.sessions == {(1, 2): new}
    assert down(path, packet(HOST, SUBSCRIBER)) == Downlink()


def test_removing_a_session_twice_is_harmless() -> None:
    path = routed()
    old = path.sessions[1, 2]
    path.remove(old)
    path.add(new := session())
    path.remove(old)
    assert path.sessions == {(1, 2): new}


# ------------------------------------------------------------------------------------- recordings


def replay(
    messages: list[Recorded], address: str, interface_id: int | None = None
) -> tuple[Datapath, Uplink]:
    """Everything that one peer sent in a recording, through a session with the IDs that it wrote."""
    octets = messages[-1].octets
    at = 4 if octets[0] & 0x40 else 2
    tunnel_id, session_id = struct.unpack_from("!HH", octets, at)
    path = datapath(one := session(tunnel_id, session_id, peer=messages[0].source))
    path.open_ipv4(one, ipv4(address))
    if interface_id is not None:
        own = b"\xfe\x80" + bytes(6) + interface_id.to_bytes(8, "big")
        path.open_ipv6(one, ipv6(None))
        assert one.ipv6 is not None
        one.ipv6.own_address = own
    return path, path.uplink([(writable(item.octets), item.source) for item in messages], 1.0)


def test_xl2tpds_pings_are_forwarded() -> None:
    messages = data_messages("xl2tpd/ipv6.pcap", "10.99.0.2")
    path, out = replay(messages, "172.31.0.10", 0x648A_C7AF_33BC_4D1C)
    protocols = [item[9] if item[0] >> 4 == 4 else item[6] for item in out.packets]
    assert {1, 58} == set(protocols)
    assert not dropped(path)


def test_xl2tpds_sequenced_data_are_forwarded_all() -> None:
    messages = data_messages("xl2tpd/seq.pcap", "10.99.0.2")
    assert any(item.octets[0] & 0x08 for item in messages)
    path, out = replay(messages, "172.31.0.10")
    own = [item for item in out.packets if bytes(item[12:16]) == bytes((172, 31, 0, 10))]
    assert len(own) == len(out.packets) > 50
    assert "out_of_sequence" not in dropped(path)


def test_ciscos_offset_bit_is_understood() -> None:
    messages = data_messages("l2tp/xl2tpd_lac_cisco_lns_startup.pcap", "109.6.1.72")
    assert all(item.octets[0] & 0x02 for item in messages)
    path, out = replay(messages, "0.0.0.0", 0xCA4C_75FF_FE78_ED00)
    assert out.packets
    assert all(item[6] in {0, 17, 58} for item in out.packets)
    assert path.counters.malformed_l2tp == path.counters.malformed_ppp == path.counters.malformed_ip == 0
