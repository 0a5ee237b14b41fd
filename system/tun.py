"""A TUN device and the descriptor that owns it: the device lives as long as somebody has that open."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from typing import Final

from shared.errors import SystemRefused

CLONE_DEVICE: Final = "/dev/net/tun"
TUNSETIFF: Final = 0x400454CA
IFF_TUN: Final = 0x0001
IFF_NO_PI: Final = 0x1000  # no four octets of flags and protocol before each packet
_NAME_OCTETS: Final = 15  # IFNAMSIZ less the terminating zero
_REQUEST: Final = struct.Struct("16sH22x")  # struct ifreq: name, flags

_ADVICE: Final = {
    errno.ENOENT: "is missing; load the module (modprobe tun), or give the container this device",
    errno.ENXIO: "has no driver; load the module (modprobe tun)",
    errno.ENODEV: "has no driver; load the module (modprobe tun)",
    errno.EACCES: "may not be opened by this user; run as root, or chmod 0666 it",
    errno.EPERM: "needs CAP_NET_ADMIN in this network namespace; run as root or grant the capability",
    errno.EBUSY: "says that it is in use; is another culvert running in this network namespace?",
    errno.EINVAL: "refuses: a device of this name exists and is no TUN; remove it (ip link delete)",
}


def open_tun(name: str) -> int:
    """Create the TUN device ``name`` and return its descriptor, non-blocking, not inherited.

    Each read gives one IP packet, each write takes one. Raises `SystemRefused` with what to do about it.
    """
    if not 0 < len(name.encode()) <= _NAME_OCTETS:
        raise SystemRefused(f"{name!r} is no name for a device: it must have 1 to {_NAME_OCTETS} octets")
    try:
        descriptor = os.open(CLONE_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise SystemRefused(explain(error, name)) from error
    try:
        fcntl.ioctl(descriptor, TUNSETIFF, _REQUEST.pack(name.encode(), IFF_TUN | IFF_NO_PI))
    except OSError as error:
        os.close(descriptor)
        raise SystemRefused(explain(error, name)) from error
    return descriptor


def explain(error: OSError, name: str) -> str:
    """Return one line for the operator: why there is no such device and what to do."""
    advice = _ADVICE.get(error.errno or 0, f"refuses: {error.strerror}")
    return f"TUN device {name}: {CLONE_DEVICE} {advice}"
