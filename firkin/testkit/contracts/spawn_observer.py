"""What every observer of spawns promises (ports/spawn_observer.py): it keeps nobody waiting, and it never fails."""

from __future__ import annotations

import time

import pytest

from firkin.adapters.memory import MemoryAgentConnector, MemoryImageSource, MemoryPodStore, MemoryVmm
from firkin.application.images import Images
from firkin.application.runtime import Runtime
from firkin.domain.container_spec import PodContainerSpec
from firkin.domain.errors import CommandNotFound
from firkin.domain.image import ImageConfig
from firkin.domain.pod_spec import PodBuilder
from firkin.domain.rootfs_source import RootfsSource
from firkin.domain.stages import CONTAINER_STAGES, POD_STAGES
from firkin.ports.spawn_observer import ContainerStart, SpawnObserver, SpawnReport

_MANY = 100
_LONG_SECONDS = 10.0
"""Beyond any hand-over of so many reports, also on a machine that is busy; who sends them somewhere takes longer."""

_BEGAN = 1_700_000_000.25
_WHOLE = ContainerStart("whole", _BEGAN, "containers", dict.fromkeys(CONTAINER_STAGES, 0.5))
_FAILED = ContainerStart("failed", _BEGAN, "containers", {"template": 1.0, "pull": 0.5}, "blob-corrupt", "pull")
_NOTHING = ContainerStart("nothing", _BEGAN, "", {}, "cancelled")
_STRANGE = ContainerStart("strange", 0.0, "containers", {"a stage that nobody knows": 0.0, "call": 0.0}, "", "start")

_REPORTS = {
    "a pod that runs": SpawnReport("pod-1", _BEGAN, dict.fromkeys(POD_STAGES, 0.5), "", (_WHOLE, _WHOLE)),
    "a container that failed": SpawnReport(
        "pod-1", _BEGAN, {"boot": 1.0, "containers": 1.0}, "start-failed", (_FAILED,)
    ),
    "a boot that failed": SpawnReport("pod-1", _BEGAN, {"store": 0.0, "boot": 2.0}, "boot-failed"),
    "a pod that had not begun": SpawnReport("pod-1", _BEGAN, {}, "store-in-use", (_NOTHING,)),
    "stages of a later version": SpawnReport("pod-1", 0.0, {"another": 1e9, "containers": 0.0}, "", (_STRANGE,)),
}


@pytest.mark.parametrize("kind", list(_REPORTS))
def test_any_report_is_taken_without_a_failure(firkin_spawn_observer: SpawnObserver, kind: str) -> None:
    for _ in range(2):
        firkin_spawn_observer.pod_spawned(_REPORTS[kind])


def test_nobody_waits_for_it(firkin_spawn_observer: SpawnObserver) -> None:
    began = time.monotonic()
    for _ in range(_MANY):
        for report in _REPORTS.values():
            firkin_spawn_observer.pod_spawned(report)
    assert time.monotonic() - began < _LONG_SECONDS


async def test_pods_are_spawned_and_fail_as_without_it(firkin_spawn_observer: SpawnObserver) -> None:
    vmm = MemoryVmm()
    bundle = MemoryImageSource().add("demo", ImageConfig(command=("true",)))
    container = PodContainerSpec("a", RootfsSource.oci_bundle(bundle))
    runtime = Runtime(
        vmm=vmm,
        store=MemoryPodStore(vmm.world),
        agents=MemoryAgentConnector(vmm.world),
        images=Images([]),
        observer=firkin_spawn_observer,
    )
    async with runtime:
        async with runtime.spawn(PodBuilder("pod-1").container(container).build()) as pod:
            assert (await pod.wait_container("a")).status.success
        with pytest.raises(CommandNotFound):
            await runtime.spawn(PodBuilder("pod-1").container(container.command("nonsense")).build())
    assert vmm.world.leftovers() == []
