"""A runtime in memory whose every port call can go wrong."""

from __future__ import annotations

import asyncio
from pathlib import Path

from msgspec.structs import replace

from firkin.adapters.memory import MemoryAgentConnector, MemoryImageSource, MemoryPodStore, MemoryVmm, MemoryWorld
from firkin.application.images import Images
from firkin.application.pod import Pod
from firkin.application.runtime import Runtime
from firkin.domain.container_spec import PodContainerSpec
from firkin.domain.image import ImageBundle, ImageConfig
from firkin.domain.pod_spec import PodBuilder, PodSpec
from firkin.domain.probes import Probe
from firkin.domain.process import Stdio
from firkin.domain.rootfs_source import RootfsSource
from firkin.domain.volumes import EmptyDirVolume
from firkin.testkit.faults import Fault, FaultKind, FaultScript
from firkin.testkit.faults.kinds import error_of

EXPOSING = "sandbox.expose_guest_port"
PORT = 8080


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
        self.memory.faults.on_passage = lambda _, place: self._passed_inside(place)
        self._inner_fault: Fault | None = None

    def _passed(self, _: str) -> None:
        self.places += 1
        if self._cancel_at is not None and self._cancel_at[0] == self.places:
            self._cancel_at[1].cancel()

    def _passed_inside(self, place: str) -> None:
        """Inside the adapters: what an agent asks of its sandbox goes wrong as the script has it, without delay."""
        self._passed(place)
        name, _, moment = place.partition(" ")
        if name != EXPOSING:
            return
        if moment == "before":
            self._inner_fault = self.script.fault_of(name)
        fault = self._inner_fault
        if fault is None or fault.kind in (FaultKind.DELAY, FaultKind.DUPLICATE):
            return
        if fault.has_effect is (moment == "after"):
            raise error_of(fault, name)

    def cancel_at(self, place: int, task: asyncio.Future[object]) -> None:
        """Cancel a task at the place of this number, counted from here."""
        self._cancel_at = (self.places + place, task)

    def container(self, container_id: str, *command: str) -> PodContainerSpec:
        """A container with piped output; all but `old` are of an image that has no template yet."""
        bundle = self.bundle if container_id == "old" else self.fresh_bundle
        spec = PodContainerSpec(container_id, RootfsSource.oci_bundle(bundle))
        return spec.command(*(command or ("sleep",))).stdout(Stdio.PIPED).stderr(Stdio.PIPED)

    def probed(self, container_id: str) -> PodContainerSpec:
        """A server that becomes ready once its port answers."""
        readiness = replace(Probe.http_get(PORT, "/passwd"), period_seconds=1.0)
        return self.container(container_id, "httpd", "-f", "-p", str(PORT)).readiness_probe(readiness)

    def spec(self) -> PodSpec:
        """A pod with a container that runs, and a volume with a file."""
        volume = EmptyDirVolume.memory("work")
        return PodBuilder("pod-1").empty_dir(volume).container(self.container("old")).build()

    async def pod(self) -> Pod:
        """That pod, running."""
        return await self.runtime.spawn(self.spec())
