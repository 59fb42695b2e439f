from __future__ import annotations

import pytest

from firkin import (
    FirkinError,
    ImageConfig,
    PodBuilder,
    PodContainerSpec,
    RootfsSource,
    RuntimeConfig,
    Stdio,
    open_runtime,
)
from firkin.adapters.memory import MemoryAgentConnector, MemoryImageSource, MemoryPodStore, MemoryVmm, MemoryWorld
from firkin.bootstrap import wired
from firkin.config import AGENT_NAMES, IMAGE_SOURCE_NAMES, STORE_NAMES, VMM_NAMES


def test_the_wiring_is_complete() -> None:
    wired(RuntimeConfig().placed()).check_dependencies()


@pytest.mark.parametrize("vmm", VMM_NAMES)
def test_every_vmm_that_has_a_name_is_made(vmm: str) -> None:
    assert wired(RuntimeConfig(vmm=vmm).placed()).vmm().capabilities()


@pytest.mark.parametrize("store", STORE_NAMES)
def test_every_store_that_has_a_name_is_made(store: str) -> None:
    assert wired(RuntimeConfig(store=store).placed()).store()


@pytest.mark.parametrize("agents", AGENT_NAMES)
def test_every_agent_connector_that_has_a_name_is_made(agents: str) -> None:
    assert wired(RuntimeConfig(agents=agents).placed()).agents()


def test_every_image_source_that_has_a_name_is_made() -> None:
    assert wired(RuntimeConfig(images=IMAGE_SOURCE_NAMES).placed()).images().schemes == IMAGE_SOURCE_NAMES


async def test_objects_of_the_caller_stand_in_for_adapters() -> None:
    world = MemoryWorld()
    images = MemoryImageSource()
    images.add("echo", ImageConfig(command=("echo", "swapped")))
    config = RuntimeConfig(
        vmm=MemoryVmm(world), store=MemoryPodStore(world), agents=MemoryAgentConnector(world), images=images
    )
    async with open_runtime(config) as runtime:
        bundle = await runtime.images.resolve("memory:echo")
        container = PodContainerSpec("a", RootfsSource.oci_bundle(bundle)).stdout(Stdio.PIPED)
        async with runtime.spawn(PodBuilder("pod-1").container(container).build()) as pod:
            output = await pod.wait_container("a")
    assert output.stdout == b"swapped\n"
    assert world.leftovers() == []


async def test_one_runtime_of_named_memory_adapters_is_one_world() -> None:
    config = RuntimeConfig(vmm="memory", store="memory", agents="memory", images="memory")
    async with open_runtime(config) as runtime, runtime.spawn(PodBuilder("pod-1").build()) as pod:
        assert pod.containers() == ()


async def test_a_reference_of_no_source_names_the_schemes_there_are() -> None:
    async with open_runtime(RuntimeConfig(images="memory")) as runtime:
        with pytest.raises(FirkinError, match="there are: memory:"):
            await runtime.images.resolve("oci:images:busybox")
