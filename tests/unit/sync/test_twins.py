"""The synchronous interface beside the asynchronous one, name by name."""

from __future__ import annotations

import inspect
import subprocess
import sys
import typing

import pytest

import firkin
import firkin.sync
from firkin.sync import handles

RENAMED = {"__aenter__": "__enter__", "__aexit__": "__exit__", "__aiter__": "__iter__"}


def twin_classes() -> dict[str, tuple[type, type]]:
    """Each synchronous class of handles, with the asynchronous one that it stands for."""
    found = {}
    for name, one in inspect.getmembers(handles, inspect.isclass):
        if one.__module__ == handles.__name__:
            asynchronous = typing.get_type_hints(one.__init__, vars(handles))["twin"]
            assert isinstance(asynchronous, type)
            found[name] = (one, asynchronous)
    return found


TWINS = twin_classes()


def public_names(kind: type) -> set[str]:
    """Public members, and those special ones that have a meaning here, by their synchronous names."""
    special = {RENAMED[name] for name in RENAMED if hasattr(kind, name)}
    special |= {name for name in RENAMED.values() if hasattr(kind, name)}
    return {name for name in dir(kind) if not name.startswith("_")} | special


def test_every_handle_of_the_asynchronous_interface_has_a_twin() -> None:
    handles_of_firkin = {
        name
        for name in firkin.__all__
        if isinstance(found := getattr(firkin, name), type) and found.__module__.startswith("firkin.application")
    }
    assert handles_of_firkin <= TWINS.keys()
    assert TWINS.keys() >= {"Images", "Process", "OutputStream", "InputStream", "Sandbox"}
    assert {name for name, (_, asynchronous) in TWINS.items() if asynchronous.__name__ != name} == set()


def test_the_package_exports_what_firkin_exports_and_the_twins() -> None:
    assert set(firkin.sync.__all__) == set(firkin.__all__) | TWINS.keys()
    for name in set(firkin.__all__) - TWINS.keys() - {"open_runtime"}:
        assert getattr(firkin.sync, name) is getattr(firkin, name)


@pytest.mark.parametrize("name", TWINS)
def test_twins_have_the_same_public_names(name: str) -> None:
    synchronous, asynchronous = TWINS[name]
    # `images` is set by the runtime's constructor, where a class does not show it.
    expected = public_names(asynchronous) | ({"images"} if name == "Runtime" else set())
    assert public_names(synchronous) == expected


def member_pairs() -> list[tuple[str, str]]:
    return [(name, member) for name, (one, _) in TWINS.items() for member in sorted(public_names(one))]


def parameters(function: object) -> list[tuple[str, object, object, object]]:
    assert callable(function)
    signature = inspect.signature(function)
    return [(each.name, each.kind, each.default, each.annotation) for each in signature.parameters.values()]


@pytest.mark.parametrize(("name", "member"), member_pairs())
def test_twins_take_the_same_and_are_documented_alike(name: str, member: str) -> None:
    synchronous, asynchronous = TWINS[name]
    original_name = next((old for old, new in RENAMED.items() if new == member), member)
    one = inspect.getattr_static(synchronous, member)
    other = inspect.getattr_static(asynchronous, original_name, None)
    if other is None:
        assert (name, member) == ("Runtime", "images")
        return
    assert callable(one) == callable(other)
    assert bool(one.__doc__) == bool(other.__doc__)
    if callable(one):
        assert not inspect.iscoroutinefunction(one)
        assert parameters(one) == parameters(other)


def test_a_runtime_has_the_attributes_of_its_twin() -> None:
    with firkin.sync.open_runtime(
        firkin.RuntimeConfig(vmm="memory", store="memory", agents="memory", images="memory")
    ) as runtime:
        attributes = {name for name in vars(runtime._twin) if not name.startswith("_")}
        assert {name for name in attributes if not hasattr(runtime, name)} == set()


def test_runtimes_are_opened_by_the_same_arguments() -> None:
    assert parameters(firkin.sync.open_runtime) == parameters(firkin.open_runtime)


@pytest.mark.parametrize("name", TWINS)
def test_nothing_asynchronous_is_given_out(name: str) -> None:
    for member in vars(TWINS[name][0]).values():
        function = member.fget if isinstance(member, property) else member
        if inspect.isfunction(function):
            annotation = str(inspect.signature(function).return_annotation)
            words = ("Async", "Await", "asyncio", "Future", "Task", "Opening", "Coroutine")
            assert not any(word in annotation for word in words)


def test_import_firkin_does_not_load_the_facade() -> None:
    code = "import sys, firkin; firkin.open_runtime, firkin.Pod; print('firkin.sync' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_facade_loads_no_transport() -> None:
    code = "import sys, firkin.sync; print(*{'grpc', 'google', 'click', 'rich'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
