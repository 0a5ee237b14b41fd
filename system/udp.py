"""The sockets of one listen address: a `SO_REUSEPORT` group whose order says who reads what.

Index 0 is the controller's socket for tunnels that exist, index 1 + k worker k's, and the last one the
controller's for strangers: whatever names no tunnel, SCCRQ above all, so that a flood of it fills no queue
in which the messages of established tunnels wait. A classic-BPF program, run by the kernel on each datagram,
reads the L2TP header and returns the index (`shared.l2tp.sharding` is the rule for data in Python).
"""

from __future__ import annotations

import ctypes
import errno
import ipaddress
import socket
import struct
from collections.abc import Sequence
from typing import Final

from shared.addresses import address_text
from shared.errors import SystemRefused
from shared.l2tp.sharding import SPREAD_BASE
from system.holders import holder_of

SO_ATTACH_REUSEPORT_CBPF: Final = 51
SO_SNDBUFFORCE: Final = 32
SO_RCVBUFFORCE: Final = 33
IP_PKTINFO: Final = 8
IP_MTU_DISCOVER: Final = 10
IP_PMTUDISC_DONT: Final = 0

RECEIVE_BUFFER_OCTETS: Final = 8 * 1024 * 1024
SEND_BUFFER_OCTETS: Final = 4 * 1024 * 1024

# Opcodes of linux/bpf_common.h: class | size or operation | mode or source.
_LD_LENGTH: Final = 0x80  # A = octets of the datagram
_LD_HALF: Final = 0x28  # A = big-endian half-word at k
_LD_HALF_X: Final = 0x48  # A = half-word at X + k
_LDX: Final = 0x01  # X = k
_AND: Final = 0x54
_MOD: Final = 0x94
_ADD: Final = 0x04
_IF_EQUAL: Final = 0x15
_IF_AT_LEAST: Final = 0x35
_IF_ANY_BIT: Final = 0x45
_JUMP: Final = 0x05
_RETURN: Final = 0x06
_RETURN_A: Final = 0x16

_T_BIT: Final = 0x8000  # RFC 2661 §3.1
_L_BIT: Final = 0x4000
_VERSION: Final = 0x000F
_SHORTEST: Final = 6  # octets of a data header without options; a control header takes more

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, k: struct sock_filter


def steering_program(workers: int) -> tuple[Instruction, ...]:
    """Return the program for ``workers`` workers; jumps count the instructions to leap over.

    A load past the datagram's end would return 0, the socket of the tunnels, so short ones are seen to first.
    """
    return (
        (_LD_LENGTH, 0, 0, 0),
        (_IF_AT_LEAST, 0, 18, _SHORTEST),  # to "strangers"
        (_LD_HALF, 0, 0, 0),
        (_AND, 0, 0, _VERSION),
        (_IF_EQUAL, 0, 15, 2),  # to "strangers": L2TPv3 and L2F are counted there
        (_LD_HALF, 0, 0, 0),
        (_IF_ANY_BIT, 10, 0, _T_BIT),  # to "control"
        (_IF_ANY_BIT, 0, 2, _L_BIT),
        (_LDX, 0, 0, 2),  # the Length field moves the IDs by two octets
        (_JUMP, 0, 0, 1),
        (_LDX, 0, 0, 0),
        (_LD_HALF_X, 0, 0, 2),  # tunnel ID
        (_IF_AT_LEAST, 0, 1, SPREAD_BASE),
        (_LD_HALF_X, 0, 0, 4),  # session ID
        (_MOD, 0, 0, workers),
        (_ADD, 0, 0, 1),
        (_RETURN_A, 0, 0, 0),
        (_LD_HALF, 0, 0, 4),  # control: its tunnel ID
        (_IF_EQUAL, 1, 0, 0),  # to "strangers"
        (_RETURN, 0, 0, 0),
        (_RETURN, 0, 0, 1 + workers),  # strangers
    )


