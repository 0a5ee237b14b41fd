"""A conversation between client and concentrator as a ladder, in the colours of rich."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from rich.table import Table
from rich.text import Text

from deploy.lab.pcap import Datagram
from shared.dissect.datagram import dissect
from shared.dissect.parts import Dissection

_SPAN: Final = 36
_MEANING: Final = {
    "SCCRQ": "may I have a tunnel?",
    "SCCRP": "yes",
    "SCCCN": "the tunnel is up",
    "ICRQ": "may I have a session in it?",
    "ICRP": "yes",
    "ICCN": "the session is up: PPP may begin",
    "HELLO": "are you still there?",
    "ZLB": "received",
    "CDN": "the session is over",
    "StopCCN": "the tunnel is over",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One datagram of the conversation."""

    datagram: Datagram
    dissection: Dissection
    from_client: bool

    @property
    def is_control(self) -> bool:
        """Whether it is a control message of L2TP."""
        return bool(self.datagram.payload[0] & 0x80)

    @property
    def detail(self) -> str:
        """Return the summary without the IDs that every line would repeat."""
        _, separator, detail = self.dissection.summary.partition(": ")
        return detail if separator else ""


def steps(datagrams: Iterable[Datagram], client: str) -> list[Step]:
    """Return what was said, as steps."""
    return [
        Step(datagram, dissect(datagram.payload), datagram.source == client)
        for datagram in datagrams
        if datagram.payload
    ]


def ladder(conversation: list[Step], start_s: float) -> Table:
    """Return a row for each step: when, an arrow with its name, and what it means."""
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    table.add_column("seconds", justify="right", no_wrap=True)
    table.add_column(f"{'client':<{_SPAN - 12}}concentrator", no_wrap=True)
    table.add_column("")
    for step in conversation:
        table.add_row(f"{step.datagram.time_s - start_s:.3f}", _arrow(step), _said(step))
    return table


def _arrow(step: Step) -> Text:
    name = f" {step.dissection.name} "
    rest = _SPAN - 2 - len(name)
    if step.from_client:
        return Text(f"──{name}{'─' * (rest - 1)}▶", style="cyan")
    return Text(f"◀{'─' * (rest - 1)}{name}──", style="green")


def _said(step: Step) -> Text:
    text = Text()
    if meaning := _MEANING.get(step.dissection.name):
        text.append(meaning, style="bold")
    detail = step.detail
    if detail and step.dissection.name != "ZLB":
        text.append(f"{'  ' if meaning else ''}{detail}", style="dim")
    return text


def octets(step: Step) -> Iterator[Text]:
    """Yield the datagram part by part: offset, octets, text."""
    for line in step.dissection.lines(most_octets=40):
        offset, hexadecimal, said = line[:4], line[4:29], line[29:]
        text = Text("  ")
        text.append(offset, style="dim")
        text.append(hexadecimal, style="yellow")
        text.append(f"  {said}")
        yield text
