"""The descriptors that outlive every process but the supervisor: UDP sockets and TUN devices."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from controller.api.listeners import bind_tcp
from controller.processes import Command
from shared.config.model import Config
from system import links, udp
from system.tun import open_tun

log = logging.getLogger(__name__)

# -P: a folder "controller" where the operator happens to stand is not ours to run.
PYTHON: Final = (sys.executable, "-P", "-m")


@dataclass(frozen=True, slots=True)
class Descriptors:
    """``groups[listen]``: a listen address's sockets, in the order of `system.udp`; ``tuns``: by worker."""

    groups: list[list[socket.socket]]
    tuns: list[int]

    def describe(self) -> dict[str, list[int] | list[list[int]]]:
        """Return what the controller is told: its sockets and each worker's inode, by listen address."""
        workers = range(len(self.tuns))
        return {
            "udp": [group[0].fileno() for group in self.groups],
            "strangers": [group[-1].fileno() for group in self.groups],
            "inodes": [[_inode(group[1 + index]) for group in self.groups] for index in workers],
        }

    def controller(self, arguments: tuple[str, ...]) -> Command:
        """Return the controller's command; it inherits the first and the last socket of each group."""
        inherited = tuple(group[place].fileno() for place in (0, -1) for group in self.groups)
        return Command("controller", (*PYTHON, "controller", *arguments), inherited)

    def worker(self, index: int, config: Config) -> Command:
        """Return the command of worker ``index``; it inherits its socket of each group and its TUN."""
        sockets = [group[1 + index].fileno() for group in self.groups]
        wildcard = [str(place) for place, listen in enumerate(config.listen) if listen.wildcard]
        arguments = {
            "--index": str(index),
            "--runtime": str(config.paths.runtime),
            "--udp": ",".join(map(str, sockets)),
            "--tun": str(self.tuns[index]),
            "--log-level": config.log.level,
            **({"--wildcard": ",".join(wildcard)} if wildcard else {}),
        }
        pairs = [part for pair in arguments.items() for part in pair]
        return Command(f"worker-{index}", (*PYTHON, "workers", *pairs), (*sockets, self.tuns[index]))


def open_descriptors(config: Config, cleanup: contextlib.ExitStack) -> Descriptors:
    """Open everything that ``config`` asks for, closed again by ``cleanup``. Raises `SystemRefused`."""
    workers = config.workers.count
    for listen in config.listen:  # all of them before the first is taken: they may overlap each other
        udp.ensure_free(listen.address, listen.port)
    if config.http.address is not None:  # the controller binds it; without it, that would start for ever
        bind_tcp(config.http.address).close()
    groups = []
    for listen in config.listen:
        groups.append(group := udp.open_group(listen.address, listen.port, workers))
        for member in group:
            cleanup.callback(member.close)
    tuns = []
    for index in range(workers):
        tuns.append(descriptor := open_tun(device_name(index)))
        cleanup.callback(os.close, descriptor)
        links.set_up(device_name(index), _mtu_octets(config), _gateways(config))
    _warn_of_small_buffers(groups[0][0])
    return Descriptors(groups, tuns)


def device_name(worker: int) -> str:
    """Return the name of a worker's TUN device."""
    return f"culvert{worker}"


def _mtu_octets(config: Config) -> int:
    """The largest that any subscriber may get; a worker sees to those who get less."""
    return max(profile.mtu_octets for profile in config.profile.values())


def _gateways(config: Config) -> list[str]:
    """Return each of our ends of the PPP links once, in the order of the file."""
    own = [pool.gateway for pool in config.pool]
    own += [profile.gateway for profile in config.profile.values() if profile.gateway is not None]
    return [str(gateway) for gateway in dict.fromkeys(own)]


def _inode(member: socket.socket) -> int:
    return os.fstat(member.fileno()).st_ino


def _warn_of_small_buffers(member: socket.socket) -> None:
    granted = udp.receive_buffer_octets(member)
    if granted < udp.RECEIVE_BUFFER_OCTETS:
        log.warning(
            "receive buffers have %d of %d octets, bursts may be lost: sysctl -w net.core.rmem_max=%d",
            granted,
            udp.RECEIVE_BUFFER_OCTETS,
            udp.RECEIVE_BUFFER_OCTETS,
        )


def forwarding_is_off() -> bool:
    """Return whether this machine, or this network namespace, does not route IPv4."""
    try:
        return Path("/proc/sys/net/ipv4/ip_forward").read_text().strip() == "0"
    except OSError:
        return False
