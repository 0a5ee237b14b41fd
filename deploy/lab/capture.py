"""A capture of one interface by an AF_PACKET socket, into a pcap file."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import Final

from deploy.lab.namespaces import Namespace
from deploy.lab.pcap import Writer

_ETH_P_ALL: Final = 0x0003
_LONGEST_FRAME: Final = 65550  # a super-packet on its way between two namespaces
_RECEIVE_BUFFER: Final = 8 << 20


class Capture:
    """Writes every frame that passes ``interface``, from construction until `close`."""

    def __init__(self, namespace: Namespace, interface: str, path: Path) -> None:
        self.path = path
        self._socket = namespace.call(lambda: _packet_socket(interface))
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"capture of {interface}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with self.path.open("wb") as stream:
            writer = Writer(stream)
            while True:
                if stopping := self._stopping.is_set():
                    self._socket.setblocking(False)
                try:
                    writer.write(time.time(), self._socket.recv(_LONGEST_FRAME))
                except (TimeoutError, BlockingIOError):  # nothing is queued
                    if stopping:
                        return

    def close(self) -> None:
        """Stop, once what has passed is written."""
        self._stopping.set()
        self._thread.join()
        self._socket.close()


def _packet_socket(interface: str) -> socket.socket:
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    packets.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    packets.bind((interface, 0))
    packets.settimeout(0.1)
    return packets
