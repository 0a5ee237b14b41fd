"""What the API says, as values that `json` takes, and how a request is read. No HTTP in here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, Final, TypeVar

from controller.surface import Selection, Service, SessionRow, TunnelRow
from shared.errors import CulvertError

_FIELDS: Final[dict[str, type]] = {
    "tunnel_id": int,
    "session_id": int,
    "username": str,
    "ip": str,
    "all": bool,
}
_MAX_REASON: Final = 200
R = TypeVar("R")


class BadRequest(CulvertError):
    """The request can't be understood; the text says why."""


def rows(found: Iterable[Any]) -> list[dict[str, Any]]:
    """Return dataclasses of `controller.surface` as JSON objects with the same keys."""
    return [{item.name: getattr(row, item.name) for item in fields(row)} for row in found]


def sessions(service: Service, query: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the sessions that ``query`` (tunnel_id, session_id, username, ip) leaves, by ID."""
    wanted = _filters(query, ("tunnel_id", "session_id", "username", "ip"))
    return rows(sorted(_matching(service.sessions(), wanted), key=_session_order))


def tunnels(service: Service, query: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the tunnels that ``query`` (tunnel_id) leaves, by ID."""
    wanted = _filters(query, ("tunnel_id",))
    return rows(sorted(_matching(service.tunnels(), wanted), key=_tunnel_order))


def statistics(service: Service, info: Mapping[str, str], uptime_s: int) -> dict[str, Any]:
    """Return totals: what there is now, and what the controller and each worker have counted."""
    return {
        **info,
        "uptime_s": uptime_s,
        "sessions": dict(Counter(row.state for row in service.sessions())),
        "tunnels": dict(Counter(row.state for row in service.tunnels())),
        "controller": dict(service.counters()),
        "workers": {str(index): dict(totals) for index, totals in service.worker_counters().items()},
    }


def read_termination(body: object) -> tuple[Selection, str]:
    """Return which sessions a request means, and the reason for the log. Raises `BadRequest`."""
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object")
    reason = body.pop("reason", "administrative request")
    if not isinstance(reason, str) or len(reason) > _MAX_REASON:
        raise BadRequest(f"reason: must be text of at most {_MAX_REASON} characters")
    for key, value in body.items():
        kind = _FIELDS.get(key)
        if kind is None:
            raise BadRequest(f"{key}: unknown, there are {', '.join(_FIELDS)}, reason")
        if type(value) is not kind:  # a bool is an int to isinstance
            raise BadRequest(f"{key}: must be {_NAMES[kind]}")
    selection = Selection(**body)
    if selection == Selection():
        raise BadRequest("nothing is selected: give tunnel_id, session_id, username, ip, or all = true")
    return selection, reason


_NAMES: Final = {int: "a number", str: "text", bool: "true or false"}


def _filters(query: Mapping[str, str], known: tuple[str, ...]) -> dict[str, Any]:
    wanted: dict[str, Any] = {}
    for key, text in query.items():
        if key not in known:
            raise BadRequest(f"{key}: unknown, there are {', '.join(known)}")
        if _FIELDS[key] is int and not text.isdecimal():
            raise BadRequest(f"{key}: {text!r} is no number")
        wanted[key] = _FIELDS[key](text)
    return wanted


def _matching(found: Iterable[R], wanted: Mapping[str, Any]) -> Iterable[R]:
    return (row for row in found if all(getattr(row, key) == value for key, value in wanted.items()))


def _session_order(row: SessionRow) -> tuple[int, int]:
    return row.tunnel_id, row.session_id


def _tunnel_order(row: TunnelRow) -> int:
    return row.tunnel_id
