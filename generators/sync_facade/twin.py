"""The text of one synchronous class."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from textwrap import indent

from .annotations import Kind, Translator, given
from .members import SPECIAL_NAMES, Attribute, Method, members
from .source import Home, Source, TranslationError
from .words import reworded

_ITERATOR = Home("collections.abc", "Iterator")
_CALLS = {Kind.VALUE: "called", Kind.AWAITABLE: "awaited", Kind.ITERATOR: "iterated", Kind.CONTEXT: "entered"}


def twin_text(home: Home, translator: Translator) -> str:
    """The class that does what the class at `home` does, for callers in threads."""
    kind = home.load()
    assert isinstance(kind, type)
    asynchronous = translator.imports.add(home, f"Async{home.name}")
    parts = [
        f"class {home.name}:",
        _docstring(kind.__doc__ or ""),
        f"    def __init__(self, thread: LoopThread, twin: {asynchronous}) -> None:\n"
        "        self._thread = thread\n"
        "        self._twin = twin\n",
    ]
    for member in members(home).values():
        place = f"{home.name}.{member.name}"
        if isinstance(member, Attribute):
            parts.append(indent(_attribute(member, translator, place), "    "))
        else:
            parts.append(indent(_method(member, translator, place), "    "))
    return "\n".join(parts)


def function_text(name: str, source: Source, node: ast.AsyncFunctionDef, translator: Translator) -> str:
    """The synchronous form of a function that opens a runtime in a thread of its own."""
    opened = given(node.returns, is_awaited=False, is_context=True).value
    asynchronous = translator.imports.add(Home(source.module, name), f"async_{name}")
    kind = translator.type_text(opened, source, name)
    signature = _signature(node.args, translator, source, name)
    arguments = _arguments(node.args, translator, source, name)
    iterator = translator.imports.add(_ITERATOR)
    return (
        f"@contextmanager\ndef {name}({signature}) -> {iterator}[{kind}]:\n{_docstring(ast.get_docstring(node) or '')}"
        f"    with LoopThread() as thread, thread.entered(lambda: {asynchronous}({arguments})) as twin:\n"
        f"        yield {kind}(thread, twin)\n"
    )


def _attribute(member: Attribute, translator: Translator, place: str) -> str:
    kind = translator.type_text(member.type, member.source, place)
    value = translator.wrapped(f"self._twin.{member.name}", member.type, member.source, place)
    docstring = _docstring(member.docstring)
    return f"@property\ndef {member.name}(self) -> {kind}:\n{docstring}    return {value}\n"


def _method(member: Method, translator: Translator, place: str) -> str:
    node, source = member.node, member.source
    signature = _signature(node.args, translator, source, place)
    name = SPECIAL_NAMES.get(member.name, member.name)
    gives = given(node.returns, is_awaited=member.is_awaited, is_context="asynccontextmanager" in member.decorators)
    arguments = _arguments(node.args, translator, source, place)
    docstring = _docstring(ast.get_docstring(node) or "")
    if member.name in ("__repr__", "__str__"):
        return f"def {name}({signature}) -> str:\n    return {member.name.strip('_')}(self._twin)\n"
    work = f"lambda: self._twin.{member.name}({arguments})" if arguments else f"self._twin.{member.name}"
    call = f"self._thread.{_CALLS[gives.kind]}({work})"
    if member.name == "__aenter__":
        typing_self = translator.imports.add(Home("typing", "Self"))
        return f"def {name}({signature}) -> {typing_self}:\n{docstring}    {call}\n    return self\n"
    kind = translator.type_text(gives.value, source, place)
    if gives.kind is Kind.CONTEXT:
        value = translator.wrapped("each", gives.value, source, place)
        return (
            f"@contextmanager\ndef {name}({signature}) -> {translator.imports.add(_ITERATOR)}[{kind}]:\n{docstring}"
            f"    with {call} as each:\n        yield {value}\n"
        )
    if gives.kind is Kind.ITERATOR:
        value = _mapped(call, gives.value, translator, source, place)
        kind = f"{translator.imports.add(_ITERATOR)}[{kind}]"
    else:
        value = translator.wrapped(call, gives.value, source, place)
    result = value if kind == "None" else f"return {value}"
    return f"def {name}({signature}) -> {kind}:\n{docstring}    {result}\n"


def _mapped(call: str, item: ast.expr | None, translator: Translator, source: Source, place: str) -> str:
    wrapped = translator.wrapped("each", item, source, place)
    return call if wrapped == "each" else f"({wrapped} for each in {call})"


def _signature(arguments: ast.arguments, translator: Translator, source: Source, place: str) -> str:
    own = copy.deepcopy(arguments)
    for argument in _each_argument(own):
        if argument.annotation is not None:
            translator.type_text(argument.annotation, source, place)
    own.defaults = [_default(node, translator, source, place) for node in own.defaults]
    own.kw_defaults = [node and _default(node, translator, source, place) for node in own.kw_defaults]
    return ast.unparse(own)


def _default(node: ast.expr, translator: Translator, source: Source, place: str) -> ast.expr:
    """A default, by its name where that is public, and by its value where it is not."""
    match node:
        case ast.Name(id=name) if name.startswith("_"):
            home = source.home(name)
            value = None if home is None else home.load()
            if not isinstance(value, int | float | str | bytes):
                raise TranslationError(place, f"the default {name} has no public name")
            return ast.Constant(value)
    translator.type_text(node, source, place)
    return node


def _arguments(arguments: ast.arguments, translator: Translator, source: Source, place: str) -> str:
    def passed(argument: ast.arg) -> str:
        return translator.unwrapped(argument.arg, argument.annotation, source, place)

    positional = [argument for argument in [*arguments.posonlyargs, *arguments.args] if argument.arg != "self"]
    parts = [passed(argument) for argument in positional]
    if arguments.vararg is not None:
        parts.append(f"*{arguments.vararg.arg}")
    parts += [f"{argument.arg}={passed(argument)}" for argument in arguments.kwonlyargs]
    if arguments.kwarg is not None:
        parts.append(f"**{arguments.kwarg.arg}")
    return ", ".join(parts)


def _each_argument(arguments: ast.arguments) -> Iterator[ast.arg]:
    yield from (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    yield from (argument for argument in (arguments.vararg, arguments.kwarg) if argument is not None)


def _docstring(text: str) -> str:
    if not text:
        return ""
    lines = reworded(text).rstrip().splitlines()
    if len(lines) == 1:
        return f'    """{lines[0]}"""\n'
    return indent('"""' + "\n".join(lines) + '\n"""\n', "    ", lambda line: bool(line.strip()))
