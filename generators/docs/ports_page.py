"""The ports, from their own docstrings, and the contract tests that try them."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import firkin.ports
import firkin.testkit.contracts
from firkin.testkit.contract import TRIED_PORTS

_PORTS = Path(firkin.ports.__file__).parent
_CONTRACTS = Path(firkin.testkit.contracts.__file__).parent
_FIRST = ("vmm", "sandbox", "store", "agent_connector", "agent", "image_source", "image_library", "streams")
_SECTION = re.compile(r"^(Raises|Attributes|Args):$")
_ENTRY = re.compile(r"^    (\w[\w, ]*): (.*)$")
_HEAD = """# The ports

Made from `firkin/ports/`: what an adapter has to do, in the words that are tested. Signatures are Python's; a method
that returns an `AbstractAsyncContextManager` acquires when it is entered and releases when it is left, whatever came
in between.
"""


def ports_page() -> str:
    """The page."""
    names = {path.stem for path in _PORTS.glob("*.py")} - {"__init__"}
    ordered = [*(name for name in _FIRST if name in names), *sorted(names - set(_FIRST))]
    return "\n".join([_HEAD, *(line for name in ordered for line in _port(name))])


def _port(name: str) -> Iterator[str]:
    module = ast.parse((_PORTS / f"{name}.py").read_text())
    yield f"## {name.replace('_', ' ').capitalize()}\n\n`firkin.ports.{name}`: {ast.get_docstring(module)}\n"
    for node in module.body:
        if isinstance(node, ast.ClassDef):
            yield from _class(node)
    protocols = {node.name for node in module.body if isinstance(node, ast.ClassDef)}
    contracts = [contract for contract, tried in TRIED_PORTS.items() if protocols.intersection(tried)]
    promises = dict.fromkeys(promise for contract in contracts for promise in _promises(contract))
    if promises:
        yield "Tried by the kit:\n"
        yield from (f"- {promise}" for promise in promises)
        yield ""


def _class(node: ast.ClassDef) -> Iterator[str]:
    is_port = any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases)
    yield f"### {'Port' if is_port else 'Value'} `{node.name}`\n"
    yield _markdown(ast.get_docstring(node) or "")
    for method in node.body:
        if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and not method.name.startswith("__"):
            yield f"#### `{_signature(method)}`\n"
            yield _markdown(ast.get_docstring(method) or "")


def _signature(method: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    is_property = any(isinstance(one, ast.Name) and one.id == "property" for one in method.decorator_list)
    returned = "" if method.returns is None else f" -> {ast.unparse(method.returns)}"
    if is_property:
        return f"{method.name}{returned.replace(' -> ', ': ')}"
    method.args.args = [argument for argument in method.args.args if argument.arg != "self"]
    prefix = "await " if isinstance(method, ast.AsyncFunctionDef) else ""
    return f"{prefix}{method.name}({ast.unparse(method.args)}){returned}"


def _markdown(docstring: str) -> str:
    """A docstring whose sections are lists."""
    lines: list[str] = []
    for line in textwrap.dedent(docstring).splitlines():
        entry = _ENTRY.match(line)
        if _SECTION.match(line):
            lines += [f"*{line}*", ""]
        elif entry is not None:
            lines.append(f"- `{entry[1]}`: {entry[2]}")
        else:
            lines.append(f"  {line.strip()}" if line.startswith("    ") else line)
    return "\n".join(lines) + "\n"


def _promises(contract: str) -> Iterator[str]:
    for node in ast.parse((_CONTRACTS / f"{contract}.py").read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node.name.removeprefix("test_").replace("_", " ")
