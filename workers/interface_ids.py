"""IPv6 interface identifiers that the subscribers of one worker have been granted: each is unique."""

from __future__ import annotations

from workers.session import Key


class InterfaceIds:
    """One identifier for each session: its link-local address leads to it alone within the worker's TUN."""

    def __init__(self) -> None:
        self._holders: dict[int, Key] = {}
        self._held: dict[Key, int] = {}

    def claim(self, key: Key, interface_id: int) -> bool:
        """Have ``key`` hold ``interface_id``, in place of another; False where another session holds it."""
        if self._holders.setdefault(interface_id, key) != key:
            return False
        if self._held.get(key) != interface_id:
            self.release(key)
            self._held[key] = interface_id
            self._holders[interface_id] = key
        return True

    def release(self, key: Key) -> None:
        """Let go of what ``key`` holds."""
        if (interface_id := self._held.pop(key, None)) is not None:
            del self._holders[interface_id]
