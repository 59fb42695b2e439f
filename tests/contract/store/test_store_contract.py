"""What every pod store promises, over memory, directories and ext4."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from firkin.adapters.memory import MemoryPodStore
from firkin.adapters.store_directory import DirectoryPodStore
from firkin.adapters.store_ext4 import Ext4PodStore
from firkin.ports.store import PodStore

_MAKERS: dict[str, Callable[[Path], PodStore]] = {
    "memory": lambda _: MemoryPodStore(),
    "directory": DirectoryPodStore,
    "ext4": Ext4PodStore,
    "ext4 for machines": lambda directory: Ext4PodStore(directory, for_machines=True),
}


@pytest.fixture(
    params=[pytest.param("memory", marks=pytest.mark.virtual_time), "directory", "ext4", "ext4 for machines"]
)
def firkin_pod_store(request: pytest.FixtureRequest, tmp_path: Path) -> PodStore:
    return _MAKERS[str(request.param)](tmp_path / "state")
