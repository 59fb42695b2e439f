"""What every pod store promises to the pods on it, over directories and ext4 that namespaces mount."""

from __future__ import annotations

from pathlib import Path

import pytest

from firkin.adapters.store_directory import DirectoryPodStore
from firkin.adapters.store_ext4 import Ext4PodStore
from firkin.adapters.vmm_namespace import NamespaceVmm
from firkin.testkit.stored_pods import StoredPods

_DIRECTORY = "directory in namespaces"


@pytest.fixture(params=[_DIRECTORY, pytest.param("ext4 in namespaces", marks=pytest.mark.needs_root)])
def firkin_stored_pods(request: pytest.FixtureRequest, tmp_path: Path) -> StoredPods:
    is_image = request.param != _DIRECTORY
    store = (Ext4PodStore if is_image else DirectoryPodStore)(tmp_path / "state")
    return StoredPods(store, NamespaceVmm(tmp_path / "run"), tmp_path, is_image=is_image)
