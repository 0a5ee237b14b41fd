"""Routes to the networks behind subscribers: several sessions may carry the same one, the latest has it."""

from __future__ import annotations

from controller.addresses import Routes


class FramedRoutes:
    """Who carries which prefix, in the order of their log-ins."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        self._carriers: dict[str, dict[tuple[int, int], str]] = {}  # prefix: session: device

    def add(self, prefix: str, key: tuple[int, int], device: str) -> None:
        """Let ``prefix`` go to the session ``key``, behind ``device``."""
        self._carriers.setdefault(prefix, {})[key] = device
        self._routes.replace(prefix, device)

    def remove(self, prefix: str, key: tuple[int, int]) -> None:
        """Let the session before this one have ``prefix`` again, or nobody."""
        carriers = self._carriers.get(prefix, {})
        device = carriers.pop(key, None)
        if device is None:
            return
        if carriers:
            self._routes.replace(prefix, next(reversed(carriers.values())))
        else:
            del self._carriers[prefix]
            self._routes.remove(prefix, device)
