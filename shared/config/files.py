"""Reading the configuration's files: TOML, secrets kept in files of their own, and who may read them."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from shared.config.problems import Place

_SECRET_FILES: Final = {"user": ("password", "password_file"), "peer": ("secret", "secret_file")}
_MAX_SECRET_OCTETS: Final = 4096


@dataclass(slots=True)
class Reading:
    """What came up while reading: ``problems`` prevent a start, ``warnings`` do not."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def read_toml(path: Path, reading: Reading) -> dict[str, Any] | None:
    """Return the tables of ``path``, None where it can't be read, which is a problem."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reading.problems.append(Place(str(path)).says(_refusal(error)))
    except UnicodeDecodeError as error:
        reading.problems.append(Place(str(path)).says(f"not UTF-8 at octet {error.start}"))
    except tomllib.TOMLDecodeError as error:  # its text ends in the line and column
        reading.problems.append(Place(str(path)).says(f"not TOML: {error}"))
    else:
        if _holds_secrets(tables):
            _warn_if_public(path, reading)
        return tables
    return None


def resolve_secrets(kind: str, table: dict[str, Any], place: Place, folder: Path, reading: Reading) -> bool:
    """Put the content of ``password_file`` or ``secret_file`` into ``table``; return whether that worked.

    A relative path starts at ``folder``, where the configuration is. The final newline is dropped.
    """
    value_key, file_key = _SECRET_FILES.get(kind, ("", ""))
    name = table.get(file_key)
    if not isinstance(name, str):
        return True  # absent, or for the model to complain about
    if value_key in table:
        reading.problems.append(place.at(file_key).says(f"stands beside {value_key}: only one can hold"))
        return False
    secret = _read_secret(folder / name, place.at(file_key), reading)
    if secret is not None:
        table[value_key] = secret
    return secret is not None


def _read_secret(path: Path, place: Place, reading: Reading) -> str | None:
    try:
        with path.open("rb") as file:
            octets = file.read(_MAX_SECRET_OCTETS + 1)
        secret = octets.decode().removesuffix("\n").removesuffix("\r")
    except OSError as error:
        reading.problems.append(place.says(f"{path}: {_refusal(error)}"))
    except UnicodeDecodeError:
        reading.problems.append(place.says(f"{path}: not UTF-8"))
    else:
        if secret and len(octets) <= _MAX_SECRET_OCTETS:
            _warn_if_public(path, reading)
            return secret
        size = "is empty" if not secret else f"holds more than {_MAX_SECRET_OCTETS} octets"
        reading.problems.append(place.says(f"{path} {size}"))
    return None


def _refusal(error: OSError) -> str:
    return f"can't be read: {error.strerror or error}"


def _holds_secrets(tables: dict[str, Any]) -> bool:
    entries = [entry for kind in ("user", "peer") for entry in _list(tables.get(kind))]
    keys = {"password", "secret", "nt_hash"}
    return any(isinstance(entry, dict) and keys & entry.keys() for entry in entries)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _warn_if_public(path: Path, reading: Reading) -> None:
    mode = path.stat().st_mode & 0o777
    if mode & 0o007:
        reading.warnings.append(
            Place(str(path)).says(
                f"holds secrets and its mode {mode:04o} lets everybody in: chmod o-rwx {path}"
            )
        )
