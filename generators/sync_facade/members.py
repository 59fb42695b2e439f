"""The public members of a class of the asynchronous interface."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from .source import Home, Source, TranslationError, source_of

# Those whose twins have another name.
SPECIAL_NAMES = {"__aenter__": "__enter__", "__aexit__": "__exit__", "__aiter__": "__iter__", "__anext__": "__next__"}
_PLAIN_SPECIAL_NAMES = frozenset({"__repr__", "__str__", "__len__", "__contains__"})

_Function = ast.FunctionDef | ast.AsyncFunctionDef


class Attribute(NamedTuple):
    """A public attribute or property."""

    source: Source
    name: str
    type: ast.expr
    docstring: str = ""


class Method(NamedTuple):
    """A public method: a function, a coroutine function, or something that yields."""

    source: Source
    node: _Function
    decorators: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def is_awaited(self) -> bool:
        """True for a coroutine function."""
        yields = any(isinstance(node, ast.Yield | ast.YieldFrom) for node in ast.walk(self.node))
        return isinstance(self.node, ast.AsyncFunctionDef) and not yields


def members(home: Home) -> dict[str, Attribute | Method]:
    """Public members by name, those that a private base class defines among them."""
    found: dict[str, Attribute | Method] = {}
    kind = home.load()
    assert isinstance(kind, type)
    for each in reversed(kind.__mro__):
        if each.__module__.partition(".")[0] not in ("builtins", "typing", "msgspec"):
            source = source_of(each.__module__)
            for member in _own_members(source, source.class_body(each.__name__)):
                found[member.name] = member
    return found


def _own_members(source: Source, body: ast.ClassDef) -> Iterator[Attribute | Method]:
    for node in body.body:
        match node:
            case ast.FunctionDef(name="__init__"):
                yield from _instance_attributes(source, node, f"{body.name}.__init__")
            case ast.FunctionDef() | ast.AsyncFunctionDef() if _is_public(node.name):
                yield _function_member(source, node, f"{body.name}.{node.name}")
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation) if _is_public(name):
                yield Attribute(source, name, annotation)


def _function_member(source: Source, node: _Function, place: str) -> Attribute | Method:
    decorators = frozenset(ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list)
    if decorators == {"property"} and node.returns is not None:
        return Attribute(source, node.name, node.returns, ast.get_docstring(node) or "")
    if not decorators <= {"asynccontextmanager"}:
        raise TranslationError(place, f"no synchronous form is known for the decorators {sorted(decorators)}")
    if node.name.startswith("__") and node.name not in SPECIAL_NAMES.keys() | _PLAIN_SPECIAL_NAMES:
        raise TranslationError(place, "no synchronous form is known for this special method")
    return Method(source, node, decorators)


def _instance_attributes(source: Source, node: ast.FunctionDef, place: str) -> Iterator[Attribute]:
    arguments = {each.arg: each.annotation for each in [*node.args.args, *node.args.kwonlyargs]}
    for statement in ast.walk(node):
        match statement:
            case ast.AnnAssign(target=ast.Attribute(value=ast.Name(id="self"), attr=name), annotation=annotation):
                if _is_public(name):
                    yield Attribute(source, name, annotation)
            case ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"), attr=name)], value=value):
                if not _is_public(name):
                    continue
                annotated = arguments.get(value.id) if isinstance(value, ast.Name) else None
                if annotated is None:
                    raise TranslationError(f"{place}, {name}", "its type is not written down")
                yield Attribute(source, name, annotated)


def _is_public(name: str) -> bool:
    return not name.startswith("_") or (name.startswith("__") and name.endswith("__"))
