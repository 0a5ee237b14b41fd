"""Log lines on stderr: ``2026-01-02T03:04:05.678Z INFO controller session up tunnel=1 session=2``."""

from __future__ import annotations

import logging
import sys
import time
from typing import Final

_CONTROL: Final = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
_CONTROL[0x2028] = "\\u2028"  # line and paragraph separators start a new line in some readers
_CONTROL[0x2029] = "\\u2029"


class LineFormatter(logging.Formatter):
    """One line per record, whatever a peer put into a name; a bug's traceback follows on its own lines."""

    converter = staticmethod(time.gmtime)

    def __init__(self, process_name: str) -> None:
        super().__init__()
        self._process_name = process_name

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802  logging's own names
        """Return the record's time in UTC with milliseconds (RFC 3339)."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", self.converter(record.created))
        return f"{seconds}.{int(record.msecs):03d}Z"

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's own name
        """Return the line, its control characters escaped."""
        text = record.message.translate(_CONTROL)
        return f"{self.formatTime(record)} {record.levelname} {self._process_name} {text}"


def configure(level: str, process_name: str) -> None:
    """Send records of ``level`` (a name such as "INFO") and above to stderr as lines of ``process_name``."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(process_name))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # What libraries say below WARNING is about themselves, not about tunnels.
    for library in ("asyncio", "aiohttp", "pyroute2"):
        logging.getLogger(library).setLevel(max(logging.WARNING, logging.getLogger().level))
