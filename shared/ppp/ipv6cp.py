"""IPV6CP: interface identifiers, from which each side makes its link-local address (RFC 5072 §4)."""

from __future__ import annotations

from typing import ClassVar, Final

from shared.ppp.control import Answer, ControlProtocol
from shared.ppp.frame import Protocol
from shared.ppp.options import Option, OptionRule, OptionTable
from shared.ppp.policy import LinkEnd
from shared.ppp.terms import Terms

INTERFACE_IDENTIFIER: Final = 1

_UNIVERSAL_BIT: Final = 0x02  # in the first octet: the identifier is from IEEE numbers (§4.1)
_ATTEMPTS: Final = 256  # to find a free identifier: of 2**63, the first is free


class IPV6CP(ControlProtocol):
    """One side of IPV6CP. IPv6-Compression-Protocol (option 2) is rejected, having no row here."""

    NUMBER = Protocol.IPV6CP
    NAME = "IPV6CP"

    __slots__ = ("_suggestion", "_terms")

    def __init__(self, terms: Terms) -> None:
        super().__init__(terms.policy)
        self._terms = terms
        self._suggestion = b""  # what the peer gets if what it asks for can't be

    @property
    def local_id(self) -> int:
        """Our interface identifier."""
        return int.from_bytes(self.ours.get(INTERFACE_IDENTIFIER, self._configured), "big")

    @property
    def peer_id(self) -> int | None:
        """The peer's interface identifier; what we told it, where it does not ask for one."""
        value = self.theirs.get(INTERFACE_IDENTIFIER, self._suggestion)
        return int.from_bytes(value, "big") or None

    @property
    def _configured(self) -> bytes:
        return self._terms.local_interface_id.to_bytes(8, "big")

    def first_options(self) -> dict[int, bytes]:
        """Return our own identifier."""
        return {INTERFACE_IDENTIFIER: self._configured}

    def missing(self, types: set[int]) -> list[Option]:
        """Tell a peer that has no identifier which one it may use."""
        return [] if INTERFACE_IDENTIFIER in types else [Option(INTERFACE_IDENTIFIER, self._free())]

    def exhausted(self, options: list[Option], naked: list[Option]) -> Answer | None:
        """End with a peer that insists on an identifier that is not its own."""
        if any(option.type == INTERFACE_IDENTIFIER for option in options):
            reason = "the peer insists on an interface identifier that it can't have"
            self.fail(LinkEnd.NEGOTIATION_FAILED, reason)
            return None
        return super().exhausted(options, naked)

    def _usable(self, value: bytes) -> bool:
        ours = self.ours.get(INTERFACE_IDENTIFIER, self._configured)
        if not any(value) or value == ours:
            return False
        return self._terms.claim_interface_id(int.from_bytes(value, "big"))

    def _free(self) -> bytes:
        """Return an identifier that is unique on this concentrator, the same for each request (§4.1)."""
        if not self._suggestion or not self._usable(self._suggestion):
            octets = bytearray(self._terms.random(8))
            octets[0] &= ~_UNIVERSAL_BIT
            start = int.from_bytes(octets, "big")
            candidates = ((start ^ attempt).to_bytes(8, "big") for attempt in range(_ATTEMPTS))
            self._suggestion = next(filter(self._usable, candidates), bytes(octets))
        return self._suggestion

    def _judge_identifier(self, value: bytes) -> bytes:
        return value if self._usable(value) else self._free()

    def _revise_identifier(self, suggestion: bytes) -> bytes:
        """Take another identifier where the peer gives them out, and keep ours where we do."""
        keep = self._terms.assigns or len(suggestion) != 8 or not any(suggestion)
        return self.ours[INTERFACE_IDENTIFIER] if keep else suggestion

    OPTIONS: ClassVar[OptionTable] = {
        INTERFACE_IDENTIFIER: OptionRule("Interface-Identifier", (8,), _judge_identifier, _revise_identifier),
    }
