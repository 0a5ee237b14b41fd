"""Network namespaces from Python: made, joined by veth pairs, and gone when their `Lab` closes.

A namespace lives as long as a holder process that waits on a pipe of ours, so it goes away even where
this process is killed. Nothing is written under ``/run/netns`` unless a name is asked for, and nothing
needs ``ip netns exec``, whose mount of sysfs is refused in many containers.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from shared.errors import SystemRefused

T = TypeVar("T")

_BRIDGE_MAC: Final = "02:00:00:00:00:01"
_CLONE_NEWNET: Final = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """One network namespace. `run` waits for a command in it, `spawn` does not, `call` runs Python in it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo; read _"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        assert self._holder.stderr is not None
        if not self._holder.stdout.readline():  # it writes a line once it is in its namespace
            complaint = self._holder.stderr.read().decode().strip()
            self.close()
            raise SystemRefused(f"no network namespace for {name}: {complaint}")
        self.path = f"/proc/{self._holder.pid}/ns/net"
        self.ip("link set lo up")

    def command(self, *arguments: str) -> list[str]:
        """Return the command line that runs ``arguments`` in here."""
        return ["nsenter", f"--net={self.path}", "--", *arguments]

    def run(
        self, *arguments: str, check: bool = True, timeout: float = 60, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; `SystemRefused` where it fails, unless ``check`` is False."""
        done = subprocess.run(
            self.command(*arguments),
            capture_output=True,
            text=True,
            timeout=timeout,
            input=stdin,
            stdin=None if stdin is not None else subprocess.DEVNULL,
            check=False,
        )
        if check and done.returncode:
            said = (done.stderr or done.stdout).strip()
            raise SystemRefused(f"{self.name}: {' '.join(arguments)}: {said} (status {done.returncode})")
        return done

    def ip(self, *lines: str) -> None:
        """Give each of ``lines`` to iproute2, in one process."""
        self.run("ip", "-batch", "-", stdin="".join(f"{line}\n" for line in lines))

    def sysctl(self, key: str, value: str | int) -> None:
        """Write ``/proc/sys/net/KEY`` of this namespace; ``key`` has slashes."""
        self.call(lambda: Path("/proc/sys/net", key).write_text(f"{value}\n"))

    def forward(self) -> None:
        """Let this namespace route IPv4 and IPv6."""
        self.sysctl("ipv4/ip_forward", 1)
        self.sysctl("ipv6/conf/all/forwarding", 1)

    def call(self, function: Callable[[], T]) -> T:
        """Return ``function()``, run by a thread that is in here: sockets which it opens stay in here."""
        outcome: list[T] = []
        failure: list[BaseException] = []

        def inside() -> None:
            try:
                descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    if _LIBC.setns(descriptor, _CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), f"setns to {self.name}")
                finally:
                    os.close(descriptor)
                outcome.append(function())
            except BaseException as error:  # noqa: BLE001  it is raised again below, in the caller's thread
                failure.append(error)

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        if failure:
            raise failure[0]
        return outcome[0]

    def close(self) -> None:
        """End the holder; the kernel removes the namespace when its last process has gone."""
        for stream in (self._holder.stdin, self._holder.stdout, self._holder.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self._holder.wait()


class Lab:
    """Namespaces and what joins them; a context manager that takes all of it away again, in reverse order."""

    def __init__(self) -> None:
        self._cleanup = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def namespace(self, name: str) -> Namespace:
        """Make a namespace; ``name`` is for messages."""
        namespace = Namespace(name)
        self._cleanup.callback(namespace.close)
        return namespace

    def publish(self, namespace: Namespace, name: str) -> None:
        """Let ``ip netns exec NAME`` reach ``namespace``, for programs that know no other way."""
        pid = namespace.path.split("/")[2]
        subprocess.run(["ip", "netns", "attach", name, pid], check=True, capture_output=True)
        self._cleanup.callback(
            subprocess.run, ["ip", "netns", "delete", name], check=False, capture_output=True
        )

    def at_exit(self, action: Callable[[], object]) -> None:
        """Have ``action`` done when the lab closes, before what was made earlier goes away."""
        self._cleanup.callback(action)

    def bridge(self, namespace: Namespace, name: str, addresses: Sequence[str] = ()) -> None:
        """Make a bridge that forwards at once and owns ``addresses``.

        Its MAC address is fixed: by default it is its ports' lowest and changes when one of them goes, while
        the others' neighbours go on sending to the old one.
        """
        namespace.ip(
            f"link add {name} address {_BRIDGE_MAC} type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
            *_addresses(name, addresses),
            f"link set {name} up",
        )

    def link(
        self,
        one: tuple[Namespace, str],
        other: tuple[Namespace, str],
        *,
        addresses: tuple[Sequence[str], Sequence[str]] = ((), ()),
        mtu: int = 1500,
    ) -> None:
        """Join two namespaces by a veth pair; ``addresses`` are those of either end, with prefix lengths."""
        (near, near_name), (far, far_name) = one, other
        far_pid = far.path.split("/")[2]
        near.ip(f"link add {near_name} mtu {mtu} type veth peer name {far_name} mtu {mtu} netns {far_pid}")
        for end, name, own in ((near, near_name, addresses[0]), (far, far_name, addresses[1])):
            end.ip(*_addresses(name, own), f"link set {name} up")


def masquerade(namespace: Namespace, interface: str) -> None:
    """Hide what leaves by ``interface`` behind its address."""
    namespace.run("nft", "-f", "-", stdin=_MASQUERADE.format(interface=interface))


_MASQUERADE: Final = """
table ip lab {{
    chain postrouting {{
        type nat hook postrouting priority srcnat
        oifname "{interface}" masquerade
    }}
}}
"""


def _addresses(interface: str, addresses: Sequence[str]) -> list[str]:
    return [f"addr add {a} dev {interface}{' nodad' if ':' in a else ''}" for a in addresses]
