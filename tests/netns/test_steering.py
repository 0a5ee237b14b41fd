"""The kernel gives each datagram of a listen address to the process that is to read it.

A sender writes to one address; 2 + N sockets are bound to it in the order controller, worker 0, worker 1, ...
and the controller's second one, for those who name no tunnel.
Which of them became readable is compared with RFC 2661's header (§3.1), spelled out octet by octet.
"""

from __future__ import annotations

import os
import select
import socket
import struct
from collections.abc import Callable, Iterator, Sequence

import pytest

from deploy.lab.namespaces import Lab
from shared.l2tp.sharding import SPREAD_BASE, worker_of
from system import udp
from tests.support.needs import need_namespaces

pytestmark = pytest.mark.netns

Group = list[socket.socket]
OpenGroup = Callable[[str, int], Group]

CONTROLLER, STRANGERS = 0, -1
LENGTH, SEQUENCE, OFFSET, PRIORITY = 0x4000, 0x0800, 0x0200, 0x0100


def data_message(tunnel_id: int, session_id: int, flags: int = 0, version: int = 2) -> bytes:
    words = [flags | version]
    if flags & LENGTH:
        words.append(40)
    words += [tunnel_id, session_id]
    if flags & SEQUENCE:
        words += [17, 0]
    if flags & OFFSET:
        words.append(0)
    return struct.pack(f">{len(words)}H", *words) + b"\xff\x03\x00\x21 a payload"


def reader_of(group: Sequence[socket.socket], datagram: bytes) -> int:
    """Send ``datagram`` to the group and return the index of the socket that got it, -1 for the last.

    The controller's socket sends, since it is in the right namespace: to itself, by the group's address.
    """
    group[CONTROLLER].sendto(datagram, group[CONTROLLER].getsockname())
    readable, _, _ = select.select(group, [], [], 5)
    assert len(readable) == 1
    assert readable[0].recv(2048) == datagram
    index = list(group).index(readable[0])
    return STRANGERS if index == len(group) - 1 else index


@pytest.fixture
def open_group() -> Iterator[OpenGroup]:
    """``open_group(address, workers)`` on port 1701 in an empty network namespace."""
    need_namespaces()
    with Lab() as lab:
        namespace = lab.namespace("lns")

        def opened(address: str, workers: int) -> Group:
            group = namespace.call(lambda: udp.open_group(address, 1701, workers))
            for member in group:
                lab.at_exit(member.close)
            return group

        yield opened


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "0.0.0.0", "::"])
def test_control_messages_reach_the_controller_and_data_its_tunnels_worker(
    open_group: OpenGroup, address: str
) -> None:
    group = open_group(address, 3)
    for tunnel_id, reader in ((0, STRANGERS), (1, CONTROLLER), (0xFFFF, CONTROLLER)):
        hello = f"c802 0014 {tunnel_id:04x} 0000 0000 0000 8008 0000 0000 0006"
        assert reader_of(group, bytes.fromhex(hello)) == reader
    for tunnel_id in (1, 2, 3, 4, 0x1234, SPREAD_BASE - 1):
        assert reader_of(group, data_message(tunnel_id, 7)) == 1 + tunnel_id % 3


def test_every_combination_of_optional_fields_leaves_the_ids_where_they_are_read(
    open_group: OpenGroup,
) -> None:
    group = open_group("127.0.0.1", 4)
    for flags in range(0, 0x8000, 0x100):  # the reserved bits too
        for tunnel_id, session_id in ((0x0102, 0x0304), (0xF001, 0x0203)):
            expected = 1 + worker_of(tunnel_id, session_id, 4)
            assert reader_of(group, data_message(tunnel_id, session_id, flags)) == expected


def test_a_spread_tunnel_is_shared_out_by_session(open_group: OpenGroup) -> None:
    group = open_group("127.0.0.1", 4)
    for session_id in range(1, 20):
        for flags in (0, LENGTH, LENGTH | SEQUENCE):
            assert reader_of(group, data_message(SPREAD_BASE, session_id, flags)) == 1 + session_id % 4


def test_what_is_not_l2tp_version_2_is_a_stranger_s(open_group: OpenGroup) -> None:
    group = open_group("127.0.0.1", 4)
    short = [bytes(length) for length in range(8)]
    cut = [data_message(3, 3, flags)[:length] for length in range(6) for flags in (0, LENGTH, 0xC800)]
    other = [data_message(3, 3, version=version) for version in (0, 1, 3, 15)]
    for datagram in [*short, *cut, *other, b"\x00", b"GET / HTTP/1.0\r\n\r\n"]:
        assert reader_of(group, datagram) == STRANGERS


def test_data_whose_ids_are_cut_off_reach_the_controller(open_group: OpenGroup) -> None:
    assert reader_of(open_group("127.0.0.1", 4), data_message(0xFFFF, 3, LENGTH)[:7]) == CONTROLLER


def test_a_flood_of_strangers_takes_no_room_from_established_tunnels(open_group: OpenGroup) -> None:
    group = open_group("127.0.0.1", 2)
    sccrq = bytes.fromhex("c802 0014 0000 0000 0000 0000 8008 0000 0000 0001")
    for _ in range(2 * udp.RECEIVE_BUFFER_OCTETS // 500):  # the kernel counts over 500 octets for each
        group[CONTROLLER].sendto(sccrq, group[CONTROLLER].getsockname())
    hello = bytes.fromhex("c802 0014 0007 0000 0003 0002 8008 0000 0000 0006")
    group[CONTROLLER].sendto(hello, group[CONTROLLER].getsockname())
    assert group[CONTROLLER].recv(2048) == hello


def test_a_single_worker_gets_all_data(open_group: OpenGroup) -> None:
    group = open_group("127.0.0.1", 1)
    assert {reader_of(group, data_message(tunnel_id, 5)) for tunnel_id in (1, 2, 3, 0xFFFF)} == {1}


def test_a_datagram_waits_for_the_successor_of_a_process_that_died(open_group: OpenGroup) -> None:
    group = open_group("127.0.0.1", 2)
    child = os.fork()
    if child == 0:  # a worker that ends with its copies of the descriptors closed
        os._exit(0)
    os.waitpid(child, 0)
    group[CONTROLLER].sendto(data_message(1, 1), ("127.0.0.1", 1701))
    assert [reader_of([*group[:2], group[-1]], data_message(tunnel_id, 1)) for tunnel_id in (2, 4, 6)] == [
        1,
        1,
        1,
    ]
    assert group[2].recv(2048) == data_message(1, 1)


def test_large_ipv6_datagrams_are_steered_as_well(open_group: OpenGroup) -> None:
    group = open_group("::1", 3)
    assert reader_of(group, data_message(5, 1) + bytes(1400)) == 1 + 5 % 3
