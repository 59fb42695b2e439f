"""What every pod store promises to the pods on it, over ext4 that virtual machines mount."""

from __future__ import annotations

from pathlib import Path

import pytest

from firkin.adapters.store_ext4 import Ext4PodStore
from firkin.testkit.stored_pods import StoredPods

from .machines import BOOT_SECONDS, SEARCH_PATH, qemu_vmm, small_machine


@pytest.fixture(params=["ext4 in a machine"])
def firkin_stored_pods(tmp_path: Path) -> StoredPods:
    store = Ext4PodStore(tmp_path / "state", SEARCH_PATH, for_machines=True)
    return StoredPods(
        store,
        qemu_vmm(tmp_path),
        tmp_path,
        is_image=True,
        vm_config=small_machine(),
        pod_seconds=2 * BOOT_SECONDS,
    )
