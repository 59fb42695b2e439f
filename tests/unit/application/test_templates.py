"""Templates of images of several layers: what a pod holds, and who waits for whom."""

from __future__ import annotations

import asyncio

from firkin.adapters.memory import (
    MemoryAgentConnector,
    MemoryImageSource,
    MemoryPodStore,
    MemoryVmm,
    MemoryWorld,
)
from firkin.application.images import Images
from firkin.application.runtime import Runtime
from firkin.domain.container_spec import PodContainerSpec
from firkin.domain.digest import Digest
from firkin.domain.ids import PodId
from firkin.domain.image import ImageBundle, ImageConfig
from firkin.domain.pod_spec import PodBuilder, PodSpec
from firkin.domain.rootfs_source import RootfsSource
from firkin.ports.store import StoreMedium


class HoldingStore(MemoryPodStore):
    """Remembers what pods hold."""

    def __init__(self, world: MemoryWorld) -> None:
        super().__init__(world)
        self.held: dict[PodId, list[Digest]] = {}

    async def hold_template(self, medium: StoreMedium, pod_id: PodId, chain_id: Digest) -> None:
        """Note it."""
        assert chain_id not in self.world.store(medium.identity).templates
        self.held.setdefault(pod_id, []).append(chain_id)


def pod(pod_id: str, *bundles: ImageBundle) -> PodSpec:
    builder = PodBuilder(pod_id)
    for number, bundle in enumerate(bundles):
        builder = builder.container(PodContainerSpec(f"c{number}", RootfsSource.oci_bundle(bundle)).command("sleep"))
    return builder.build()


async def test_a_pod_holds_every_layer_that_its_template_may_stand_on() -> None:
    world = MemoryWorld()
    store = HoldingStore(world)
    images = MemoryImageSource(world.faults)
    bundle = images.add("stacked", ImageConfig(command=("true",)), layers=("base", "middle", "top"))
    runtime = Runtime(vmm=MemoryVmm(world), store=store, agents=MemoryAgentConnector(world), images=Images([images]))
    async with runtime, runtime.spawn(pod("pod-1", bundle)):
        assert store.held == {"pod-1": [layer.chain_id for layer in bundle.layers]}


async def test_images_of_one_base_are_made_one_after_the_other_by_whichever_pod() -> None:
    world = MemoryWorld()
    images = MemoryImageSource(world.faults)
    bundles = [images.add(name, ImageConfig(command=("true",)), layers=("base", name)) for name in ("a", "b", "c")]
    runtime = Runtime(
        vmm=MemoryVmm(world),
        store=MemoryPodStore(world),
        agents=MemoryAgentConnector(world),
        images=Images([images]),
    )
    async with runtime:
        pods = await asyncio.gather(
            *(runtime.spawn(pod(f"pod-{number}", bundle, bundles[0])) for number, bundle in enumerate(bundles))
        )
        assert [one.template_cache_entries() for one in pods] == [1, 2, 2]
    assert world.leftovers() == []
