#!/usr/bin/python3
"""Small-packet load from a VM where system calls are dear: one sendmmsg() hands the kernel 256 datagrams.

    udpblast.py ADDR PAYLOAD_BYTES SECONDS [PORT]

Prints what the interface of the route says went out. What arrives is for the receiver's interface to count:
no listener is needed, as the receiver's kernel drops the datagrams (ICMP about them is rate-limited).
"""

import ctypes
import socket
import subprocess
import sys
import time
from pathlib import Path

BATCH = 256


class Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]


class Msghdr(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_void_p),
        ("namelen", ctypes.c_uint32),
        ("iov", ctypes.POINTER(Iovec)),
        ("iovlen", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    ]


class Mmsghdr(ctypes.Structure):
    _fields_ = [("hdr", Msghdr), ("len", ctypes.c_uint)]


def main() -> None:
    addr, size, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    port = int(sys.argv[4]) if len(sys.argv) > 4 else 9
    asked = subprocess.run(["ip", "-o", "route", "get", addr], capture_output=True, text=True, check=True)
    route = asked.stdout.split()
    stat = Path(f"/sys/class/net/{route[route.index('dev') + 1]}/statistics/tx_packets")
    family = socket.AF_INET6 if ":" in addr else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
    sock.connect((addr, port))
    buf = ctypes.create_string_buffer(size)
    iov = Iovec(ctypes.addressof(buf), size)
    msgs = (Mmsghdr * BATCH)()
    for m in msgs:
        m.hdr.iov, m.hdr.iovlen = ctypes.pointer(iov), 1
    sendmmsg = ctypes.CDLL(None, use_errno=True).sendmmsg
    before = int(stat.read_text())
    sent = 0
    start = time.monotonic()
    while (now := time.monotonic()) - start < seconds:
        sent += max(0, sendmmsg(sock.fileno(), msgs, BATCH, 0))
    tx = int(stat.read_text()) - before
    took = now - start
    sys.stdout.write(
        f"udpblast: {size} bytes: {sent} handed to the kernel in {took:.2f} s = {sent / took:.0f}/s; "
        f"interface sent {tx} = {tx / took:.0f}/s = {tx * (size + 28) * 8 / took / 1e6:.1f} Mbit/s of IP\n"
    )


if __name__ == "__main__":
    main()
