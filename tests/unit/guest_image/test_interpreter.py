"""What the agent imports is in the guest's image, also what it imports late."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import firkin
from firkin.adapters.guest_image_host import interpreter

_PACKAGE = Path(firkin.__file__).parent


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for name in interpreter._OWN_PACKAGES:
        for path in (_PACKAGE / name).rglob("*.py"):
            yield str(path.relative_to(_PACKAGE)), ast.parse(path.read_text())


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_package_of_firkin_that_the_agent_imports_is_there() -> None:
    wanted = {
        (path, name.split(".")[1])
        for path, tree in _modules()
        for name in _imports(tree)
        if name.startswith("firkin.") and (_PACKAGE / name.split(".")[1]).is_dir()
    }
    assert any(package == "domain" for _, package in wanted)
    assert [pair for pair in wanted if pair[1] not in interpreter._OWN_PACKAGES] == []


def test_nothing_that_the_agent_imports_of_the_standard_library_is_left_out() -> None:
    left_out = {*interpreter._LEFT_OUT_OF_LIBRARY, *(name.strip("_") for name in interpreter._LEFT_OUT_OF_EXTENSIONS)}
    imported = {(path, name.split(".")[0]) for path, tree in _modules() for name in _imports(tree)}
    assert ("vminitd/port_checks.py", "ssl") in imported
    assert [pair for pair in imported if pair[1] in left_out] == []
