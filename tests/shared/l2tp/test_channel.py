"""Reliable delivery of control messages (RFC 2661 §5.8 and Appendix A)."""

from __future__ import annotations

from shared.l2tp.channel import ACK_DELAY_S, Arrival, ReliableChannel
from shared.l2tp.header import ControlHeader, decode_control
from shared.l2tp.settings import ConnectionSettings

BODY = bytes.fromhex("8008 0000 0000 0006")


def channel(window: int = 4, **settings: float) -> ReliableChannel:
    made = ReliableChannel(ConnectionSettings("me", receive_window=window, **settings))  # type: ignore[arg-type]
    made.set_peer_window(8)
    return made


def numbers(datagrams: list[bytes]) -> list[tuple[int, int]]:
    headers = [decode_control(memoryview(datagram))[0] for datagram in datagrams]
    return [(header.ns, header.nr) for header in headers]


def arrive(made: ReliableChannel, ns: int, now: float = 0.0) -> Arrival:
    return made.receive(ControlHeader(1, 0, ns, 0), memoryview(BODY), now)


def filled(count: int) -> ReliableChannel:
    made = channel()
    for _ in range(count):
        made.enqueue(0, BODY)
    return made


def test_slow_start_opens_the_window_by_one_for_each_acknowledgement() -> None:
    made = filled(20)
    assert numbers(made.flush(0.0)) == [(0, 0)]
    made.acknowledge(1, 0.1)
    assert numbers(made.flush(0.1)) == [(1, 0), (2, 0)]
    made.acknowledge(3, 0.2)
    assert len(made.flush(0.2)) == 4


def test_the_peers_receive_window_is_never_exceeded() -> None:
    made = filled(40)
    made.set_peer_window(2)
    sent = len(made.flush(0.0))
    for nr in range(1, 30):
        made.acknowledge(nr, 0.0)
        sent += len(made.flush(0.0))
        assert sent - nr <= 2


def test_congestion_avoidance_opens_the_window_by_one_for_a_windows_worth() -> None:
    made = channel()
    made.set_peer_window(64)
    for _ in range(200):
        made.enqueue(0, BODY)
    made.flush(0.0)
    for nr in range(1, 9):  # slow start to a window of nine messages
        made.acknowledge(nr, 0.0)
        made.flush(0.0)
    made.retransmit(1.0)  # half of it is the threshold from now on
    grown = []
    for nr in range(9, 17):
        made.acknowledge(nr, 1.0)
        grown.append(len(made.flush(1.0)))
    assert sum(grown[:4]) > sum(grown[4:])


def test_retransmissions_wait_1_2_4_8_and_then_8_seconds() -> None:
    made = filled(1)
    made.flush(0.0)
    times, now = [], 0.0
    while not made.given_up:
        due = made.next_timeout()
        assert due is not None
        times.append(due - now)
        now = due
        made.retransmit(now)
    assert times == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0]


def test_a_retransmission_says_the_newest_nr() -> None:
    made = filled(1)
    assert numbers(made.flush(0.0)) == [(0, 0)]
    arrive(made, 0)
    assert numbers([made.retransmit(1.0)]) == [(0, 1)]


def test_what_followed_a_lost_message_is_sent_again_as_the_window_opens() -> None:
    made = filled(6)
    made.flush(0.0)
    made.acknowledge(1, 0.0)
    made.flush(0.0)  # 1 and 2
    made.acknowledge(3, 0.0)
    assert numbers(made.flush(0.0)) == [(3, 0), (4, 0), (5, 0)]
    assert numbers([made.retransmit(1.0)]) == [(3, 0)]
    assert made.flush(1.0) == []
    made.acknowledge(4, 1.1)  # a peer that drops what comes early
    assert numbers(made.flush(1.1)) == [(4, 0), (5, 0)]


def test_an_acknowledgement_of_everything_spares_the_repetition() -> None:
    made = filled(3)
    made.flush(0.0)
    made.acknowledge(1, 0.0)
    made.flush(0.0)
    made.retransmit(1.0)
    made.acknowledge(3, 1.1)  # a peer that keeps what comes early
    assert made.idle
    assert made.flush(1.1) == []
    assert made.next_timeout() is None


def test_a_zlb_takes_no_number() -> None:
    made = filled(1)
    arrive(made, 0)
    made.flush(0.0)
    arrive(made, 0)
    assert numbers(made.flush(0.0)) == [(1, 1)]
    made.acknowledge(1, 0.0)
    made.enqueue(0, BODY)
    assert numbers(made.flush(0.0)) == [(1, 1)]


def test_a_duplicate_is_acknowledged_again_at_once() -> None:
    made = channel()
    assert arrive(made, 0) is Arrival.NEXT
    assert made.flush(ACK_DELAY_S) != []
    assert made.flush(1.0) == []
    assert arrive(made, 0, 1.0) is Arrival.DUPLICATE
    assert numbers(made.flush(1.0)) == [(0, 1)]


def test_an_acknowledgement_waits_a_little_for_a_message_to_ride_on() -> None:
    made = channel()
    arrive(made, 0)
    assert made.flush(0.0) == []
    assert made.next_timeout() == ACK_DELAY_S
    made.enqueue(0, BODY)
    assert numbers(made.flush(0.001)) == [(0, 1)]
    assert made.flush(ACK_DELAY_S) == []


def test_early_messages_are_kept_up_to_the_window_and_delivered_in_order() -> None:
    made = channel(window=4)
    assert [arrive(made, ns) for ns in (1, 2, 3, 4)] == [Arrival.EARLY] * 3 + [Arrival.OUTSIDE]
    assert made.pop_early(0.0) is None
    assert arrive(made, 0) is Arrival.NEXT
    order = []
    while (early := made.pop_early(0.0)) is not None:
        order.append(early[0].ns)
    assert order == [1, 2, 3]
    assert made.nr == 4


def test_an_early_message_of_unusual_size_is_not_kept() -> None:
    made = channel(window=4)
    long = memoryview(bytes(60_000))
    assert made.receive(ControlHeader(1, 0, 1, 0), long, 0.0) is Arrival.OUTSIDE
    assert made.receive(ControlHeader(1, 0, 0, 0), long, 0.0) is Arrival.NEXT
    assert made.pop_early(0.0) is None


def test_numbers_are_compared_modulo_65536() -> None:
    made = channel()
    for ns in range(65536):
        assert arrive(made, ns) is Arrival.NEXT
    assert arrive(made, 65535) is Arrival.DUPLICATE
    assert arrive(made, 0) is Arrival.NEXT
    for count in range(65540):
        made.enqueue(0, BODY)
        made.flush(0.0)
        assert made.acknowledge((count + 1) % 65536, 0.0) == 1


def test_an_acknowledgement_of_what_was_never_sent_is_not_believed() -> None:
    made = filled(3)
    made.flush(0.0)
    assert made.may_acknowledge(1)
    assert not made.may_acknowledge(2)
    assert made.acknowledge(2, 0.0) == 0
    assert not made.idle


def test_an_old_acknowledgement_changes_nothing() -> None:
    made = filled(3)
    made.flush(0.0)
    made.acknowledge(1, 0.0)
    made.flush(0.0)
    assert made.may_acknowledge(0)
    assert made.acknowledge(0, 0.0) == 0
    assert made.backlog == 2
