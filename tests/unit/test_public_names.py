from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator

import pytest

import firkin
import firkin.errors
from firkin.domain.errors import FirkinError


def declared_names() -> set[str]:
    """What type checkers see: the imports below TYPE_CHECKING."""
    tree = ast.parse(inspect.getsource(firkin))
    blocks = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name for node in imports for alias in node.names}


def test_what_type_checkers_see_is_what_is_there() -> None:
    assert declared_names() == set(firkin.__all__)
    assert set(firkin.__all__) <= set(dir(firkin))


@pytest.mark.parametrize("name", firkin.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    assert getattr(firkin, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        firkin.Nothing  # noqa: B018


def imported_by(code: str) -> set[str]:
    listing = f"import sys\n{code}\nprint(*sys.modules)"
    output = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True)
    return set(output.stdout.split())


HEAVY = {"grpc", "google", "click", "rich", "yaml", "asyncio", "dependency_injector", "zstandard"}


def test_import_firkin_loads_next_to_nothing() -> None:
    assert not imported_by("import firkin") & {*HEAVY, "msgspec"}


def test_describing_a_pod_loads_no_transport_and_no_framework() -> None:
    code = "import firkin; firkin.PodBuilder, firkin.RootfsSource, firkin.EmptyDirVolume, firkin.errors, firkin.Mount"
    modules = imported_by(code)
    assert not modules & HEAVY
    assert "firkin.domain.pod_spec" in modules


def subclasses(of: type[FirkinError]) -> Iterator[type[FirkinError]]:
    for one in of.__subclasses__():
        # Tests may define errors of their own.
        if one.__module__.startswith("firkin."):
            yield one
            yield from subclasses(one)


ERRORS: list[type[FirkinError]] = [FirkinError, *subclasses(FirkinError)]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: str(error.__name__))
def test_every_error_is_exported_and_has_a_code_of_its_own(error: type[FirkinError]) -> None:
    assert getattr(firkin.errors, error.__name__) is error
    assert error.__name__ in firkin.errors.__all__
    assert "code" in vars(error)
    assert [other for other in ERRORS if other.code == error.code] == [error]
    assert error.__doc__


def test_the_exported_errors_are_all_there_is() -> None:
    exported = {getattr(firkin.errors, name) for name in firkin.errors.__all__}
    assert {one for one in exported if isinstance(one, type) and issubclass(one, FirkinError)} == set(ERRORS)
