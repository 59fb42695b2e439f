"""What every VMM promises, over memory and namespaces."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from firkin.adapters.memory import MemoryVmm
from firkin.ports.vmm import Vmm

from .guests import guest_vmm, leftovers


@pytest.fixture(params=[pytest.param("memory", marks=pytest.mark.virtual_time), "namespace"])
def firkin_vmm(request: pytest.FixtureRequest, tmp_path: Path) -> Vmm:
    return MemoryVmm() if request.param == "memory" else guest_vmm(tmp_path)


@pytest.fixture
def firkin_leftovers(tmp_path: Path) -> Callable[[], list[str]]:
    return lambda: leftovers(tmp_path)
