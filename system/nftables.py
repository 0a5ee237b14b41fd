"""Masquerade of the pools' prefixes, in a table that is ours alone: replaced and removed as a whole."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from ipaddress import ip_network
from typing import Any, Final

from shared.errors import SystemRefused

TABLE: Final = {"family": "inet", "name": "culvert"}
_CHAIN: Final = {"family": "inet", "table": "culvert", "name": "postrouting"}
_DEVICES: Final = "culvert*"  # subscribers behind different workers see each other's own addresses
_SOURCE_NAT: Final = 100  # NF_IP_PRI_NAT_SRC
_DEADLINE_S: Final = 10


def install_masquerade(prefixes: Iterable[str]) -> None:
    """Hide ``prefixes`` behind the address of whatever interface but ours they leave by.

    An earlier table of ours is replaced in the same transaction. Raises `SystemRefused`.
    """
    _run([*_removal(), *_table(prefixes)])


def remove_masquerade() -> None:
    """Remove our table; nothing where there is none. Raises `SystemRefused`."""
    _run(_removal())


def _removal() -> list[dict[str, Any]]:
    """Return commands that succeed whether the table is there or not: `delete` alone would not."""
    return [{"add": {"table": TABLE}}, {"delete": {"table": TABLE}}]


def _table(prefixes: Iterable[str]) -> list[dict[str, Any]]:
    hook = {**_CHAIN, "type": "nat", "hook": "postrouting", "prio": _SOURCE_NAT, "policy": "accept"}
    rules = [{"add": {"rule": _rule(prefix)}} for prefix in prefixes]
    return [{"add": {"table": TABLE}}, {"add": {"chain": hook}}, *rules]


def _rule(prefix: str) -> dict[str, Any]:
    network = ip_network(prefix)
    source = {"payload": {"protocol": "ip" if network.version == 4 else "ip6", "field": "saddr"}}
    member = {"prefix": {"addr": str(network.network_address), "len": network.prefixlen}}
    return {
        "family": "inet",
        "table": "culvert",
        "chain": "postrouting",
        "expr": [
            {"match": {"op": "==", "left": source, "right": member}},
            {"match": {"op": "!=", "left": {"meta": {"key": "oifname"}}, "right": _DEVICES}},
            {"masquerade": None},
        ],
    }


def _run(commands: list[dict[str, Any]]) -> None:
    """Give ``commands`` to nft as one transaction."""
    try:
        done = subprocess.run(
            ["nft", "-j", "-f", "-"],
            input=json.dumps({"nftables": commands}),
            capture_output=True,
            text=True,
            timeout=_DEADLINE_S,
            check=False,
        )
    except FileNotFoundError as error:
        raise SystemRefused(
            "nft is missing: install the nftables package, or set masquerade = false under [nat]"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise SystemRefused(f"nft has not answered within {_DEADLINE_S} s") from error
    if done.returncode:
        complaint = (done.stderr or done.stdout).strip().partition("\n")[0]
        raise SystemRefused(f"nft refuses the table inet culvert: {complaint or done.returncode}")
