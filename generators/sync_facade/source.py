"""Source files of the asynchronous interface, and where the names in them come from."""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Iterator
from importlib import import_module
from typing import NamedTuple


class TranslationError(Exception):
    """Something in the asynchronous interface that this generator has no synchronous form for."""

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(f"{place}: {problem}")


class Home(NamedTuple):
    """Where a name is defined, or imported from; `name` is "" for a module."""

    module: str
    name: str

    def load(self) -> object:
        """The object itself."""
        module = import_module(self.module)
        return getattr(module, self.name) if self.name else module


class Source:
    """One module's syntax tree, and the homes of the names at its top level."""

    def __init__(self, module: str) -> None:
        self.module = module
        self.tree = ast.parse(inspect.getsource(import_module(module)))
        self._homes = dict(self._named(self.tree.body))

    def home(self, name: str) -> Home | None:
        """Where `name` comes from; None for a builtin."""
        return self._homes.get(name)

    def class_body(self, name: str) -> ast.ClassDef:
        """The definition of a class of this module."""
        return next(node for node in self.tree.body if isinstance(node, ast.ClassDef) and node.name == name)

    def _named(self, body: list[ast.stmt]) -> Iterator[tuple[str, Home]]:
        for node in body:
            match node:
                case ast.ImportFrom():
                    base = self._absolute(node)
                    for alias in node.names:
                        yield alias.asname or alias.name, Home(base, alias.name)
                case ast.Import():
                    for alias in node.names:
                        yield alias.asname or alias.name, Home(alias.name, "")
                case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                    yield node.name, Home(self.module, node.name)
                case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                    yield name, Home(self.module, name)
                case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                    yield from self._named(node.body)

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        is_package = hasattr(import_module(self.module), "__path__")
        parts = self.module.split(".")
        parts = parts[: len(parts) - node.level + is_package]
        return ".".join([*parts, *([node.module] if node.module else [])])


@functools.cache
def source_of(module: str) -> Source:
    """The source of a module, read once."""
    return Source(module)
