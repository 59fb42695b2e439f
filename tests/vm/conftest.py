"""One machine for all tests that need no machine of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .shared_machine import SharedMachine


@pytest.fixture(scope="session")
def shared_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedMachine]:
    """Booted when it is first lent."""
    machine = SharedMachine(tmp_path_factory.mktemp("machine"))
    yield machine
    machine.close()
