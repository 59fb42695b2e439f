"""Pods on the stores of one adapter, in sandboxes that mount them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from firkin.application.runtime import Runtime
from firkin.bootstrap import open_runtime
from firkin.config import RuntimeConfig
from firkin.domain.container_spec import PodContainerSpec
from firkin.domain.ids import ContainerId
from firkin.domain.pod_spec import PodBuilder
from firkin.domain.process import Stdio
from firkin.domain.rootfs_source import RootfsSource
from firkin.domain.size import Size
from firkin.domain.store_spec import PodStoreSpec
from firkin.domain.vm_config import VmConfig
from firkin.ports.store import PodStore
from firkin.ports.vmm import Vmm

from .busybox_image import busybox_bundle
from .host_leftovers import host_leftovers

_POD_SECONDS = 300.0


class StoredPods:
    """Runs pods of busybox containers on stores.

    Attributes:
        store: what is tried.
        is_image: whether its stores are filesystem images: they have a size, and belong to one pod at a time.
        state_dir: where stores of the pods' own lie.
    """

    def __init__(
        self,
        store: PodStore,
        vmm: Vmm,
        directory: Path,
        *,
        is_image: bool,
        vm_config: VmConfig | None = None,
        pod_seconds: float = _POD_SECONDS,
    ) -> None:
        """Pods whose files lie below `directory`, beside the stores' own; each is to be done within `pod_seconds`."""
        self.store = store
        self.is_image = is_image
        self.state_dir = directory / "state"
        self._directory = directory
        self._vm_config = vm_config
        self._pod_seconds = pod_seconds
        self._bundle = busybox_bundle(directory)
        self._config = RuntimeConfig(vmm=vmm, store=store, state_dir=self.state_dir, runtime_dir=directory / "run")

    def kept(self, size: Size) -> PodStoreSpec:
        """A store that stays, always the same one."""
        return PodStoreSpec.at(self._directory / "kept", size)

    def builder(self, pod_id: str, store: PodStoreSpec) -> PodBuilder:
        """A pod on a store."""
        return PodBuilder(pod_id, self._vm_config, store)

    def shell(self, container_id: str, script: str) -> PodContainerSpec:
        """A container that runs a script of busybox's shell."""
        spec = PodContainerSpec(ContainerId(container_id), RootfsSource.oci_bundle(self._bundle))
        return spec.command("sh", "-c", script).stop_grace(0).stdout(Stdio.PIPED).stderr(Stdio.PIPED)

    @contextlib.asynccontextmanager
    async def runtime(self) -> AsyncIterator[Runtime]:
        """What runs them; afterwards nothing is left of them on the host but stores that are kept."""
        async with open_runtime(self._config) as runtime, asyncio.timeout(self._pod_seconds):
            yield runtime
        assert host_leftovers(self._directory) == []
        assert [str(path) for path in self.state_dir.rglob("pod-[0-9]*")] == []

    def allocated_bytes(self) -> int:
        """What the stores of the pods' own take on the host's disk."""
        return sum(path.lstat().st_blocks * 512 for path in self.state_dir.rglob("*"))
