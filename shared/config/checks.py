"""Checks across the tables of a configuration: names that refer to each other, addresses that collide."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any, Final, TypeVar

from shared.config.problems import Place
from shared.config.sections import Listen, Peer, Pool
from shared.config.subscribers import Profile, User

T = TypeVar("T")
Placed = list[tuple[Place, T]]


@dataclass(slots=True)
class Tables:
    """The valid tables, each with its place. ``names`` also holds those of tables that are not valid."""

    listen: Placed[Listen] = field(default_factory=list)
    pool: Placed[Pool] = field(default_factory=list)
    profile: Placed[Profile] = field(default_factory=list)
    user: Placed[User] = field(default_factory=list)
    peer: Placed[Peer] = field(default_factory=list)
    names: dict[str, set[str]] = field(default_factory=lambda: {"pool": set(), "profile": {"default"}})


def cross_check(tables: Tables) -> list[str]:
    """Return what is wrong between the tables, one line for each mistake."""
    return [line for check in _CHECKS for line in check(tables)]


def cautions(tables: Tables) -> list[str]:
    """Return what will work, but hardly as meant."""
    lines = []
    for place, profile in tables.profile:
        if profile.pool is None:
            lines.append(place.says("no pool: users without an address of their own get no IPv4 address"))
        if not set(profile.authentication) - {"chap"}:
            hashed = [user.name for _, user in tables.user if user.nt_hash is not None]
            lines += [place.says(f"offers CHAP alone, which {name!r} can't do by nt_hash") for name in hashed]
    return lines


def _listens(tables: Tables) -> Iterator[str]:
    yield from _twice(
        tables.listen, lambda listen: (listen.address, listen.port), "is listened on already by"
    )


def _pools(tables: Tables) -> Iterator[str]:
    yield from _twice(tables.pool, lambda pool: pool.name, "is the name already of", "name")
    for index, (place, pool) in enumerate(tables.pool):
        if pool.gateway not in pool.prefix:
            yield place.at("gateway").says(f"{pool.gateway} is not inside {pool.prefix}")
        elif is_edge(pool, pool.gateway):
            yield place.at("gateway").says(
                f"{pool.gateway} is the network or broadcast address of {pool.prefix}"
            )
        if pool.block_addresses is not None and pool.block_addresses > pool.prefix.num_addresses:
            yield place.at("block_addresses").says(
                f"{pool.prefix} has only {pool.prefix.num_addresses} addresses"
            )
        for other_place, other in tables.pool[:index]:
            if pool.prefix.overlaps(other.prefix):
                yield place.at("prefix").says(f"{pool.prefix} overlaps {other.prefix} of {other_place.key}")


def is_edge(pool: Pool, address: IPv4Address) -> bool:
    """Whether ``address`` is the network or broadcast address of the pool (RFC 3021: a /31 has neither)."""
    edges = (pool.prefix.network_address, pool.prefix.broadcast_address)
    return pool.prefix.prefixlen < 31 and address in edges


def _references(tables: Tables) -> Iterator[str]:
    for place, profile in tables.profile:
        yield from _exists(place.at("pool"), profile.pool, tables.names["pool"], "pool")
    chosen = [(place, user.profile) for place, user in tables.user]
    chosen += [(place, peer.profile) for place, peer in tables.peer]
    for place, name in chosen:
        yield from _exists(place.at("profile"), name, tables.names["profile"], "profile")


def _exists(place: Place, name: str | None, known: set[str], kind: str) -> Iterator[str]:
    if name is None or name in known:
        return
    close = difflib.get_close_matches(name, sorted(known), n=1)
    hint = f", did you mean {close[0]!r}?" if close else ""
    yield place.says(f"there is no {kind} {name!r}{hint}")


def _users(tables: Tables) -> Iterator[str]:
    yield from _twice(tables.user, lambda user: user.name, "is the name already of", "name")
    with_address = [(place, user) for place, user in tables.user if user.address is not None]
    yield from _twice(with_address, lambda user: user.address, "belongs already to", "address")
    for place, user in with_address:
        yield from _static_address(place.at("address"), user, tables)
    routes = [(place.at("routes", n), r) for place, user in tables.user for n, r in enumerate(user.routes)]
    yield from _twice(routes, lambda route: route, "is routed already by")


def _static_address(place: Place, user: User, tables: Tables) -> Iterator[str]:
    address = user.address
    assert address is not None
    for _, pool in tables.pool:
        if address == pool.gateway:
            yield place.says(f"{address} is the gateway of pool {pool.name!r}")
        elif address in pool.prefix and is_edge(pool, address):
            yield place.says(f"{address} is the network or broadcast address of pool {pool.name!r}")
    if not _has_gateway(user, address, tables):
        yield place.says(f"{address} is in no pool, and its profile has no pool or gateway to be our end")


def _has_gateway(user: User, address: IPv4Address, tables: Tables) -> bool:
    if any(address in pool.prefix for _, pool in tables.pool):
        return True
    wanted = "profile." + (user.profile or "default")
    profiles = {place.key: profile for place, profile in tables.profile}
    profile = profiles.get(wanted)
    if profile is None:  # an error of its own, unless it is the default one, which has neither
        return wanted != "profile.default"
    return profile.pool is not None or profile.gateway is not None


def _peers(tables: Tables) -> Iterator[str]:
    yield from _twice(tables.peer, lambda peer: peer.prefix, "is the prefix already of", "prefix")


def _twice(
    entries: Iterable[tuple[Place, T]], key: Callable[[T], Any], relation: str, *at: str
) -> Iterator[str]:
    seen: dict[Any, Place] = {}
    for place, entry in entries:
        value = key(entry)
        first = seen.setdefault(value, place)
        if first is not place:
            shown = ":".join(map(str, value)) if isinstance(value, tuple) else value
            where = first.key if first.file == place.file else f"{first.key} in {first.file}"
            yield place.at(*at).says(f"{shown} {relation} {where}")


_CHECKS: Final = (_listens, _pools, _references, _users, _peers)
