"""A pod, driven by calls to its supervisor."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from grpc.aio import Channel

from firkin.domain.copying import CopyReport
from firkin.domain.ids import ContainerId, PodId
from firkin.domain.output_log import LogEntry
from firkin.domain.statistics import ContainerStatistics
from firkin.domain.supervised_pod import PodRecord
from firkin.ports.pod_control import CopyRequest, ExecRequest
from firkin.wire import supervisor_pb2 as wire
from firkin.wire.supervisor_pb2_grpc import SupervisorStub

from .client_process import GrpcAttachedProcess, GrpcExecutedProcess
from .errors import raising_again
from .messages import (
    copy_report_of,
    copy_request,
    log_entry_of,
    process_start,
    record_of,
    statistics_of,
)

if TYPE_CHECKING:
    from firkin.wire.supervisor_pb2_grpc import SupervisorAsyncStub

_DEADLINE_SECONDS = 60.0


class GrpcPodControl:
    """Keeps the port PodControl over a channel to the pod's supervisor."""

    def __init__(self, pod_id: PodId, channel: Channel) -> None:
        self._pod_id = pod_id
        self._stub: SupervisorAsyncStub = SupervisorStub(channel)

    async def stop(self, grace_seconds: float | None = None) -> PodRecord:
        """End the pod; see `firkin.ports.pod_control`."""
        # Without a deadline: the graces of containers are theirs, and the supervisor's own are bounded.
        with raising_again(self._pod_id):
            return record_of(await self._stub.Stop(wire.StopRequest(grace_seconds=grace_seconds)))

    async def wait(self) -> PodRecord:
        """Wait until nothing of the pod is left."""
        with raising_again(self._pod_id):
            return record_of(await self._stub.Wait(wire.WaitRequest()))

    async def kill(self, container_ids: tuple[ContainerId, ...], signal: int) -> None:
        """Send a signal to these containers."""
        request = wire.KillRequest(container_ids=container_ids, signal=signal)
        with raising_again(self._pod_id):
            await self._stub.Kill(request, timeout=_DEADLINE_SECONDS)

    async def logs(
        self, container_id: ContainerId, since: float | None = None, tail: int | None = None
    ) -> AsyncIterator[LogEntry]:
        """What is kept of a container's output, and what comes until it has ended."""
        call = self._stub.Logs(wire.LogsRequest(container_id=container_id, since=since, tail=tail))
        try:
            with raising_again(self._pod_id):
                async for message in call:
                    yield log_entry_of(message)
        finally:
            call.cancel()

    @asynccontextmanager
    async def executed(self, request: ExecRequest) -> AsyncIterator[GrpcExecutedProcess]:
        """Run a process; leaving kills it when it still runs and was not detached."""
        start = wire.ProcessInput(start=process_start(request))
        async with GrpcExecutedProcess(self._pod_id, self._stub.Exec(), start) as process:
            yield process

    @asynccontextmanager
    async def attached(self, container_id: ContainerId, *, with_input: bool) -> AsyncIterator[GrpcAttachedProcess]:
        """Join a container's init; leaving leaves it running."""
        start = wire.ProcessInput(start=wire.ProcessStart(container_id=container_id, has_stdin=with_input))
        async with GrpcAttachedProcess(self._pod_id, self._stub.Attach(), start) as process:
            yield process

    async def copy_in(self, request: CopyRequest) -> CopyReport:
        """Copy from the host into a container; how long it takes, its size decides."""
        with raising_again(self._pod_id):
            return copy_report_of(await self._stub.CopyIn(copy_request(request)))

    async def copy_out(self, request: CopyRequest) -> CopyReport:
        """Copy from a container to the host; how long it takes, its size decides."""
        with raising_again(self._pod_id):
            return copy_report_of(await self._stub.CopyOut(copy_request(request)))

    async def statistics(self, interval_seconds: float) -> AsyncIterator[tuple[ContainerStatistics, ...]]:
        """What the containers that run use, at once and then every so often, until the pod has ended."""
        call = self._stub.Statistics(wire.StatisticsRequest(interval_seconds=interval_seconds))
        try:
            with raising_again(self._pod_id):
                async for message in call:
                    yield statistics_of(message)
        finally:
            call.cancel()
