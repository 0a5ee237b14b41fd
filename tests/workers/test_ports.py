from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator

import pytest

from tests.support.needs import missing
from tests.workers.sessions import session
from workers.counters import DatapathCounters
from workers.datapath import Datagram
from workers.ports import BATCH, TunPort, UdpPort


@pytest.fixture
def endpoints() -> Iterator[tuple[socket.socket, socket.socket]]:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as two,
    ):
        for endpoint in (one, two):
            endpoint.bind(("127.0.0.1", 0))
            endpoint.setblocking(False)
        yield one, two


@pytest.fixture
def tun() -> Iterator[tuple[int, int]]:
    """A pair of descriptors that keep packets apart, as a TUN does: ours and the kernel's."""
    ours, kernels = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, kernels:
        ours.setblocking(False)
        kernels.setblocking(False)
        yield ours.fileno(), kernels.fileno()


def test_one_wake_up_reads_a_bounded_number_of_datagrams_whole_and_in_order(
    endpoints: tuple[socket.socket, socket.socket],
) -> None:
    near, far = endpoints
    port = UdpPort(near, DatapathCounters())
    sent = [bytes([index]) * (index + 1) for index in range(BATCH + 3)]
    for octets in sent:
        far.sendto(octets, near.getsockname())
    first = [(bytes(view), source) for view, source in port.receive()]
    second = [(bytes(view), source) for view, source in port.receive()]
    assert (len(first), len(second), port.receive()) == (BATCH, 3, [])
    assert [octets for octets, _ in first + second] == sent
    assert {source for _, source in first + second} == {far.getsockname()}


def test_the_largest_datagram_is_read_whole(endpoints: tuple[socket.socket, socket.socket]) -> None:
    near, far = endpoints
    far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 300_000)
    far.sendto(bytes(65_507), near.getsockname())
    [(view, _)] = UdpPort(near, DatapathCounters()).receive()
    assert len(view) == 65_507


def test_what_is_read_may_be_altered_in_place(endpoints: tuple[socket.socket, socket.socket]) -> None:
    near, far = endpoints
    far.sendto(b"abc", near.getsockname())
    [(view, _)] = UdpPort(near, DatapathCounters()).receive()
    view[0] = 0x7A
    assert bytes(view) == b"zbc"


def test_a_datagram_goes_to_the_sessions_peer(endpoints: tuple[socket.socket, socket.socket]) -> None:
    near, far = endpoints
    UdpPort(near, DatapathCounters()).send(Datagram(session(peer=far.getsockname()), b"octets"))
    assert far.recvfrom(100) == (b"octets", near.getsockname())


@pytest.mark.parametrize(
    ("family", "any_address", "dialled"),
    [(socket.AF_INET, "0.0.0.0", "127.0.0.2"), (socket.AF_INET6, "::", "::1")],
)
def test_bound_to_all_addresses_it_sends_from_the_one_that_was_dialled(
    family: socket.AddressFamily, any_address: str, dialled: str
) -> None:
    with socket.socket(family, socket.SOCK_DGRAM) as near, socket.socket(family, socket.SOCK_DGRAM) as far:
        try:
            near.bind((any_address, 0))
            far.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
        except OSError as error:
            missing(f"a loopback of this family: {error}")
        one = session(peer=far.getsockname())
        one.local_address = dialled
        counters = DatapathCounters()
        UdpPort(near, counters, wildcard=True).send(Datagram(one, b"octets"))
        assert (counters.udp_send_failed, counters.udp_send_full) == (0, 0)
        octets, source = far.recvfrom(100)
        assert (octets, source[0], source[1]) == (b"octets", dialled, near.getsockname()[1])


def test_what_the_network_does_not_take_is_a_counted_drop(
    endpoints: tuple[socket.socket, socket.socket],
) -> None:
    near, far = endpoints
    counters = DatapathCounters()
    UdpPort(near, counters).send(Datagram(session(peer=far.getsockname()), bytes(70_000)))
    assert counters.udp_send_failed == 1


class Full(socket.socket):
    """A socket whose buffer is full."""

    error = errno.EAGAIN

    def sendto(self, *arguments: object) -> int:
        raise OSError(self.error, os.strerror(self.error))


@pytest.mark.parametrize("error", [errno.EAGAIN, errno.ENOBUFS])
def test_a_full_socket_is_a_counted_drop(error: int) -> None:
    counters = DatapathCounters()
    with Full(socket.AF_INET, socket.SOCK_DGRAM) as full:
        full.error = error
        UdpPort(full, counters).send(Datagram(session(), b"octets"))
    assert counters.udp_send_full == 1


def test_packets_are_read_and_written_one_by_one(tun: tuple[int, int]) -> None:
    ours, kernels = tun
    port = TunPort(ours, DatapathCounters())
    for index in range(BATCH + 1):
        os.write(kernels, bytes([index]) * 20)
    assert [view[0] for view in port.receive()] == list(range(BATCH))
    assert [bytes(view) for view in port.receive()] == [bytes([BATCH]) * 20]
    port.send([memoryview(b"first"), b"second"])
    assert (os.read(kernels, 100), os.read(kernels, 100)) == (b"first", b"second")


def test_a_full_tun_is_a_counted_drop_and_never_a_wait(tun: tuple[int, int]) -> None:
    counters = DatapathCounters()
    TunPort(tun[0], counters).send([bytes(1400)] * 2000)
    assert counters.tun_write_full > 0


def test_a_packet_that_the_kernel_refuses_is_counted() -> None:
    counters = DatapathCounters()
    read_only = os.open("/dev/null", os.O_RDONLY)
    try:
        TunPort(read_only, counters).send([b"packet"])
    finally:
        os.close(read_only)
    assert counters.tun_write_failed == 1
