"""Types of the asynchronous interface, and what becomes of them in the synchronous one."""

from __future__ import annotations

import ast
import enum
import inspect
import typing
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from .imports import Imports
from .source import Home, Source, TranslationError

# Their last argument is what awaiting gives.
_AWAITABLES = frozenset({"Awaitable", "Coroutine", "Future", "Task", "Opening"})
# Their first argument is what they yield; the value is the synchronous form.
_ITERATORS = {"AsyncIterator": "Iterator", "AsyncIterable": "Iterator", "AsyncGenerator": "Iterator"}
_CONTEXTS = frozenset({"AbstractAsyncContextManager", "AsyncContextManager"})
# Where handles are defined.
_HANDLES = ("firkin.application.", "firkin.ports.")
_ASYNCHRONOUS = _AWAITABLES | _ITERATORS.keys() | _CONTEXTS | {"AsyncExitStack"}


class Kind(enum.Enum):
    """What a method gives to its caller."""

    VALUE = enum.auto()
    AWAITABLE = enum.auto()
    ITERATOR = enum.auto()
    CONTEXT = enum.auto()


class Given(NamedTuple):
    """What a method gives: how, and the type of the value; None for no value."""

    kind: Kind
    value: ast.expr | None


def is_twinned(found: object) -> bool:
    """True for the handles of the interface: each has a twin, while values are the same on both sides."""
    if not isinstance(found, type) or not found.__module__.startswith(_HANDLES):
        return False
    if issubclass(found, msgspec.Struct):
        return _has_handles(found)
    return not issubclass(found, (enum.Enum, str, bytes, int))


def _has_handles(value: type[msgspec.Struct]) -> bool:
    """True for a value that would give something asynchronous out."""
    if any(inspect.iscoroutinefunction(member) for member in vars(value).values()):
        return True
    hints = typing.get_type_hints(value).values()
    return any(is_twinned(part) for hint in hints for part in (hint, *typing.get_args(hint)))


def given(annotation: ast.expr | None, *, is_awaited: bool, is_context: bool = False) -> Given:
    """Take the asynchronous wrapper off the type of a result."""
    node = _parsed(annotation)
    head, arguments = _head(node), _arguments(node)
    if is_context:
        return Given(Kind.CONTEXT, arguments[0])
    if is_awaited:
        return Given(Kind.AWAITABLE, node)
    if head in _AWAITABLES and arguments:
        return Given(Kind.AWAITABLE, arguments[-1])
    if head in _ITERATORS and arguments:
        return Given(Kind.ITERATOR, arguments[0])
    if head in _CONTEXTS and arguments:
        return Given(Kind.CONTEXT, arguments[0])
    return Given(Kind.VALUE, node)


class Translator:
    """Writes types and conversions for one generated module, and notes which twins it needs.

    Attributes:
        found: the homes of classes that must have a twin, in the order in which they were met.
    """

    def __init__(self, imports: Imports) -> None:
        self.imports = imports
        self.found: dict[Home, None] = {}

    def type_text(self, node: ast.expr | None, source: Source, place: str) -> str:
        """The type as it stands in the generated module, with all that it names imported."""
        if node is None:
            return "None"
        for part in ast.walk(node):
            if _name(part) in _ASYNCHRONOUS:
                raise TranslationError(place, f"no synchronous form is known for {ast.unparse(node)}")
            if isinstance(part, ast.Name) and (home := source.home(part.id)) is not None:
                if (twin := _twin_home(home)) is not None:
                    self.found[twin] = None
                else:
                    self.imports.add(home, part.id)
        return ast.unparse(node)

    def has_twin(self, node: ast.expr | None, source: Source) -> bool:
        """True when the type names a class that has a twin."""
        return node is not None and any(_is_twin(part, source) for part in ast.walk(node))

    def wrapped(self, value: str, node: ast.expr | None, source: Source, place: str) -> str:
        """An expression that gives the twins of what the expression `value` gives."""
        if node is None or not self.has_twin(node, source):
            return value
        if _is_twin(node, source):
            return f"{ast.unparse(node)}(self._thread, {value})"
        each = _each(node)
        if each is None:
            raise TranslationError(place, f"no twin is known for {ast.unparse(node)}")
        template, inner = each
        return template(value, self.wrapped("each", inner, source, place))

    def unwrapped(self, name: str, node: ast.expr | None, source: Source, place: str) -> str:
        """An expression that gives what stands behind an argument."""
        if node is None or not self.has_twin(node, source):
            return name
        if _is_twin(node, source):
            return f"{name}._twin"
        optional = _optional(node)
        if optional is None or not _is_twin(optional, source):
            raise TranslationError(place, f"no twin is known for the argument {name}: {ast.unparse(node)}")
        return f"None if {name} is None else {name}._twin"


def _each(node: ast.expr) -> tuple[Callable[[str, str], str], ast.expr] | None:
    """How to wrap each part of a collection, or what may be None; and the type of the part."""
    optional = _optional(node)
    if optional is not None:
        return (lambda value, inner: f"None if (each := {value}) is None else {inner}"), optional
    match _head(node), _arguments(node):
        case "tuple", [part, ast.Constant(value=value)] if value is ...:
            return (lambda value, inner: f"tuple({inner} for each in {value})"), part
        case (("list" | "Sequence"), [part]):
            return (lambda value, inner: f"[{inner} for each in {value}]"), part
        case (("dict" | "Mapping"), [_, part]):
            return (lambda value, inner: f"{{key: {inner} for key, each in {value}.items()}}"), part
    return None


def _optional(node: ast.expr) -> ast.expr | None:
    match node:
        case ast.BinOp(left=part, op=ast.BitOr(), right=ast.Constant(value=None)):
            return part
    return None


def _parsed(annotation: ast.expr | None) -> ast.expr | None:
    match annotation:
        case ast.Constant(value=str(text)):
            return ast.parse(text, mode="eval").body
        case ast.Constant(value=None):
            return None
    return annotation


def _name(node: ast.AST) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _head(node: ast.expr | None) -> str:
    return _name(node.value) if isinstance(node, ast.Subscript) else ""


def _arguments(node: ast.expr | None) -> list[ast.expr]:
    match node:
        case ast.Subscript(slice=ast.Tuple(elts=parts)):
            return parts
        case ast.Subscript(slice=part):
            return [part]
    return []


def _is_twin(node: ast.AST, source: Source) -> bool:
    home = source.home(node.id) if isinstance(node, ast.Name) else None
    return home is not None and _twin_home(home) is not None


def _twin_home(home: Home) -> Home | None:
    found = home.load()
    return Home(found.__module__, found.__name__) if isinstance(found, type) and is_twinned(found) else None
