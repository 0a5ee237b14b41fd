"""What is wrong with a configuration, in lines that an operator can act on: ``file: key: reason``."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_SECRET_KEYS: Final = {"password", "secret", "nt_hash"}
_PLAIN: Final = {  # pydantic's type of error: how we say it
    "missing": "is required",
    "model_type": "must be a table",
    "string_type": "must be text in quotes",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: the file, and the dotted key in it; tables of an array count from 0."""

    file: str
    key: str = ""

    def at(self, *parts: str | int) -> Place:
        """Return the place of what is inside."""
        return Place(self.file, dotted((self.key, *parts) if self.key else parts))

    def says(self, reason: str) -> str:
        """Return the line that reports ``reason`` here."""
        return f"{self.file}: {self.key}: {reason}" if self.key else f"{self.file}: {reason}"


def dotted(parts: Iterable[str | int]) -> str:
    """Return a key as an operator reads it: ``user[2].profile``."""
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def did_you_mean(key: str, known: Iterable[str]) -> str:
    """Return the reason why ``key`` is refused, with the key that it resembles."""
    close = difflib.get_close_matches(key, sorted(known), n=1, cutoff=0.6)
    return f"unknown key, did you mean {close[0]!r}?" if close else "unknown key"


def explain(error: ValidationError, place: Place, model: type[BaseModel]) -> list[str]:
    """Return one line for each of pydantic's errors about the table at ``place``."""
    return list(dict.fromkeys(_line(detail, place, model) for detail in error.errors(include_url=False)))


def _line(detail: ErrorDetails, place: Place, model: type[BaseModel]) -> str:
    location = list(detail["loc"])
    at = place.at(*location)
    if detail["type"] == "extra_forbidden":
        return at.says(did_you_mean(str(location[-1]), model.model_fields))
    return at.says(_reason(detail, location))


def _reason(detail: ErrorDetails, location: list[str | int]) -> str:
    plain = _PLAIN.get(detail["type"])
    if plain is not None:
        return plain
    text = detail["msg"].removeprefix("Value error, ").replace("Input should", "must", 1)
    value = detail["input"]
    if (
        detail["type"] == "value_error"
        or isinstance(value, dict | list)
        or _SECRET_KEYS & set(map(str, location))
    ):
        return text
    return f"{text}, not {value!r}"
