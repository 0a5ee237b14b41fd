"""The form of a log line, whatever a peer puts into it."""

from __future__ import annotations

import logging
import re
import sys

import pytest

from system import log


def line_of(message: str, *arguments: object, exc_info: object = None) -> str:
    record = logging.LogRecord("controller.server", logging.INFO, __file__, 1, message, arguments, None)
    record.created, record.msecs = 1767323045.678, 678.0
    record.exc_info = exc_info  # type: ignore[assignment]
    return log.LineFormatter("controller").format(record)


def test_a_line_has_time_level_process_and_text() -> None:
    line = line_of("session up tunnel=%d session=%d", 1, 2)
    assert line == "2026-01-02T03:04:05.678Z INFO controller session up tunnel=1 session=2"


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[2Jb", "a\x85b", "a\u2028b", "a\x00b"])
def test_a_peers_name_can_not_begin_a_line_or_steer_the_terminal(name: str) -> None:
    line = line_of("user=%s", name)
    assert len(line.splitlines()) == 1
    assert line.isprintable()


def test_a_bugs_traceback_follows_its_line() -> None:
    try:
        int("bug")
    except ValueError:
        text = line_of("task failed", exc_info=sys.exc_info())
    first, second, *_ = text.splitlines()
    assert first.endswith("INFO controller task failed")
    assert second == "Traceback (most recent call last):"


def test_configure_writes_to_stderr_from_the_given_level(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        log.configure("warning", "worker-0")
        logging.getLogger("x").info("quiet")
        logging.getLogger("x").warning("loud")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    assert re.fullmatch(r"\S+Z WARNING worker-0 loud\n", capsys.readouterr().err)
