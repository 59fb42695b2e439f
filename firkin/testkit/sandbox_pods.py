"""Pods of busybox containers in the sandboxes of one VMM."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

from firkin.application.pod import Pod
from firkin.bootstrap import open_runtime
from firkin.config import RuntimeConfig
from firkin.domain.container_spec import PodContainerSpec
from firkin.domain.ids import ContainerId
from firkin.domain.pod_spec import PodBuilder
from firkin.domain.process import Output, Stdio
from firkin.domain.reports import Promise
from firkin.domain.rootfs_source import RootfsSource
from firkin.domain.store_spec import PodStoreSpec
from firkin.domain.vm_config import VmConfig
from firkin.ports.vmm import Vmm

from .busybox_image import busybox_bundle
from .claims import refused_unless_claimed
from .host_leftovers import host_leftovers

_POD_SECONDS = 300


class SandboxPods:
    """Runs pods to their end, and tells what the VMM promises about them."""

    def __init__(self, vmm: Vmm, directory: Path, store: str = "directory") -> None:
        """Pods whose files lie below `directory`; `store` is one of firkin's that the VMM can use."""
        self._capabilities = vmm.capabilities()
        self._directory = directory
        self._bundle = busybox_bundle(directory)
        self._config = RuntimeConfig(vmm=vmm, store=store, state_dir=directory / "state", runtime_dir=directory / "run")

    def enforces(self, name: str) -> bool:
        """Whether the VMM claims to enforce this."""
        return any(one.promise is Promise.ENFORCED for one in self._capabilities.promises if one.name == name)

    @contextlib.contextmanager
    def claiming(self, name: str) -> Iterator[None]:
        """A body that tries a promise: refused cleanly is fine, unless it is claimed."""
        with refused_unless_claimed(self.enforces(name), name):
            yield

    def shell(self, container_id: str, script: str) -> PodContainerSpec:
        """A container that runs a script of busybox's shell."""
        spec = PodContainerSpec(ContainerId(container_id), RootfsSource.oci_bundle(self._bundle))
        return spec.command("sh", "-c", script).stdout(Stdio.PIPED).stderr(Stdio.PIPED)

    async def outputs(self, builder: PodBuilder, *containers: PodContainerSpec) -> Mapping[str, Output]:
        """Run a pod until all of its containers have ended, and stop it; the stop has to be clean."""
        for container in containers:
            builder = builder.container(container)
        async with open_runtime(self._config) as runtime, asyncio.timeout(_POD_SECONDS):
            pod = await runtime.spawn(builder.build())
            outputs = await asyncio.gather(*(pod.wait_container(container.id) for container in containers))
            report = await pod.stop(0)
        assert report.clean, report
        return {container.id: output for container, output in zip(containers, outputs, strict=True)}

    @contextlib.asynccontextmanager
    async def running(self, container: PodContainerSpec, store: PodStoreSpec | None = None) -> AsyncIterator[Pod]:
        """A pod of one container; leaving stops it."""
        config = VmConfig(boot_timeout_seconds=_POD_SECONDS)
        spec = PodBuilder("pod-1", config, store).container(container).build()
        async with open_runtime(self._config) as runtime, asyncio.timeout(_POD_SECONDS), runtime.spawn(spec) as pod:
            yield pod

    def leftovers(self) -> list[str]:
        """What is left on the host, in words."""
        return host_leftovers(self._directory)
