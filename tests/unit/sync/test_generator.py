"""What the generator of the facade makes of an asynchronous interface."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import firkin.sync
from firkin.ports.agent_processes import ProcessStreams
from firkin.ports.store import StoreMedium
from generators.sync_facade.annotations import Translator, is_twinned
from generators.sync_facade.imports import Imports
from generators.sync_facade.modules import generated_modules
from generators.sync_facade.source import Home, TranslationError
from generators.sync_facade.twin import twin_text


def generated(name: str) -> tuple[dict[str, str], Translator]:
    """The members of a sample's twin, as one line each, and the translator that wrote them."""
    translator = Translator(Imports())
    tree = ast.parse(twin_text(Home("tests.unit.sync.samples", name), translator))
    (body,) = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    functions = [node for node in body.body if isinstance(node, ast.FunctionDef)]
    return {node.name: " ".join(ast.unparse(node).split()) for node in functions}, translator


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("name", "@property def name(self) -> str: '''From a private base class.''' return self._twin.name"),
        ("label", "@property def label(self) -> str | None: return self._twin.label"),
        ("limit", "@property def limit(self) -> int: return self._twin.limit"),
        (
            "by_name",
            "def by_name(self) -> Mapping[str, Container]: return {key: Container(self._thread, each)"
            " for key, each in self._thread.awaited(self._twin.by_name).items()}",
        ),
        (
            "all",
            "def all(self) -> list[Container]: return [Container(self._thread, each)"
            " for each in self._thread.called(self._twin.all)]",
        ),
        (
            "opened",
            "def opened(self, beside: Pod | None=None, *, number: int=3, **more: str) -> Pod:"
            " return Pod(self._thread, self._thread.awaited(lambda: self._twin.opened("
            "None if beside is None else beside._twin, number=number, **more)))",
        ),
        ("later", "def later(self) -> None: self._thread.awaited(self._twin.later)"),
        ("usages", "def usages(self) -> Iterator[StoreUsage]: return self._thread.iterated(self._twin.usages)"),
        (
            "each",
            "def each(self) -> Iterator[Container]: return (Container(self._thread, each)"
            " for each in self._thread.iterated(self._twin.each))",
        ),
        (
            "held",
            "@contextmanager def held(self, seconds: float) -> Iterator[int]:"
            " with self._thread.entered(lambda: self._twin.held(seconds)) as each: yield each",
        ),
        (
            "lent",
            "@contextmanager def lent(self) -> Iterator[Container | None]:"
            " with self._thread.entered(self._twin.lent) as each:"
            " yield (None if (each := each) is None else Container(self._thread, each))",
        ),
    ],
)
def test_each_kind_of_member_has_its_synchronous_form(name: str, text: str) -> None:
    members, _ = generated("Sample")
    assert members[name].replace('"""', "'''") == text


def test_private_members_have_no_twin_and_named_classes_have_one() -> None:
    members, translator = generated("Sample")
    assert not any(name.startswith("_") for name in members.keys() - {"__init__"})
    assert {home.name for home in translator.found} == {"Container", "Pod"}


def test_a_value_with_a_handle_inside_is_a_handle() -> None:
    members, _ = generated("GivesStreams")
    assert "ProcessStreams(self._thread, " in members["streams"]
    assert is_twinned(ProcessStreams)
    assert not is_twinned(StoreMedium)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("TakesAnIterator", r"TakesAnIterator.feed: no synchronous form is known for AsyncIterator\[bytes\]"),
        ("TakesACoroutineFunction", "TakesACoroutineFunction.on_exit: no synchronous form is known for Callable"),
        ("HidesItsType", "HidesItsType.__init__, count: its type is not written down"),
        ("IsStatic", r"IsStatic.make: no synchronous form is known for the decorators \['staticmethod'\]"),
        ("IsCompared", "IsCompared.__lt__: no synchronous form is known for this special method"),
        ("NestsTwins", r"NestsTwins.pairs: no twin is known for tuple\[Container, int\]"),
    ],
)
def test_what_has_no_synchronous_form_is_refused_by_name(name: str, problem: str) -> None:
    with pytest.raises(TranslationError, match=problem):
        generated(name)


def test_one_name_for_two_things_is_refused() -> None:
    imports = Imports()
    imports.add(Home("collections", "Counter"))
    imports.add(Home("collections", "Counter"))
    with pytest.raises(TranslationError, match="Counter: means both"):
        imports.add(Home("elsewhere", "Counter"))


def test_what_is_committed_is_what_the_generator_writes() -> None:
    package = Path(firkin.sync.__file__).parent
    for name, text in generated_modules().items():
        assert (package / name).read_text("utf-8") == text, "run `make sync`"
