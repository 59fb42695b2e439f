"""CONTRIBUTING.md names every room, so that a newcomer finds the one for a change."""

from __future__ import annotations

from .test_docs import ROOT

_PAGE = (ROOT / "CONTRIBUTING.md").read_text()


def test_every_folder_and_module_of_the_package_and_every_folder_of_tests_is_named() -> None:
    package, tests = ROOT / "firkin", ROOT / "tests"
    rooms = [f"firkin/{path.parent.name}/" for path in package.glob("*/__init__.py")]
    rooms += [f"firkin/{path.name}" for path in package.glob("[a-z]*.py")]
    rooms += [f"tests/{path.parent.name}/" for path in tests.glob("*/*.py")]
    assert len(rooms) > 20
    assert sorted({room for room in rooms if f"{room} " not in _PAGE}) == []


def test_every_folder_that_is_named_exists() -> None:
    named = [word for line in _PAGE.splitlines() if line.startswith("    ") for word in line.split() if "/" in word]
    assert len(named) > 20
    assert [word for word in named if not (ROOT / word.rstrip(";,")).exists()] == []
