"""Which session a packet from the TUN belongs to: exact addresses first, then the longest prefix."""

from __future__ import annotations

from workers.session import Network, Prefix, Session


class Destinations:
    """The addresses and routes of one IP version.

    Where two sessions claim the same address or prefix, the later claim wins, and only its holder gives
    it up: a subscriber who dials again takes over before the old session is gone.
    """

    __slots__ = ("_bits", "_exact", "_lengths", "_prefixes")

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._exact: dict[bytes, Session] = {}
        self._prefixes: dict[int, dict[int, Session]] = {}  # by length, then by network >> host bits
        self._lengths: list[int] = []  # longest first

    def claim(self, session: Session, network: Network) -> None:
        """Send what goes to ``network``'s address and routes to ``session``."""
        if network.own_address is not None:
            self._exact[network.own_address] = session
        for route in network.routes:
            self._prefixes.setdefault(route.length, {})[self._index(route)] = session
        self._lengths = sorted(self._prefixes, reverse=True)

    def release(self, session: Session, network: Network) -> None:
        """Undo `claim`, except for what another session has claimed since."""
        address = network.own_address
        if address is not None and self._exact.get(address) is session:
            del self._exact[address]
        for route in network.routes:
            holders = self._prefixes.get(route.length, {})
            if holders.get(self._index(route)) is session:
                del holders[self._index(route)]
                if not holders:
                    del self._prefixes[route.length]
        self._lengths = sorted(self._prefixes, reverse=True)

    def find(self, address: bytes) -> Session | None:
        """Return the session behind ``address``, in network order."""
        if (session := self._exact.get(address)) is not None or not self._lengths:
            return session
        number = int.from_bytes(address, "big")
        for length in self._lengths:
            session = self._prefixes[length].get(number >> self._bits - length)
            if session is not None:
                return session
        return None

    def _index(self, route: Prefix) -> int:
        return route.network >> self._bits - route.length
