"""Any octets at all, from any side, leave every session as it was."""

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.addresses import Address
from shared.ipc.messages import LinkDown
from tests.workers.dialer import CPE, Exchange, assigned
from tests.workers.sessions import PEER, datapath, ipv4, ipv6, session, writable
from workers.datapath import Datapath

SOURCES: st.SearchStrategy[Address] = st.sampled_from([PEER, ("203.0.113.9", 4500)])
HEADERS = st.sampled_from(
    [
        bytes.fromhex(text)
        for text in (
            "000200010002",
            "400200ff00010002",
            "0a020001000200070000 0001",
            "080200010002fff00000",
            "",
        )
    ]
)
PROTOCOLS = st.sampled_from(
    [bytes.fromhex(text) for text in ("ff030021", "21", "0057", "ff03c021", "8021", "")]
)
IP_STARTS = st.sampled_from(
    [
        b"",
        bytes.fromhex("45000028000040004006 0000 0a00000a c0a81664 c35000507b000001000000007002faf000000000"),
        bytes.fromhex("6000000000140640 fe80000000000000000000000000000a fe800000000000000000000000000001"),
        bytes.fromhex("45000f00000000004006 0000 c0a81664 0a00000a"),
    ]
)
DATAGRAMS = st.one_of(
    st.binary(max_size=64),
    st.builds(lambda *parts: b"".join(parts), HEADERS, PROTOCOLS, IP_STARTS, st.binary(max_size=48)),
)
PACKETS = st.builds(lambda start, rest: start + rest, IP_STARTS, st.binary(max_size=4000))


UPLINK_REASONS = (
    "malformed_l2tp",
    "no_session",
    "wrong_peer",
    "out_of_sequence",
    "malformed_ppp",
    "ppp_flood",
    "network_closed",
    "malformed_ip",
    "spoofed_source",
)


def routed() -> Datapath:
    path = datapath(one := session(), two := session(1, 3, sequencing=True))
    path.open_ipv4(one, ipv4("10.0.0.10", "192.168.150.0/24", clamp=1400))
    path.open_ipv6(one, ipv6("fe80::a", "2001:db8:150::/48", clamp=1400))
    path.open_ipv4(two, ipv4(None, "0.0.0.0/0", mtu=68, clamp=68))
    return path


def state(path: Datapath) -> list[object]:
    return [(item.key, item.peer, item.ipv4, item.ipv6) for item in path.sessions.values()]


@given(st.lists(st.tuples(DATAGRAMS, SOURCES), max_size=12))
def test_any_datagrams_leave_every_session_and_each_is_counted_once(
    batch: list[tuple[bytes, Address]],
) -> None:
    path = routed()
    before = state(path)
    out = path.uplink([(writable(octets), source) for octets, source in batch], 1.0)
    assert state(path) == before
    counted = dict(path.counters.totals())
    forwarded = len(out.packets) + len(out.frames)
    assert forwarded == counted["rx_packets"] + counted["rx_ppp_frames"]
    assert forwarded + sum(counted[reason] for reason in UPLINK_REASONS) == len(batch)


@given(st.lists(PACKETS, max_size=6))
def test_any_packets_from_the_tun_leave_every_session_and_each_is_counted_once(batch: list[bytes]) -> None:
    path = routed()
    before = state(path)
    out = path.downlink([writable(octets) for octets in batch], 1.0)
    assert state(path) == before
    counted = dict(path.counters.totals())
    reasons = ("tx_packets", "icmp_too_big", "too_big", "not_ip", "multicast", "no_destination", "redirect")
    assert sum(counted[reason] for reason in reasons) == len(batch)
    for item in out.datagrams:
        network = item.session.ipv4
        assert network is not None
        assert len(item.octets) <= max(network.mtu_octets, 1280) + 14


@settings(max_examples=50)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.builds(lambda *parts: b"".join(parts), PROTOCOLS, st.binary(max_size=40)),
        ),
        max_size=20,
    )
)
def test_any_ppp_frames_of_one_subscriber_leave_the_others_up(frames: list[bytes]) -> None:
    exchange = Exchange()
    for session_id in (1, 2):
        exchange.dial(assigned(1, session_id))
    for frame in frames:
        exchange.inject(bytes.fromhex("0002 0001 0001") + frame, CPE)
    assert exchange.worker.subscribers[1, 2].up
    ended = [report for report in exchange.reports if isinstance(report, LinkDown)]
    assert len(ended) + len(exchange.worker.subscribers) == 2
    assert all(report.reason != "internal error" for report in ended)
