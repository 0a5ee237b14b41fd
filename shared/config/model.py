"""The configuration as a whole, and how it is read: every mistake at once, each with its file and key.

Only the controller, the supervisor and the command line import this: workers start without pydantic.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import Field, ValidationError

from shared.config.checks import Tables, cautions, cross_check
from shared.config.files import Reading, read_toml, resolve_secrets
from shared.config.problems import Place, did_you_mean, explain
from shared.config.sections import (
    HTTP,
    L2TP,
    NAT,
    Listen,
    Log,
    Names,
    Paths,
    Peer,
    Pool,
    Workers,
    default_listens,
)
from shared.config.subscribers import Profile, User
from shared.config.values import Section
from shared.errors import ConfigError

S = TypeVar("S", bound=Section)


class Config(Section):
    """All tables. ``profile`` always has "default"; ``user`` holds those of ``users_file`` as well."""

    listen: tuple[Listen, ...] = Field(default_factory=default_listens)
    workers: Workers = Field(default_factory=Workers)
    pool: tuple[Pool, ...] = ()
    profile: dict[str, Profile] = Field(default_factory=dict)
    users_file: Path | None = None
    user: tuple[User, ...] = ()
    peer: tuple[Peer, ...] = ()
    names: Names = Names()
    l2tp: L2TP = L2TP()
    nat: NAT = NAT()
    http: HTTP = HTTP()
    paths: Paths = Paths()
    log: Log = Log()
    warnings: tuple[str, ...] = Field(default=(), exclude=True)  # for the log, not a key of the file

    def model_post_init(self, _: object) -> None:
        """Make sure of the default profile, which needs not be written."""
        self.profile.setdefault("default", Profile())


_ARRAYS: Final[dict[str, type[Section]]] = {"listen": Listen, "pool": Pool, "user": User, "peer": Peer}
_SINGLE: Final[dict[str, type[Section]]] = {
    "workers": Workers,
    "names": Names,
    "l2tp": L2TP,
    "nat": NAT,
    "http": HTTP,
    "paths": Paths,
    "log": Log,
}
_KEYS: Final = {*_ARRAYS, *_SINGLE, "profile", "users_file"}


def load(path: Path | str, *, overrides: Mapping[str, object] | None = None) -> Config:
    """Return the configuration in ``path``.

    ``overrides`` replace keys of single tables, such as ``{"paths.runtime": "/tmp/x"}``; None leaves the
    file's value. Raises `ConfigError` with every problem there is.
    """
    return _Loader(Path(path)).load(overrides or {})


class _Loader:
    """One reading of the files. Each table is checked by itself, so that one mistake hides no other."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reading = Reading()
        self._tables = Tables()
        self._single: dict[str, Section] = {}

    def load(self, overrides: Mapping[str, object]) -> Config:
        raw = read_toml(self._path, self._reading)
        if raw is not None:
            self._override(raw, overrides)
            self._take(raw, Place(str(self._path)), _KEYS)
            self._take_users_file(raw)
            self._reading.problems += cross_check(self._tables)
        if self._reading.problems:
            raise ConfigError(self._reading.problems)
        return self._config(raw or {})

    def _override(self, raw: dict[str, Any], overrides: Mapping[str, object]) -> None:
        for key, value in overrides.items():
            table, _, name = key.partition(".")
            if value is not None and isinstance(raw.setdefault(table, {}), dict):
                raw[table][name] = str(value) if isinstance(value, Path) else value

    def _take(self, raw: dict[str, Any], place: Place, known: set[str]) -> None:
        for key, value in raw.items():
            if key not in known:
                self._reading.problems.append(place.at(key).says(did_you_mean(key, known)))
            elif key in _ARRAYS:
                self._take_array(key, value, place)
            elif key in _SINGLE:
                table = self._valid(_SINGLE[key], value, place.at(key))
                if table is not None:
                    self._single[key] = table
            elif key == "profile":
                self._take_profiles(value, place)

    def _take_array(self, key: str, value: Any, place: Place) -> None:
        if not isinstance(value, list):
            self._reading.problems.append(
                place.at(key).says(f"must be an array of tables, written [[{key}]]")
            )
            return
        folder = Path(place.file).parent
        for index, raw in enumerate(value):
            at = place.at(key, index)
            self._note_name(key, raw)
            if isinstance(raw, dict) and not resolve_secrets(key, raw, at, folder, self._reading):
                continue
            table = self._valid(_ARRAYS[key], raw, at)
            if table is not None:
                getattr(self._tables, key).append((at, table))

    def _note_name(self, key: str, raw: Any) -> None:
        if key in self._tables.names and isinstance(raw, dict) and isinstance(raw.get("name"), str):
            self._tables.names[key].add(raw["name"])

    def _take_profiles(self, value: Any, place: Place) -> None:
        if not isinstance(value, dict):
            self._reading.problems.append(place.at("profile").says("must be tables, written [profile.NAME]"))
            return
        for name, raw in value.items():
            self._tables.names["profile"].add(name)
            profile = self._valid(Profile, raw, place.at("profile", name))
            if profile is not None:
                self._tables.profile.append((place.at("profile", name), profile))

    def _take_users_file(self, raw: dict[str, Any]) -> None:
        name = raw.get("users_file")
        if name is None:
            return
        if not isinstance(name, str):
            self._reading.problems.append(Place(str(self._path), "users_file").says("must be text in quotes"))
            return
        path = self._path.parent / name
        users = read_toml(path, self._reading)
        self._take(users or {}, Place(str(path)), {"user"})

    def _valid(self, model: type[S], raw: Any, place: Place) -> S | None:
        try:  # by way of JSON, since a list in TOML is a tuple in the model, and yet "1" is no number
            return model.model_validate_json(json.dumps(raw, default=str), strict=True)
        except ValidationError as error:
            self._reading.problems += explain(error, place, model)
            return None

    def _config(self, raw: dict[str, Any]) -> Config:
        tables = self._tables
        return Config(
            listen=tuple(listen for _, listen in tables.listen) or default_listens(),
            pool=tuple(pool for _, pool in tables.pool),
            profile={place.key.removeprefix("profile."): profile for place, profile in tables.profile},
            users_file=raw.get("users_file"),
            user=tuple(user for _, user in tables.user),
            peer=tuple(peer for _, peer in tables.peer),
            warnings=(*self._reading.warnings, *cautions(tables)),
            **self._single,  # type: ignore[arg-type]  # keyed by name, checked against _SINGLE
        )
