"""One line a second about a run of the emulator, and its summary for people."""

from __future__ import annotations

from typing import Final, TextIO

from client.load_run import LoadRun
from client.load_summary import Summary, TrafficFigures

_CLEAR_LINE: Final = "\r\x1b[K"


class ProgressLine:
    """Rewrites one line on a terminal; elsewhere writes a line each time if ``verbose``, else nothing."""

    def __init__(self, stream: TextIO, *, verbose: bool = False) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._verbose = verbose

    def __call__(self, run: LoadRun, elapsed_s: float) -> None:
        """Show where ``run`` is, ``elapsed_s`` after its first arrival."""
        if self._verbose:
            while run.subscribers.notes:
                self._line(run.subscribers.notes.popleft())
        line = f"{elapsed_s:5.0f} s  {_state(run)}"
        if self._terminal:
            self._write(_CLEAR_LINE + line)
        elif self._verbose:
            self._line(line)

    def finish(self) -> None:
        """Leave the terminal's line empty."""
        if self._terminal:
            self._write(_CLEAR_LINE)

    def _line(self, text: str) -> None:
        self._write((_CLEAR_LINE if self._terminal else "") + text + "\n")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def _state(run: LoadRun) -> str:
    summary, subscribers = run.summary, run.subscribers
    parts = [
        f"{run.phase.value}: {subscribers.established} of {summary.asked} up",
        f"{subscribers.in_progress} on the way",
        f"{summary.failed.total()} failed",
    ]
    if summary.lost:
        parts.append(f"{summary.lost.total()} lost")
    if summary.traffic is not None and summary.traffic.sent:
        parts.append(_traffic(summary.traffic))
    return ", ".join(parts)


def _traffic(figures: TrafficFigures) -> str:
    wrong = figures.misdelivered + figures.corrupt
    return f"{figures.sent} packets sent, {figures.delivered} delivered, {wrong} wrong"


def describe(summary: Summary) -> str:
    """Return the summary in a few lines."""
    sessions = f"{summary.up} of {summary.asked} sessions up in {summary.setup_s:.1f} s"
    tunnels = f"{summary.tunnels_up} of {summary.tunnels_asked} tunnels"
    lines = [f"{sessions} ({summary.setup_rate_per_s:.0f}/s), {tunnels}"]
    for stage in ("tunnel", "call", "ppp", "setup"):
        figures = getattr(summary.latency, stage).summary()
        if not figures["count"]:
            continue
        shown = "  ".join(
            f"{name[:-3]} {figures[name]:.1f}" for name in ("p50_ms", "p90_ms", "p99_ms", "max_ms")
        )
        lines.append(f"  {stage:<7} {shown} ms")
    if summary.traffic is not None:
        lines.append(f"{_traffic(summary.traffic)}, {summary.traffic.lost} lost")
    closed = ", ".join(f"{count} {outcome}" for outcome, count in summary.tunnels_closed.items())
    lines.append(f"tunnels closed: {closed or 'none'}")
    if summary.network_error is not None and not summary.ok:
        lines.append(f"the network said: {summary.network_error}")
    return "\n".join(lines + [f"PROBLEM: {problem}" for problem in summary.problems])
