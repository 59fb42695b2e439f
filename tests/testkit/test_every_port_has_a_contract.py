"""The kit has a contract for every port: each method that an adapter has to have is called by the tests that try it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import firkin.ports
import firkin.testkit
from firkin.testkit.contract import CONTRACTS, TRIED_PORTS
from tests.testkit.mutants import MUTANTS

_PORTS = Path(firkin.ports.__file__).parent
_KIT = Path(firkin.testkit.__file__).parent
_DOCS = Path(__file__).parents[2] / "docs"
_IN_COMMON = ("agent_place", "opened_agent", "sandbox_pods", "supervised_pods")
"""By these contracts open the sandboxes, connections and pods that they look at."""
_COMPOSED = {"Agent": "nothing but its parts, each of which has a contract"}


def _protocols() -> Iterator[tuple[str, ast.ClassDef]]:
    for path in sorted(_PORTS.glob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Protocol" for base in node.bases):
                yield node.name, node


PROTOCOLS = dict(_protocols())


def _methods(name: str) -> set[str]:
    found = (node for node in PROTOCOLS[name].body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {method.name for method in found if not method.name.startswith("__")}


def _attributes(path: Path) -> set[str]:
    return {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}


def test_every_port_is_tried_and_nothing_else() -> None:
    tried = {name for names in TRIED_PORTS.values() for name in names}
    assert tried == set(PROTOCOLS) - set(_COMPOSED)


def test_every_module_of_contracts_belongs_to_a_name_and_to_ports() -> None:
    modules = {path.stem for path in (_KIT / "contracts").glob("*.py")} - {"__init__"}
    assert {module for contract in CONTRACTS.values() for module in contract.modules} == modules
    assert set(TRIED_PORTS) == modules


@pytest.mark.parametrize("name", sorted(set(PROTOCOLS) - set(_COMPOSED)))
def test_every_method_of_a_port_is_used_by_what_tries_it(name: str) -> None:
    modules = [_KIT / "contracts" / f"{module}.py" for module, tried in TRIED_PORTS.items() if name in tried]
    in_common = [_KIT / f"{module}.py" for module in _IN_COMMON]
    used = {attribute for path in (*modules, *in_common) for attribute in _attributes(path)}
    assert _methods(name)
    assert _methods(name) <= used


def test_a_composed_port_has_no_method_of_its_own() -> None:
    for name in _COMPOSED:
        assert name not in PROTOCOLS or _methods(name) == set()


def test_every_contract_is_documented_and_has_a_bug_to_catch() -> None:
    text = (_DOCS / "testkit.md").read_text()
    assert [name for name in CONTRACTS if f"| `{name}` |" not in text] == []
    caught = {mutant.fixture for mutant in MUTANTS}
    assert set(CONTRACTS) - caught <= _REAL_PROCESSES


_REAL_PROCESSES = {"firkin_guest_agent", "firkin_sandbox", "firkin_stored_pods"}
"""Tried only of what has real processes, of which there is none in memory whose copy could have a bug."""


def test_nothing_of_firkin_leans_on_its_own_tests() -> None:
    modules = list(_KIT.parent.rglob("*.py"))
    assert len(modules) > 100
    imported = {path.name: name for path in modules for name in _imported(path) if name.partition(".")[0] == "tests"}
    assert imported == {}


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""
