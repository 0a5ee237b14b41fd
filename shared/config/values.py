"""The kinds of value that configuration keys hold, and the base of every table."""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator


class Section(BaseModel):
    """A table of the configuration: read-only, and a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _host(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError(f"{text!r} is not an IPv4 or IPv6 address") from None


def _host_and_port(text: str) -> str | None:
    if not text:
        return None
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdecimal() or not 0 <= int(port) <= 0xFFFF:
        raise ValueError(f'{text!r} is not of the form "127.0.0.1:9170" or "[::1]:9170"')
    _host(host.removeprefix("[").removesuffix("]"))
    return text


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError(f"{str(path)!r} must be an absolute path")
    return path


def _level(text: str) -> str:
    if text.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
        raise ValueError(f"{text!r} is none of DEBUG, INFO, WARNING, ERROR")
    return text.upper()


def _power_of_two(number: int) -> int:
    if number & number - 1:
        raise ValueError(f"{number} is not a power of two")
    return number


def _prefix(value: object) -> IPv4Network | IPv6Network:
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    if not isinstance(value, str):
        raise ValueError("must be text in quotes")  # noqa: TRY004  # pydantic takes ValueError alone
    return IPv6Network(value) if ":" in value else IPv4Network(value)


def _not_everything(prefix: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    if prefix.prefixlen == 0:
        raise ValueError("a default route to a subscriber would take all traffic")
    return prefix


Host = Annotated[str, AfterValidator(_host)]
HostAndPort = Annotated[str | None, AfterValidator(lambda text: _host_and_port(text or ""))]
AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
LogLevel = Annotated[str, AfterValidator(_level)]
Name = Annotated[str, Field(min_length=1, max_length=253)]
Port = Annotated[int, Field(ge=1, le=0xFFFF)]
Seconds = Annotated[float, Field(gt=0, le=86400 * 366)]
SecondsOrNever = Annotated[float, Field(ge=0, le=86400 * 366)]  # 0: never
Count = Annotated[int, Field(ge=1)]
CountOrUnlimited = Annotated[int, Field(ge=0)]  # 0: no limit
PacketOctets = Annotated[int, Field(ge=576, le=0xFFFF)]  # RFC 791: every host takes 576
Window = Annotated[int, Field(ge=1, le=1024)]  # control messages
BlockSize = Annotated[int, Field(ge=1, le=65536), AfterValidator(_power_of_two)]
Prefix = Annotated[IPv4Network | IPv6Network, PlainValidator(_prefix)]
RoutedPrefix = Annotated[Prefix, AfterValidator(_not_everything)]
Servers = Annotated[tuple[IPv4Address, ...], Field(max_length=2)]  # RFC 1877: a primary and a secondary