def open_group(address: str, port: int, workers: int) -> list[socket.socket]:
    """Return the 2 + ``workers`` sockets bound to ``address`` and ``port``, non-blocking, in order.

    Raises `SystemRefused` where the address can't be bound. The group would be joined silently where a
    process of the same user has one already: call `ensure_free` first.
    """
    family, sockaddr = resolve(address, port)
    group: list[socket.socket] = []
    try:
        for index in range(2 + workers):
            group.append(member := _open_member(family, address))
            if index == 0:  # before bind, so that not one datagram is steered otherwise
                _attach(member, steering_program(workers))
            member.bind(sockaddr)
    except OSError as error:
        for member in group:
            member.close()
        raise SystemRefused(_explain(error, family, sockaddr)) from error
    return group


def ensure_free(address: str, port: int) -> None:
    """Raise `SystemRefused`, naming the holder, where a process has ``address`` and ``port`` already."""
    family, sockaddr = resolve(address, port)
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            probe.bind(sockaddr)
        except OSError as error:
            raise SystemRefused(_explain(error, family, sockaddr)) from error


def resolve(
    address: str, port: int
) -> tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]:
    """Return family and socket address of a literal; the zone of ``fe80::1%eth0`` becomes its scope."""
    try:
        found = socket.getaddrinfo(
            address, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        )
    except socket.gaierror as error:
        raise SystemRefused(f"{address!r} is no IP address to listen on") from error
    family, _, _, _, sockaddr = found[0]
    return family, sockaddr  # type: ignore[return-value]  # bytes are for families unknown to Python


def is_wildcard(address: str) -> bool:
    """Return whether ``address`` stands for all, so that replies need IP_PKTINFO."""
    return ipaddress.ip_address(address).is_unspecified


def receive_buffer_octets(member: socket.socket) -> int:
    """Return what the kernel granted of `RECEIVE_BUFFER_OCTETS`; it reports the double (socket(7))."""
    return member.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2


def _open_member(family: socket.AddressFamily, address: str) -> socket.socket:
    member = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    member.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    _enlarge(member, SO_RCVBUFFORCE, socket.SO_RCVBUF, RECEIVE_BUFFER_OCTETS)
    _enlarge(member, SO_SNDBUFFORCE, socket.SO_SNDBUF, SEND_BUFFER_OCTETS)
    if family == socket.AF_INET6:
        member.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if is_wildcard(address):
            member.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        return member
    # Without DF: a tunnel must not die where a router on the path drops the ICMP that DF relies on.
    member.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
    if is_wildcard(address):
        member.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    return member


def _enlarge(member: socket.socket, force: int, plain: int, octets: int) -> None:
    """Ask for a buffer beyond net.core.*mem_max, which takes privilege, or else for as much as is allowed."""
    try:
        member.setsockopt(socket.SOL_SOCKET, force, octets)
    except PermissionError:
        member.setsockopt(socket.SOL_SOCKET, plain, octets)


def _attach(member: socket.socket, program: Sequence[Instruction]) -> None:
    """Attach ``program`` to the group that ``member`` founds (struct sock_fprog: length, pointer)."""
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in program))
    fprog = struct.pack("@HP", len(program), ctypes.addressof(code))
    member.setsockopt(socket.SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, fprog)


def _explain(error: OSError, family: int, sockaddr: tuple[str, int] | tuple[str, int, int, int]) -> str:
    """Return one line for the operator: what is wrong with the listen address and what to do."""
    where = f"listen on UDP {address_text(sockaddr)}"
    host, port = sockaddr[0], sockaddr[1]
    match error.errno:
        case errno.EADDRINUSE:
            holder = holder_of(family, host, port) or "another process"
            return f"{where}: in use by {holder}; stop it, or change address or port under [[listen]]"
        case errno.EADDRNOTAVAIL:
            return f"{where}: no interface has this address; add it, or listen on 0.0.0.0 or ::"
        case errno.EACCES:
            return f"{where}: ports below 1024 need root or CAP_NET_BIND_SERVICE"
        case errno.EAFNOSUPPORT:
            return f"{where}: the kernel has no IPv6 here; remove this [[listen]] or enable IPv6"
        case _:
            return f"{where}: {error.strerror}"
