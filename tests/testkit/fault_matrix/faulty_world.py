"""A runtime in memory whose every port call can go wrong."""

from __future__ import annotations

import asyncio
from pathlib import Path

from firkin.adapters.memory import MemoryAgentConnector, MemoryImageSource, MemoryPodStore, MemoryVmm, MemoryWorld
from firkin.application.images import Images
from firkin.application.pod import Pod
from firkin.application.runtime import Runtime
from firkin.domain.container_spec import PodContainerSpec
from firkin.domain.image import ImageBundle, ImageConfig
from firkin.domain.pod_spec import PodBuilder, PodSpec
from firkin.domain.process import Stdio
from firkin.domain.rootfs_source import RootfsSource
from firkin.domain.volumes import EmptyDirVolume
from firkin.testkit.faults import FaultScript


class FaultyWorld:
    """Memory adapters behind a fault script.

    Attributes:
        places: how many places were passed where a cancellation could strike: before and after each port call, and
            the inner places of the adapters in memory.
    """

    def __init__(self, scratch: Path, seed: int = 0) -> None:
        self.scratch = scratch
        self.memory = MemoryWorld()
        self.script = FaultScript(seed)
        source = MemoryImageSource()
        config = ImageConfig(command=("sleep",))
        self.bundle: ImageBundle = source.add("demo", config, ("base", "top"))
        self.fresh_bundle: ImageBundle = source.add("fresh", config, ("base", "other"))
        self.runtime = Runtime(
            vmm=self.script.vmm(MemoryVmm(self.memory)),
            store=self.script.store(MemoryPodStore(self.memory)),
            agents=self.script.agents(MemoryAgentConnector(self.memory)),
            images=Images([self.script.images(source)]),
        )
        self.places = 0
        self._cancel_at: tuple[int, asyncio.Future[object]] | None = None
        self.script.on_call = self._passed
        self.memory.faults.on_passage = lambda _, place: self._passed(place)

    def _passed(self, _: str) -> None:
        self.places += 1
        if self._cancel_at is not None and self._cancel_at[0] == self.places:
            self._cancel_at[1].cancel()

    def cancel_at(self, place: int, task: asyncio.Future[object]) -> None:
        """Cancel a task at the place of this number, counted from here."""
        self._cancel_at = (self.places + place, task)

    def container(self, container_id: str, *command: str) -> PodContainerSpec:
        """A container with piped output; all but `old` are of an image that has no template yet."""
        bundle = self.bundle if container_id == "old" else self.fresh_bundle
        spec = PodContainerSpec(container_id, RootfsSource.oci_bundle(bundle))
        return spec.command(*(command or ("sleep",))).stdout(Stdio.PIPED).stderr(Stdio.PIPED)

    def spec(self) -> PodSpec:
        """A pod with a container that runs, and a volume with a file."""
        volume = EmptyDirVolume.memory("work")
        return PodBuilder("pod-1").empty_dir(volume).container(self.container("old")).build()

    async def pod(self) -> Pod:
        """That pod, running."""
        return await self.runtime.spawn(self.spec())
