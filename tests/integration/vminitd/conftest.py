"""The rootfs that the agent's containers share."""

from __future__ import annotations

from pathlib import Path

import pytest

from .agent_process import make_rootfs


@pytest.fixture(scope="session")
def rootfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rootfs of busybox, shared: no test writes to it."""
    return make_rootfs(tmp_path_factory.mktemp("vminitd") / "rootfs")
