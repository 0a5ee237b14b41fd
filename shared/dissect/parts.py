"""The parts of a datagram, and how they are written as lines of octets and text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

_PER_LINE: Final = 8


@dataclass(frozen=True, slots=True)
class Part:
    """Some octets of a datagram and what they say. ``octets`` is None for those which nobody is to see."""

    start: int
    length: int
    octets: bytes | None
    text: str
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Dissection:
    """A whole datagram: what it is in a word or two, what it says in a line, and its parts in order."""

    name: str
    summary: str
    parts: tuple[Part, ...]

    def lines(self, *, most_octets: int = 64) -> list[str]:
        """Return the parts as lines: offset, octets in hexadecimal, text. Long parts are cut."""
        return [line for part in self.parts for line in _lines(part, most_octets)]


@dataclass(slots=True)
class Reader:
    """A datagram being taken apart from the front."""

    datagram: bytes
    position: int = 0
    end: int = -1
    depth: int = 0
    parts: list[Part] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.end < 0:
            self.end = len(self.datagram)

    def left(self) -> int:
        """Return how many octets have not been read."""
        return self.end - self.position

    def peek(self, octets: int, at: int = 0) -> bytes:
        """Return the next octets without taking them; fewer where there are fewer."""
        start = self.position + at
        return self.datagram[start : min(start + octets, self.end)]

    def number(self, octets: int, at: int = 0) -> int:
        """Return the next octets as a number, without taking them."""
        return int.from_bytes(self.peek(octets, at), "big")

    def take(self, octets: int, text: str, *, secret: bool = False) -> bytes:
        """Take the next octets as one part that says ``text``."""
        taken = self.peek(octets)
        if taken:
            self.parts.append(Part(self.position, len(taken), None if secret else taken, text, self.depth))
        self.position += len(taken)
        return taken

    def take_rest(self, text: str) -> bytes:
        """Take all that is left."""
        return self.take(self.left(), text)


def plural(count: int, thing: str) -> str:
    """Return "1 octet", "2 octets"."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def _lines(part: Part, most_octets: int) -> list[str]:
    indent = "  " * part.depth
    if part.octets is None:
        return [_line(part.start, "** ** **", indent + part.text)]
    shown = part.octets[:most_octets]
    rows = [shown[start : start + _PER_LINE] for start in range(0, len(shown), _PER_LINE)]
    lines = [
        _line(part.start + index * _PER_LINE, row.hex(" "), indent + part.text if index == 0 else "")
        for index, row in enumerate(rows)
    ]
    if len(part.octets) > most_octets:
        lines.append(f"      ... and {plural(len(part.octets) - most_octets, 'octet')} more")
    return lines


def _line(offset: int, octets: str, text: str) -> str:
    return f"{offset:04x}  {octets:<23}  {text}".rstrip()
