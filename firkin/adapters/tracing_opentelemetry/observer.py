"""A span for each spawn, with one below it for each stage."""

from __future__ import annotations

from opentelemetry.trace import Status, StatusCode, get_tracer, set_span_in_context

from firkin.ports.spawn_observer import SpawnReport

_NANOSECONDS = 10**9


class OpenTelemetryObserver:
    """Hands spans to whatever provider the program has set up; without one they go nowhere."""

    def pod_spawned(self, report: SpawnReport) -> None:
        """Write the spans of a spawn, with its times of then."""
        tracer = get_tracer("firkin")
        begin = round(report.began_unix_seconds * _NANOSECONDS)
        attributes = {"firkin.pod_id": report.pod_id}
        span = tracer.start_span("spawn pod", start_time=begin, attributes=attributes)
        below = set_span_in_context(span)
        end = begin
        for stage, seconds in report.stage_seconds.items():
            part = tracer.start_span(stage, context=below, start_time=end, attributes=attributes)
            end += round(seconds * _NANOSECONDS)
            part.end(end)
        if report.error:
            span.set_attribute("error.type", report.error)
            span.set_status(Status(StatusCode.ERROR, report.error))
        span.end(end)
