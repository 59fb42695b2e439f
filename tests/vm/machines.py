"""Virtual machines for the tests, their guest image and their stores."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import firkin
from firkin.adapters.agent_grpc import GrpcAgentConnector
from firkin.adapters.guest_image_host import HostGuestImages
from firkin.adapters.store_ext4 import Ext4PodStore
from firkin.adapters.vmm_qemu import QemuVmm
from firkin.config import ADMINISTRATION_PATH
from firkin.domain.ids import PodId
from firkin.domain.size import Size
from firkin.domain.vm_config import VmConfig
from firkin.ports.agent_connector import AgentConnector
from firkin.ports.store import StoreMedium
from firkin.ports.vmm import SandboxRequest
from tests.images.cache import cache_directory

SEARCH_PATH = f"{os.environ['PATH']}:{ADMINISTRATION_PATH}"
SMALL = Size.mib(256)
BOOT_SECONDS = 300.0
"""Generous: without KVM, on a machine that does other things as well."""


def guest_images() -> HostGuestImages:
    """The guest images of all tests: beside the test images, built at the first test that boots a machine."""
    return HostGuestImages(cache_directory().parent / "guest", SEARCH_PATH)


def qemu_vmm(directory: Path, images: HostGuestImages | None = None) -> QemuVmm:
    """A VMM whose sockets lie below `directory`."""
    return QemuVmm(directory / "run", images or guest_images(), SEARCH_PATH)


def small_machine(boot_log: Path | None = None) -> VmConfig:
    """A machine that is good for a few busyboxes."""
    return VmConfig(memory=SMALL, boot_log=boot_log, boot_timeout_seconds=BOOT_SECONDS)


def empty_store(directory: Path, size: int = Size.mib(64)) -> StoreMedium:
    """A new ext4 image, with project quotas as those that are made for machines."""
    path = directory / "store.ext4"
    path.touch()
    os.truncate(path, size)
    quotas = ("-O", "quota,project", "-E", "quotatype=prjquota")
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", *quotas, str(path)], check=True, env={"PATH": SEARCH_PATH})
    return StoreMedium(path, "ext4", str(path), has_project_quotas=True)


def request_for(medium: StoreMedium, config: VmConfig | None = None) -> SandboxRequest:
    """A small machine with a store."""
    return SandboxRequest(PodId("pod-1"), config or small_machine(), medium, "guest-name")


@contextlib.asynccontextmanager
async def machine_runtime(
    directory: Path, agents: AgentConnector | None = None, images: HostGuestImages | None = None
) -> AsyncIterator[firkin.Runtime]:
    """A runtime of virtual machines whose files all lie below `directory`; its calls may take as long as a boot."""
    config = firkin.RuntimeConfig(
        vmm=qemu_vmm(directory, images),
        store=Ext4PodStore(directory / "state", SEARCH_PATH, for_machines=True),
        agents=agents or GrpcAgentConnector(BOOT_SECONDS),
        state_dir=directory / "state",
        runtime_dir=directory / "run",
    )
    async with firkin.open_runtime(config) as runtime:
        yield runtime
