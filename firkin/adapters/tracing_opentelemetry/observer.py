"""A span for each spawn, below it one for each stage, and below those the containers that were started, by stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from opentelemetry.context import Context
from opentelemetry.trace import Span, Status, StatusCode, get_tracer, set_span_in_context

from firkin.domain.stages import CALL_STAGES, TEMPLATE_STAGES
from firkin.ports.spawn_observer import ContainerStart, SpawnReport

_NANOSECONDS = 10**9
_PARTS: Mapping[str, Sequence[str]] = {"template": TEMPLATE_STAGES, "call": CALL_STAGES}
_SIDE_BY_SIDE = frozenset(("pull", "inflate", "hash", "write"))


class OpenTelemetryObserver:
    """Hands spans to whatever provider the program has set up; without one they go nowhere."""

    def pod_spawned(self, report: SpawnReport) -> None:
        """Write the spans of a spawn, with its times of then."""
        attributes = {"firkin.pod_id": report.pod_id}
        begin = round(report.began_unix_seconds * _NANOSECONDS)
        span = get_tracer("firkin").start_span("spawn pod", start_time=begin, attributes=attributes)
        end = begin
        for part, stage, end in _one_after_the_other(
            report.stage_seconds, set_span_in_context(span), begin, attributes
        ):
            for start in report.containers:
                if start.pod_stage == stage:
                    _write_start(start, set_span_in_context(part), report.pod_id)
            part.end(end)
        _fail(span, report.error)
        span.end(end)


def _write_start(start: ContainerStart, below: Context, pod_id: str) -> None:
    attributes = {"firkin.pod_id": pod_id, "firkin.container_id": start.container_id}
    begin = round(start.began_unix_seconds * _NANOSECONDS)
    span = get_tracer("firkin").start_span("start container", below, start_time=begin, attributes=attributes)
    parts = {part for known in _PARTS.values() for part in known}
    stages = {stage: seconds for stage, seconds in start.stage_seconds.items() if stage not in parts}
    end = begin
    for part, stage, end in _one_after_the_other(stages, set_span_in_context(span), begin, attributes):
        seconds = {name: start.stage_seconds[name] for name in _PARTS.get(stage, ()) if name in start.stage_seconds}
        _write_parts(seconds, set_span_in_context(part), (end - round(stages[stage] * _NANOSECONDS), end), attributes)
        if stage == start.failed_stage or start.failed_stage in seconds:
            _fail(part, start.error)
        part.end(end)
    _fail(span, start.error)
    span.end(end)


def _write_parts(
    seconds: Mapping[str, float], below: Context, bounds: tuple[int, int], attributes: Mapping[str, str]
) -> None:
    """Those that run beside each other begin with the whole, the commit ends with it, and none goes beyond it.

    How long each really worked, in several threads perhaps, is its attribute `firkin.seconds`.
    """
    begin, last = bounds
    for name, took in seconds.items():
        length = min(round(took * _NANOSECONDS), last - begin)
        begin = last - length if name == "commit" else begin
        told: dict[str, str | float] = {**attributes, "firkin.seconds": took}
        get_tracer("firkin").start_span(name, below, start_time=begin, attributes=told).end(begin + length)
        begin = begin if name in _SIDE_BY_SIDE else begin + length


def _one_after_the_other(
    seconds: Mapping[str, float], below: Context, begin: int, attributes: Mapping[str, str]
) -> Iterator[tuple[Span, str, int]]:
    """The spans of stages, to be ended by the caller, each with its name and its end."""
    tracer = get_tracer("firkin")
    for stage, took in seconds.items():
        span = tracer.start_span(stage, context=below, start_time=begin, attributes=attributes)
        begin += round(took * _NANOSECONDS)
        yield span, stage, begin


def _fail(span: Span, error: str) -> None:
    if error:
        span.set_attribute("error.type", error)
        span.set_status(Status(StatusCode.ERROR, error))
