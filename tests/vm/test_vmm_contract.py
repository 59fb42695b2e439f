"""What every VMM promises, over virtual machines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from firkin.domain.size import Size
from firkin.ports.store import StoreMedium
from firkin.ports.vmm import SandboxRequest, Vmm
from firkin.testkit.host_leftovers import host_leftovers

from .machines import empty_store, qemu_vmm, request_for


@pytest.fixture(params=["qemu"])
def firkin_vmm(tmp_path: Path) -> Vmm:
    return qemu_vmm(tmp_path)


@pytest.fixture
def firkin_store_medium(tmp_path: Path) -> StoreMedium:
    return empty_store(tmp_path, Size.mib(16))


@pytest.fixture
def firkin_sandbox_request(firkin_store_medium: StoreMedium) -> SandboxRequest:
    return request_for(firkin_store_medium)


@pytest.fixture
def firkin_leftovers(tmp_path: Path) -> Callable[[], list[str]]:
    def leftovers() -> list[str]:
        runtime_dir = tmp_path / "run"
        left = [str(path) for path in runtime_dir.iterdir()] if runtime_dir.exists() else []
        return left + host_leftovers(tmp_path)

    return leftovers
