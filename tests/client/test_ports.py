import socket

import pytest

from client.ports import Port, resolve
from shared.addresses import Address
from shared.errors import SystemRefused


def received(port: Port) -> list[tuple[bytes, Address]]:
    found: list[tuple[bytes, Address]] = []
    port.drain(lambda datagram, source: found.append((bytes(datagram), source)))
    return found


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_datagrams_cross_between_two_ports(host: str) -> None:
    family, _ = resolve(host, 1)
    one, other = Port(family, host), Port(family, host)
    _, to_other = resolve(host, other.name[1])
    one.send(b"a", to_other)
    one.send(b"b", to_other)
    assert [datagram for datagram, _ in received(other)] == [b"a", b"b"]
    one.close()
    other.close()


def test_an_icmp_error_is_remembered_and_does_not_stop_the_port() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        closed: Address = gone.getsockname()
    port = Port(socket.AF_INET, "127.0.0.1")
    port.send(b"x", closed)
    port.send(b"y", closed)  # the loopback's ICMP error has come by now
    assert port.last_error == "ICMP port unreachable: nothing listens there"
    assert port.dropped == 0
    port.send(b"z", port.name)
    assert [datagram for datagram, _ in received(port)] == [b"z"]
    port.close()


def test_an_address_that_is_not_ours_is_refused_with_its_name() -> None:
    with pytest.raises(SystemRefused, match=r"192\.0\.2\.77"):
        Port(socket.AF_INET, "192.0.2.77")


def test_a_host_that_does_not_exist_is_refused_with_its_name() -> None:
    with pytest.raises(SystemRefused, match=r"no-such-host\.invalid"):
        resolve("no-such-host.invalid", 1701)
