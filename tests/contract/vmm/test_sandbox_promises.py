"""What namespace sandboxes say that they enforce is true."""

from __future__ import annotations

from pathlib import Path

import pytest

from firkin.adapters.vmm_namespace import NamespaceVmm
from firkin.ports.vmm import Vmm


@pytest.fixture(params=["namespace"])
def firkin_sandbox(tmp_path: Path) -> Vmm:
    return NamespaceVmm(tmp_path / "run")
