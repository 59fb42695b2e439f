"""Nothing is reckoned by a clock that somebody may set: that one is read for stamps alone, deadlines are monotonic."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import firkin

_PACKAGE = Path(firkin.__file__).parent
_SETTABLE = {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow"}
_RECKONED = {
    # Moments that people give or read, by the clock that they look at.
    "adapters/cli/moment_type.py",
    "adapters/cli/ps_command.py",
    # The kernel counts from the boot; the moment of the boot moves with the clock.
    "vminitd/process_list.py",
}


def _reads_a_settable_clock(node: ast.expr) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = ast.unparse(node.func)
    return name in _SETTABLE or (name in ("int", "round") and any(map(_reads_a_settable_clock, node.args)))


def _reckonings(tree: ast.Module) -> Iterator[ast.expr]:
    """Sums, differences and comparisons of what such a clock says, or of a name that stands for it."""
    named = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and _reads_a_settable_clock(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.BinOp | ast.Compare):
            continue
        parts = [node.left, *(node.comparators if isinstance(node, ast.Compare) else [node.right])]
        if any(_reads_a_settable_clock(part) or (isinstance(part, ast.Name) and part.id in named) for part in parts):
            yield node


def test_only_what_people_give_or_read_is_reckoned_by_a_clock_that_can_be_set() -> None:
    found: dict[str, list[str]] = {}
    for path in sorted(_PACKAGE.rglob("*.py")):
        name = str(path.relative_to(_PACKAGE))
        if not name.startswith(("wire/", "testkit/")):
            found[name] = [ast.unparse(node) for node in _reckonings(ast.parse(path.read_text()))]
    reckoning = {name: sums for name, sums in found.items() if sums}
    assert {name: sums for name, sums in reckoning.items() if name not in _RECKONED} == {}
    assert set(reckoning) >= {"vminitd/process_list.py"}
