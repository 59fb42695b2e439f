"""Spans of OpenTelemetry, as a program's own exporter gets them."""

from __future__ import annotations

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import firkin
from firkin.adapters.memory import MemoryPodStore, MemoryWorld
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


async def test_a_spawn_that_fails_is_a_span_with_the_code_of_the_error() -> None:
    world = MemoryWorld()
    world.faults.fail("store.open", StoreFull("/nowhere"))
    with pytest.raises(StoreFull):
        await _spans(world)
    store, whole = _EXPORTER.get_finished_spans()
    assert store.name == "store"
    assert whole.attributes == {"firkin.pod_id": "pod-1", "error.type": "store-full"}
    assert not whole.status.is_ok
