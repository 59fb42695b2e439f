"""docs/agent-checklist.md names tests that exist, and counts right."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_TEXT = (_ROOT / "docs/agent-checklist.md").read_text()
_LINES = [line.strip("| ").split(" | ") for line in _TEXT.splitlines() if re.match(r"\| \d", line)]
_REFERENCE = re.compile(r"`((?:tests|firkin)/[^`]+\.py)::(test_\w+)`")


@cache
def _tests(path: str) -> frozenset[str]:
    functions = ast.parse((_ROOT / path).read_text()).body
    return frozenset(one.name for one in functions if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))


def test_every_line_has_a_test_that_exists_or_a_reason() -> None:
    missing = [f"{path}::{name}" for path, name in _REFERENCE.findall(_TEXT) if name not in _tests(path)]
    assert missing == []
    assert [line[0] for line in _LINES if len(line) != 3 or not line[2]] == []
    assert [
        line[0] for line in _LINES if re.search(r"(tests|contracts)/", line[2]) and not _REFERENCE.search(line[2])
    ] == []


def test_the_lines_are_complete_and_counted() -> None:
    assert [int(line[0]) for line in _LINES] == list(range(1, 168))
    covered = sum(_REFERENCE.search(line[2]) is not None for line in _LINES)
    assert f"{covered} have a test, {len(_LINES) - covered} have a reason" in _TEXT
