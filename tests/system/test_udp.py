"""Sockets of a listen address: what they are set to and what the operator reads when they can't be had."""

from __future__ import annotations

import os
import socket

import pytest

from shared.errors import SystemRefused
from system import udp


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_group_has_two_sockets_for_the_controller_and_one_for_each_worker() -> None:
    group = udp.open_group("127.0.0.1", port := free_port(), workers=3)
    assert [member.getsockname() for member in group] == [("127.0.0.1", port)] * 5
    assert not any(member.getblocking() for member in group)
    assert not any(member.get_inheritable() for member in group)
    for member in group:
        member.close()


def test_receive_buffers_are_larger_than_the_systems_default() -> None:
    (first, second, third) = udp.open_group("127.0.0.1", free_port(), workers=1)
    third.close()
    assert udp.receive_buffer_octets(first) >= udp.receive_buffer_octets(second) > 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        assert udp.receive_buffer_octets(first) >= udp.receive_buffer_octets(plain)
    first.close()
    second.close()


@pytest.mark.parametrize("address", ["0.0.0.0", "::"])
def test_a_wildcard_socket_tells_which_address_the_peer_dialled(address: str) -> None:
    group = udp.open_group(address, port := free_port(), workers=1)
    target = "127.0.0.1" if group[0].family == socket.AF_INET else "::1"
    with socket.socket(group[0].family, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"\xc8\x02", (target, port))
    group[-1].settimeout(5)
    _, ancillary, _, _ = group[-1].recvmsg(64, 256)
    [(_, _, info)] = ancillary
    assert socket.inet_pton(group[0].family, target) in info  # in_pktinfo, in6_pktinfo: ip(7), ipv6(7)
    for member in group:
        member.close()


def test_a_port_in_use_is_reported_with_its_holder_and_a_remedy() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        with pytest.raises(SystemRefused) as refusal:
            udp.ensure_free("0.0.0.0", port)
    assert f"0.0.0.0:{port}: in use by " in str(refusal.value)
    assert f"pid {os.getpid()};" in str(refusal.value)
    assert "[[listen]]" in str(refusal.value)


def test_a_group_of_another_instance_is_not_joined_silently() -> None:
    group = udp.open_group("127.0.0.1", port := free_port(), workers=1)
    with pytest.raises(SystemRefused, match=r"in use by .*, pid \d+; stop it"):
        udp.ensure_free("127.0.0.1", port)
    for member in group:
        member.close()
    udp.ensure_free("127.0.0.1", port)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("192.0.2.99", "no interface has this address"),
        ("2001:db8::99", "no interface has this address"),
        ("lns.example", "is no IP address"),
    ],
)
def test_an_address_that_can_not_be_bound_is_refused_in_one_line(address: str, reason: str) -> None:
    with pytest.raises(SystemRefused, match=reason) as refusal:
        udp.open_group(address, 1701, workers=1)
    assert "\n" not in str(refusal.value)


def test_ipv4_and_ipv6_wildcards_live_side_by_side() -> None:
    port = free_port()
    both = [*udp.open_group("0.0.0.0", port, workers=1), *udp.open_group("::", port, workers=1)]
    assert len(both) == 6
    for member in both:
        member.close()
