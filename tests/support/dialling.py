"""A client that has dialled: `culvert dial`, up, in a namespace."""

from __future__ import annotations

from collections.abc import Callable

from deploy.lab.namespaces import Namespace
from deploy.lab.processes import Running
from deploy.lab.topology import CONCENTRATOR_OUTER, LAN2_PREFIX
from tests.support.wait import LabFailure, wait_for

TUN = "culvert-dial"


def dial(
    run_culvert: Callable[..., Running],
    namespace: Namespace,
    *options: str,
    lns: str = CONCENTRATOR_OUTER,
    user: str = "alice",
    password: str = "secret",
) -> Running:
    """Start `culvert dial` with a route to the second LAN; see `wait_until_up`."""
    credentials = ["--user", user, "--password", password]
    return run_culvert(namespace, "dial", lns, *credentials, "--route", LAN2_PREFIX, *options)


def wait_until_up(client: Running, *, tun: str = TUN, deadline_s: float = 20) -> str:
    """Wait until the client's TUN has its address and return that."""

    def address() -> str | None:
        if client.status() is not None:
            raise LabFailure(f"{client} has ended with {client.status()}:\n{client.tail()}")
        shown = client.namespace.run("ip", "-4", "-oneline", "address", "show", "dev", tun, check=False)
        words = shown.stdout.split()
        routes = client.namespace.run("ip", "route", "show", "dev", tun, check=False).stdout
        ready = "inet" in words and LAN2_PREFIX in routes
        return words[words.index("inet") + 1].split("/")[0] if ready else None

    try:
        return wait_for(address, f"{tun} is up", deadline_s=deadline_s, step_s=0.05)
    except LabFailure as failure:
        raise LabFailure(f"{failure}\n{client.tail()}") from None
