"""One tree of exceptions, split by who must act: the peer, the operator, or another process of ours.

A bug is none of these: it stays a plain exception and ends the process.
"""

from __future__ import annotations


class CulvertError(Exception):
    """Anything that Culvert raises on purpose."""


class ProtocolError(CulvertError):
    """The peer sent octets that break its protocol. Ends at most one tunnel or session."""


class BadLength(ProtocolError):
    """A length field contradicts the octets that are there."""


class BadValue(ProtocolError):
    """A field holds a value that its RFC forbids."""


class ConfigError(CulvertError):
    """The operator's configuration can't be used.

    ``problems`` holds one line for each mistake, ready to print: ``file: key: reason``.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class SystemRefused(CulvertError):
    """The kernel or a program of the system refused; the text says what to do about it."""


class IPCError(CulvertError):
    """A message between our processes that is not one of `shared.ipc`."""
