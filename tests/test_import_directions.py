"""Which part may import which: `shared` nothing of ours, controller and workers never each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]

# What each part may import of ours, beside itself.
ALLOWED: Final[dict[str, frozenset[str]]] = {
    "shared": frozenset(),
    "system": frozenset({"shared"}),
    "workers": frozenset({"shared", "system"}),
    "controller": frozenset({"shared", "system"}),
    "client": frozenset({"shared", "system", "workers"}),
}
PARTS: Final = frozenset(ALLOWED) | {"deploy", "tests", "benchmarks"}
# The command line offers the client's commands too; it loads them only when one of them is called.
COMMAND_LINE: Final = Path("controller", "cli")
NOT_IN_SHARED: Final = frozenset(
    {"asyncio", "select", "socket", "subprocess", "threading", "time", "uvloop", "zmq"}
)


def imports_of(tree: ast.AST) -> Iterator[str]:
    """Yield the top-level package of each import statement, wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module.partition(".")[0]


def modules_of(part: str) -> list[Path]:
    return sorted((ROOT / part).rglob("*.py"))


def wrong_imports(part: str, file: Path, source: str) -> list[str]:
    """Return the packages that ``file`` of ``part`` must not import."""
    forbidden = PARTS - ALLOWED[part] - {part}
    if file.relative_to(ROOT).is_relative_to(COMMAND_LINE):
        forbidden -= {"client"}
    if part == "shared":
        forbidden |= NOT_IN_SHARED
    return sorted(set(imports_of(ast.parse(source))) & forbidden)


@pytest.mark.parametrize("part", sorted(ALLOWED))
def test_each_part_imports_only_what_lies_below_it(part: str) -> None:
    wrong = {
        str(file.relative_to(ROOT)): found
        for file in modules_of(part)
        if (found := wrong_imports(part, file, file.read_text()))
    }
    assert modules_of(part)
    assert not wrong


@pytest.mark.parametrize(
    ("part", "name", "source", "expected"),
    [
        ("shared", "x.py", "import time", ["time"]),
        ("shared", "x.py", "def f():\n    from system.tun import open_tun", ["system"]),
        ("controller", "server.py", "import workers.loop", ["workers"]),
        ("controller", "server.py", "from client import cli", ["client"]),
        ("controller", "cli/main.py", "from client import cli", []),
        ("workers", "loop.py", "from controller.surface import Service", ["controller"]),
        ("workers", "loop.py", "import socket\nfrom shared.l2tp import header\nimport system.tun", []),
    ],
)
def test_a_wrong_import_is_found(part: str, name: str, source: str, expected: list[str]) -> None:
    assert wrong_imports(part, ROOT / part / name, source) == expected


def test_the_command_line_imports_the_client_only_inside_functions() -> None:
    for file in modules_of("controller/cli"):
        tree = ast.parse(file.read_text())
        at_top = {
            name for node in tree.body for name in imports_of(node) if not isinstance(node, ast.FunctionDef)
        }
        assert "client" not in at_top, file
