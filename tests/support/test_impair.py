import socket
from collections.abc import Iterator

import pytest

from deploy.lab.namespaces import Lab
from tests.support.impair import ImpairedPath, Impairment
from tests.support.needs import need_namespaces
from tests.support.wait import wait_for

CONTROL = b"\xc8\x02"
DATA = b"\x00\x02"


def fates(impairment: Impairment, count: int = 4000) -> list[list[float]]:
    return [impairment.copies(0, number, CONTROL) for number in range(count)]


def test_the_same_seed_impairs_the_same_datagrams() -> None:
    assert fates(Impairment(seed=7)) == fates(Impairment(seed=7))
    assert fates(Impairment(seed=7)) != fates(Impairment(seed=8))


def test_a_fifth_is_lost_and_a_twentieth_of_the_rest_doubled() -> None:
    all_copies = fates(Impairment(seed=1))
    assert 0.18 < sum(not copies for copies in all_copies) / len(all_copies) < 0.22
    assert 0.03 < sum(len(copies) == 2 for copies in all_copies) / len(all_copies) < 0.05
    assert max(delay for copies in all_copies for delay in copies) < 2.0


def test_data_messages_pass_where_only_control_is_impaired() -> None:
    assert all(Impairment(seed=1).copies(0, number, DATA) == [0.0] for number in range(100))


@pytest.fixture
def lab() -> Iterator[Lab]:
    need_namespaces()
    with Lab() as lab:
        yield lab


@pytest.mark.netns
def test_each_client_has_its_own_socket_and_gets_its_own_answers(lab: Lab) -> None:
    namespace = lab.namespace("loop")
    server = namespace.call(lambda: bound("127.0.0.1", 1701))
    calm = Impairment(seed=1, drop=0, duplicate=0, delay_s=0.01)
    path = ImpairedPath(namespace, ("127.0.0.2", 1701), ("127.0.0.1", 1701), calm)
    lab.at_exit(path.close)
    clients = [namespace.call(lambda: bound("127.0.0.1", 0)) for _ in range(2)]
    for index, client in enumerate(clients):
        client.sendto(CONTROL + bytes([index]), ("127.0.0.2", 1701))
    heard = [server.recvfrom(100) for _ in clients]
    assert len({source for _, source in heard}) == 2
    for datagram, source in heard:
        server.sendto(datagram + b"!", source)
    assert [client.recv(100) for client in clients] == [CONTROL + b"\0!", CONTROL + b"\1!"]
    wait_for(lambda: path.totals.received == 4, "both ways counted")
    for opened in (server, *clients):
        opened.close()


def bound(address: str, port: int) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.settimeout(5)
    opened.bind((address, port))
    return opened
