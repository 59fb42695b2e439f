"""What machines do not have is refused before anything is built or started."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from firkin.adapters.memory import MemoryGuestImages
from firkin.adapters.vmm_qemu import QemuVmm
from firkin.config import ADMINISTRATION_PATH
from firkin.domain.errors import MissingTool, UnsupportedFeature
from firkin.domain.host_paths import HostPathVolume
from firkin.domain.ids import PodId
from firkin.domain.vm_config import VmConfig
from firkin.ports.store import StoreMedium
from firkin.ports.vmm import SandboxRequest

IMAGE = StoreMedium(Path("/nowhere/store.ext4"), "ext4", "a store")
DIRECTORY = StoreMedium(Path("/nowhere/store"), "", "a directory")


def _request(store: StoreMedium, *host_paths: HostPathVolume) -> SandboxRequest:
    return SandboxRequest(PodId("pod-1"), VmConfig(), store, "guest-name", host_paths=host_paths)


async def _boot(directory: Path, request: SandboxRequest, search_path: str) -> None:
    vmm = QemuVmm(directory / "run", MemoryGuestImages(directory / "images"), search_path)
    async with vmm.booted(request):
        pass


@pytest.mark.parametrize(
    ("request_", "feature", "reason"),
    [
        (
            _request(DIRECTORY),
            "a directory store",
            "a virtual machine cannot see a directory of the host; choose an ext4",
        ),
        (_request(IMAGE, HostPathVolume("etc", "/etc")), "hostPath", "a virtual machine sees no files of its host"),
    ],
    ids=["a directory store", "a path of the host"],
)
async def test_what_lies_on_the_host_is_refused_with_the_reason(
    tmp_path: Path, request_: SandboxRequest, feature: str, reason: str
) -> None:
    with pytest.raises(UnsupportedFeature) as refused:
        await _boot(tmp_path, request_, f"{os.environ['PATH']}:{ADMINISTRATION_PATH}")
    assert refused.value.feature == feature
    assert refused.value.reason.startswith(reason)
    assert os.listdir(tmp_path) == []


async def test_without_qemu_its_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingTool) as missing:
        await _boot(tmp_path, _request(IMAGE), str(tmp_path))
    assert (missing.value.tool, missing.value.package) == ("qemu-system-x86_64", "qemu-system-x86")
    assert os.listdir(tmp_path) == []
