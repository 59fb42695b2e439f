"""Spans of OpenTelemetry, as a program's own exporter gets them."""

from __future__ import annotations

import contextlib

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import firkin
from firkin.adapters.memory import MemoryAgentConnector, MemoryImageSource, MemoryPodStore, MemoryVmm, MemoryWorld
from firkin.domain.errors import StoreFull

_EXPORTER = InMemorySpanExporter()


@pytest.fixture(scope="module", autouse=True)
def _provider() -> None:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(_EXPORTER))
    trace.set_tracer_provider(provider)


async def _spans(world: MemoryWorld) -> list[ReadableSpan]:
    _EXPORTER.clear()
    config = firkin.RuntimeConfig(vmm="memory", store=MemoryPodStore(world), agents="memory", images="memory")
    async with firkin.open_runtime(config) as runtime:
        pod = await runtime.spawn(firkin.PodBuilder("pod-1").build())
        await pod.stop()
    return list(_EXPORTER.get_finished_spans())


async def test_a_spawn_is_a_span_with_its_stages_below_it_one_after_the_other() -> None:
    *stages, whole = await _spans(MemoryWorld())
    assert whole.name == "spawn pod"
    assert whole.attributes == {"firkin.pod_id": "pod-1"}
    names = [stage.name for stage in stages]
    assert names == ["store", "boot", "agent", "mount", "volumes", "init containers", "containers"]
    assert whole.context is not None
    assert {stage.parent.span_id for stage in stages if stage.parent} == {whole.context.span_id}
    ends = [whole.start_time, *(stage.end_time for stage in stages)]
    assert [stage.start_time for stage in stages] == ends[:-1]
    assert whole.end_time == ends[-1]


async def _traced(spec: firkin.PodSpec, world: MemoryWorld, images: MemoryImageSource) -> dict[str, ReadableSpan]:
    _EXPORTER.clear()
    vmm, store, agents = MemoryVmm(world), MemoryPodStore(world), MemoryAgentConnector(world)
    config = firkin.RuntimeConfig(vmm=vmm, store=store, agents=agents, images=images)
    async with firkin.open_runtime(config) as runtime:
        with contextlib.suppress(StoreFull):
            await (await runtime.spawn(spec)).stop()
    return {span.name: span for span in _EXPORTER.get_finished_spans()}


def _one_container(images: MemoryImageSource) -> firkin.PodSpec:
    spec = firkin.PodContainerSpec("c", firkin.RootfsSource.oci_bundle(images.add("demo"))).command("exit", "0")
    return firkin.PodBuilder("pod-1").container(spec).build()


async def test_a_container_is_a_span_below_its_stage_with_its_own_stages_and_their_parts_below_it() -> None:
    images = MemoryImageSource()
    spans = await _traced(_one_container(images), MemoryWorld(), images)
    parents = {"start container": "containers", "template": "start container", "call": "start container"}
    parents |= {"write": "template", "commit": "template", "create": "call", "start": "call"}
    for child, parent in parents.items():
        below, above = spans[child], spans[parent]
        assert below.parent is not None
        assert above.context is not None
        assert below.parent.span_id == above.context.span_id, child
    for child in ("write", "commit", "create", "start"):
        below, above = spans[child], spans[parents[child]]
        assert below.attributes is not None
        assert (below.attributes["firkin.container_id"], below.attributes["firkin.pod_id"]) == ("c", "pod-1")
        assert _time(above.start_time) <= _time(below.start_time) <= _time(below.end_time) <= _time(above.end_time)


async def test_a_container_that_fails_to_start_fails_the_span_of_its_stage() -> None:
    world, images = MemoryWorld(), MemoryImageSource()
    world.faults.fail("agent.apply_layer", StoreFull("/nowhere"))
    spans = await _traced(_one_container(images), world, images)
    failed = [name for name, span in spans.items() if span.status.status_code is trace.StatusCode.ERROR]
    assert sorted(failed) == ["spawn pod", "start container", "template"]


def _time(nanoseconds: int | None) -> int:
    assert nanoseconds is not None
    return nanoseconds


async def test_a_spawn_that_fails_is_a_span_with_the_code_of_the_error() -> None:
    world = MemoryWorld()
    world.faults.fail("store.open", StoreFull("/nowhere"))
    with pytest.raises(StoreFull):
        await _spans(world)
    store, whole = _EXPORTER.get_finished_spans()
    assert store.name == "store"
    assert whole.attributes == {"firkin.pod_id": "pod-1", "error.type": "store-full"}
    assert not whole.status.is_ok
