"""One machine for all tests that need no machine of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .shared_machine import SharedMachine


@pytest.fixture(scope="session")
def shared_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedMachine]:
    """Booted when it is first lent."""
    machine = SharedMachine(tmp_path_factory.mktemp("machine"))
    yield machine
    machine.close()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A machine cannot see a directory of the host: of tests that take either store it has the other one."""
    left_out = [item for item in items if _has_directory_store(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def _has_directory_store(item: pytest.Item) -> bool:
    in_machines = item.path.parent == Path(__file__).parent
    return in_machines and hasattr(item, "callspec") and item.callspec.params.get("store") == "directory"
