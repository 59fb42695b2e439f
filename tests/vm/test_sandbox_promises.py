"""What virtual machines say that they enforce is true."""

from __future__ import annotations

from pathlib import Path

import pytest

from firkin.ports.vmm import Vmm
from firkin.testkit.sandbox_pods import SandboxPods

from .shared_machine import SharedMachine


@pytest.fixture(params=["qemu"])
def firkin_sandbox(shared_machine: SharedMachine) -> Vmm:
    return shared_machine


@pytest.fixture
def firkin_pods(firkin_sandbox: Vmm, tmp_path: Path) -> SandboxPods:
    return SandboxPods(firkin_sandbox, tmp_path, store="ext4")
