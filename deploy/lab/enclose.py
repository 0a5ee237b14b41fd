"""Run a command in network and mount namespaces of its own, so that the machine stays as it was.

``python -m deploy.lab.enclose COMMAND...``: as root these two namespaces are enough; an ordinary user gets
a user namespace around them, in which the command is root. ``/run`` is an empty tmpfs in there. What the
command leaves running when it ends is ended too.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

MARK: Final = "CULVERT_ENCLOSED"
_PR_SET_CHILD_SUBREAPER: Final = 36

# Inside: nothing of ours spreads to the machine, and a loopback that works. sysfs would show the machine's
# interfaces; where mounting one of our own is refused, that is all that is lost.
_PREPARE: Final = """
mount --make-rprivate / &&
mount -t tmpfs -o mode=755 tmpfs /run && mkdir -p /run/netns /run/lock &&
ip link set lo up || exit 125
mount -t sysfs sysfs /sys 2>/dev/null
exec "$@"
"""

_USER_NAMESPACES_REFUSED: Final = """\
This machine lets no ordinary user make a user namespace ({reason}).
Either run the same command as root, or allow it, as root, by whichever of these the machine has:
    sysctl -w kernel.unprivileged_userns_clone=1
    sysctl -w user.max_user_namespaces=15000
    sysctl -w kernel.apparmor_restrict_unprivileged_userns=0
"""

_ROOT_REFUSED: Final = """\
Network namespaces can't be made here ({reason}), although this is root.
In a container that takes CAP_SYS_ADMIN and CAP_NET_ADMIN, and a seccomp profile that allows unshare(2).
"""

_NO_TUN: Final = """\
/dev/net/tun can't be opened ({reason}), and PPP's packets go through it. As root:
    modprobe tun; mkdir -p /dev/net; [ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200
    chmod 0666 /dev/net/tun
"""


def main(arguments: list[str]) -> int:
    """Run the command and return its status; 125 where the namespaces were refused."""
    if not arguments:
        print("usage: python -m deploy.lab.enclose COMMAND...", file=sys.stderr)
        return 2
    if os.environ.get(MARK):
        return subprocess.run(arguments, check=False).returncode
    if complaint := refusal():
        print(complaint, end="", file=sys.stderr)
        return 125
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    return _run([*_unshare(), "sh", "-c", _PREPARE, "sh", *arguments])


def refusal() -> str | None:
    """Say why the lab can't work on this machine and what to do about it; None where it can."""
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return _NO_TUN.format(reason=error.strerror)
    tried = subprocess.run([*_unshare(), "true"], capture_output=True, text=True, check=False)
    if tried.returncode == 0:
        return None
    reason = tried.stderr.strip() or f"status {tried.returncode}"
    return (_ROOT_REFUSED if os.geteuid() == 0 else _USER_NAMESPACES_REFUSED).format(reason=reason)


def _unshare() -> list[str]:
    own_user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *own_user, "--net", "--mount"]


def _run(command: list[str]) -> int:
    # Debian gives an ordinary user no sbin, but in there it is root and needs nft.
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    child = subprocess.Popen(command, env={**os.environ, "PATH": path, MARK: "1"})
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: os.kill(child.pid, received))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal gives it to the child as well
    status = child.returncode = _wait_reaping(child.pid)
    _end_leftovers()
    return status if status >= 0 else 128 - status


def _wait_reaping(pid: int) -> int:
    """Return the status of ``pid`` when it ends; take leave of orphans that end before."""
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == pid:
            return os.waitstatus_to_exitcode(status)


def _end_leftovers() -> None:
    """End the orphans, which have become our children: SIGTERM, and SIGKILL for what is there 3 s later."""
    started = time.monotonic()
    told: set[int] = set()
    while orphans := _children():
        late = time.monotonic() - started > 3
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError):
                if late or pid not in told:
                    os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
            told.add(pid)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.02)


def _children() -> list[int]:
    listed = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    return [int(pid) for pid in listed.split()]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
