"""Runtimes in memory for the tests of the application."""

from __future__ import annotations

from collections.abc import Mapping

from firkin.adapters.memory import (
    MemoryAgentConnector,
    MemoryImageSource,
    MemoryPodStore,
    MemoryVmm,
    MemoryWorld,
    Program,
)
from firkin.application.images import Images
from firkin.application.runtime import Runtime
from firkin.domain.container_spec import PodContainerSpec
from firkin.domain.image import ImageBundle, ImageConfig
from firkin.domain.pod_spec import PodBuilder, PodSpec
from firkin.domain.process import Stdio
from firkin.domain.rootfs_source import RootfsSource
from firkin.domain.volumes import EmptyDirVolume


class World:
    """A memory world, a runtime over it, and one image."""

    def __init__(self, programs: Mapping[str, Program] | None = None) -> None:
        self.memory = MemoryWorld()
        self.images = MemoryImageSource(self.memory.faults)
        self.bundle: ImageBundle = self.images.add("demo", ImageConfig(command=("true",)))
        self.runtime = Runtime(
            vmm=MemoryVmm(self.memory),
            store=MemoryPodStore(self.memory),
            agents=MemoryAgentConnector(self.memory, programs),
            images=Images([self.images]),
        )

    def container(self, container_id: str, *command: str) -> PodContainerSpec:
        """A container of the demo image with piped output."""
        spec = PodContainerSpec(container_id, RootfsSource.oci_bundle(self.bundle))
        return spec.command(*(command or ("sleep",))).stdout(Stdio.PIPED).stderr(Stdio.PIPED)

    def pod(self, *containers: PodContainerSpec, pod_id: str = "pod-1") -> PodSpec:
        """A pod with one emptyDir, `work`."""
        builder = PodBuilder(pod_id).empty_dir(EmptyDirVolume.memory("work"))
        for container in containers:
            builder = builder.container(container)
        return builder.build()
