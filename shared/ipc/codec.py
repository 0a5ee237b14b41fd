"""Messages to octets and back: ``msgpack [VERSION, KIND, *fields]``, checked against the type hints.

The checkers are built once, at import, from the dataclasses of `shared.ipc.messages`; decoding raises
`IPCError` on anything that does not fit, so a stray writer on the socket can't crash a process.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import IntEnum
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

import msgpack

from shared.errors import IPCError
from shared.ipc.messages import FromController, FromWorker

VERSION: Final = 1
MAX_OCTETS: Final = 16 * 1024 * 1024

Message = FromController | FromWorker
_Check = Callable[[Any], Any]


def encode(message: Message) -> bytes:
    """Return the octets of ``message``."""
    octets: bytes = msgpack.packb([VERSION, message.KIND, *_values(message)])
    return octets


def decode(octets: bytes) -> Message:
    """Return the message in ``octets``; raises `IPCError` where there is none of ours."""
    if len(octets) > MAX_OCTETS:
        raise IPCError(f"{len(octets)} octets are too many for a message")
    try:
        parts = msgpack.unpackb(octets, use_list=False)
    except (ValueError, TypeError, msgpack.exceptions.UnpackException, RecursionError) as error:
        raise IPCError(f"not msgpack: {error}") from error
    if not isinstance(parts, tuple) or len(parts) < 2 or parts[0] != VERSION:
        raise IPCError("not a message of this version")
    check = _CHECKS.get(parts[1]) if isinstance(parts[1], int) else None
    if check is None:
        raise IPCError(f"unknown kind {parts[1]!r}")
    message: Message = check(parts[2:])
    return message


def _values(value: Any) -> list[Any]:
    return [_plain(getattr(value, item.name)) for item in fields(value)]


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return _values(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, IntEnum) else value


def _checker(hint: Any) -> _Check:
    """Return a function that gives its argument back as ``hint``, or raises `IPCError`."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _any_of([_checker(option) for option in get_args(hint)], hint)
    if origin is tuple:
        return _tuple_of(get_args(hint))
    if is_dataclass(hint):
        return _dataclass_of(hint)
    if isinstance(hint, type) and issubclass(hint, IntEnum):
        return _member_of(hint)
    return _instance_of(hint)


def _instance_of(hint: type) -> _Check:
    accepted: tuple[type, ...] = (float, int) if hint is float else (hint,)

    def check(value: Any) -> Any:
        if not isinstance(value, accepted) or (isinstance(value, bool) and hint is not bool):
            raise IPCError(f"{type(value).__name__} where {hint.__name__} belongs")
        return value

    return check


def _member_of(hint: type[IntEnum]) -> _Check:
    def check(value: Any) -> Any:
        try:
            return hint(value)
        except ValueError as error:
            raise IPCError(str(error)) from error

    return check


def _any_of(options: list[_Check], hint: Any) -> _Check:
    def check(value: Any) -> Any:
        for option in options:
            try:
                return option(value)
            except IPCError:
                continue
        raise IPCError(f"{type(value).__name__} where {hint} belongs")

    return check


def _tuple_of(items: tuple[Any, ...]) -> _Check:
    if len(items) == 2 and items[1] is Ellipsis:
        every = _checker(items[0])

        def check_each(value: Any) -> Any:
            if not isinstance(value, tuple):
                raise IPCError(f"{type(value).__name__} where an array belongs")
            return tuple(every(item) for item in value)

        return check_each
    checks = [_checker(item) for item in items]

    def check_row(value: Any) -> Any:
        if not isinstance(value, tuple) or len(value) != len(checks):
            raise IPCError(f"an array of {len(checks)} belongs here")
        return tuple(check(item) for check, item in zip(checks, value, strict=True))

    return check_row


def _dataclass_of(hint: Any) -> _Check:
    hints = get_type_hints(hint)
    checks = [_checker(hints[item.name]) for item in fields(hint)]

    def check(value: Any) -> Any:
        if not isinstance(value, tuple) or len(value) != len(checks):
            raise IPCError(f"{hint.__name__} has {len(checks)} fields")
        return hint(*[check(item) for check, item in zip(checks, value, strict=True)])

    return check


_CHECKS: Final[dict[int, _Check]] = {
    message.KIND: _checker(message) for message in (*get_args(FromController), *get_args(FromWorker))
}
