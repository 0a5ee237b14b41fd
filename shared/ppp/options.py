"""Configuration options: their octets, and the row that says how a protocol treats one (RFC 1661 §5, §6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from shared.errors import BadLength

M = TypeVar("M")


class Option(NamedTuple):
    """One option as it stands in a Configure packet."""

    type: int
    value: bytes


def decode_options(body: memoryview) -> list[Option]:
    """Return the options in the body of a Configure packet, in wire order.

    Raises `BadLength` when one is under its two octets of header or runs past ``body``.
    """
    options = []
    while body:
        length = body[1] if len(body) > 1 else 0
        if not 2 <= length <= len(body):
            raise BadLength(f"option {body[0]} claims {length} of {len(body)} octets")
        options.append(Option(body[0], bytes(body[2:length])))
        body = body[length:]
    return options


def encode_options(options: Iterable[tuple[int, bytes]]) -> bytes:
    """Return the octets of ``options``, in their order."""
    return b"".join(bytes((kind, 2 + len(value))) + value for kind, value in options)


def _reject(_machine: Any, _value: bytes) -> bytes | None:
    return None


def _nothing(_machine: Any) -> None:
    pass


@dataclass(frozen=True, slots=True)
class OptionRule(Generic[M]):
    """How a protocol, the machine ``M``, treats one option in both directions.

    ``judge`` is given the value in the peer's Configure-Request and returns the value that we accept: the
    same for a Configure-Ack, another one for a Configure-Nak, None for a Configure-Reject. ``revise`` is
    given what the peer suggests in a Configure-Nak of ours and returns what to ask for next; None gives the
    option up. ``dropped`` hears that the option is given up, by that or by a Configure-Reject.
    """

    name: str
    lengths: tuple[int, ...] = ()  # that the value may have; () for any. Others are rejected unseen.
    judge: Callable[[M, bytes], bytes | None] = _reject
    revise: Callable[[M, bytes], bytes | None] = _reject
    dropped: Callable[[M], None] = _nothing

    def accepted(self, machine: M, value: bytes) -> bytes | None:
        """Return ``judge``'s answer, or None where the length is wrong."""
        if self.lengths and len(value) not in self.lengths:
            return None
        return self.judge(machine, value)


OptionTable: TypeAlias = "dict[int, OptionRule[Any]]"
