"""firkin.supervisor.v1: one method per RPC, in the order of the .proto."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from grpc.aio import ServicerContext

from firkin.application.task_scope import TaskScope
from firkin.domain.errors import InvalidArgument
from firkin.domain.ids import ContainerId
from firkin.ports.pod_control import AttachedProcess, PodControl
from firkin.wire import supervisor_pb2 as wire
from firkin.wire.supervisor_pb2_grpc import SupervisorServicer

from .errors import answering
from .messages import (
    copy_request_of,
    copy_response,
    exec_request_of,
    log_entry,
    pod_end,
    process_exit,
    process_output,
    statistics_response,
    terminal_size_of,
)

P = TypeVar("P", bound=AttachedProcess)
_Context = ServicerContext[object, object]
_Inputs = AsyncIterator[wire.ProcessInput]
_SHORTEST_INTERVAL_SECONDS = 0.05


class SupervisorService(SupervisorServicer):
    """Lets whoever calls drive a pod."""

    def __init__(self, control: PodControl) -> None:
        self._control = control

    async def Stop(self, request: wire.StopRequest, context: _Context) -> wire.PodEnd:
        async with answering(context):
            grace_seconds = request.grace_seconds if request.HasField("grace_seconds") else None
            return pod_end(await self._control.stop(grace_seconds))
        raise AssertionError("answering raises what it turns into a status")

    async def Wait(self, request: wire.WaitRequest, context: _Context) -> wire.PodEnd:
        async with answering(context):
            return pod_end(await self._control.wait())
        raise AssertionError("answering raises what it turns into a status")

    async def Kill(self, request: wire.KillRequest, context: _Context) -> wire.KillResponse:
        async with answering(context):
            container_ids = tuple(map(ContainerId, request.container_ids))
            await self._control.kill(container_ids, request.signal)
        return wire.KillResponse()

    async def Logs(self, request: wire.LogsRequest, context: _Context) -> AsyncIterator[wire.LogEntry]:
        async with answering(context):
            since = request.since if request.HasField("since") else None
            tail = request.tail if request.HasField("tail") else None
            entries = self._control.logs(ContainerId(request.container_id), since, tail)
            async for entry in entries:
                yield log_entry(entry)

    async def Exec(self, request_iterator: _Inputs, context: _Context) -> AsyncIterator[wire.ProcessOutput]:
        async with answering(context):
            start = await _start(request_iterator)
            joining = self._control.executed(exec_request_of(start))
            async for output in _joined(joining, request_iterator, lambda process: process.detach()):
                yield output

    async def Attach(self, request_iterator: _Inputs, context: _Context) -> AsyncIterator[wire.ProcessOutput]:
        async with answering(context):
            start = await _start(request_iterator)
            joining = self._control.attached(ContainerId(start.container_id), with_input=start.has_stdin)
            async for output in _joined(joining, request_iterator, _runs_on):
                yield output

    async def CopyIn(self, request: wire.CopyRequest, context: _Context) -> wire.CopyResponse:
        async with answering(context):
            return copy_response(await self._control.copy_in(copy_request_of(request)))
        raise AssertionError("answering raises what it turns into a status")

    async def CopyOut(self, request: wire.CopyRequest, context: _Context) -> wire.CopyResponse:
        async with answering(context):
            return copy_response(await self._control.copy_out(copy_request_of(request)))
        raise AssertionError("answering raises what it turns into a status")

    async def Statistics(
        self, request: wire.StatisticsRequest, context: _Context
    ) -> AsyncIterator[wire.StatisticsResponse]:
        async with answering(context):
            interval_seconds = max(request.interval_seconds, _SHORTEST_INTERVAL_SECONDS)
            async for containers in self._control.statistics(interval_seconds):
                yield statistics_response(containers)


async def _start(inputs: _Inputs) -> wire.ProcessStart:
    async for message in inputs:
        if message.HasField("start"):
            return message.start
        break
    raise InvalidArgument("the first message of a call must be its start")


async def _runs_on(_: AttachedProcess) -> None:
    """Nothing needs to be done for a container's init to run on."""


async def _joined(
    joining: AbstractAsyncContextManager[P], inputs: _Inputs, detach: Callable[[P], Awaitable[None]]
) -> AsyncIterator[wire.ProcessOutput]:
    async with joining as process:
        scope, detached = TaskScope(), asyncio.Event()

        async def leave() -> None:
            detached.set()
            await detach(process)

        try:
            scope.start(_pass_on(inputs, process, leave), "input of a process")
            yield wire.ProcessOutput(started=True)
            async for piece in process.output():
                yield process_output(piece)
            if not detached.is_set():
                yield process_exit(await process.wait())
        finally:
            await scope.aclose()


async def _pass_on(inputs: _Inputs, process: AttachedProcess, leave: Callable[[], Awaitable[None]]) -> None:
    """Do what the caller sends; it may stop sending long before it stops reading."""
    async for message in inputs:
        match message.WhichOneof("message"):
            case "stdin":
                await process.write(message.stdin)
            case "end":
                await process.end_input()
            case "resize":
                await process.resize(terminal_size_of(message.resize))
            case "signal":
                await process.kill(message.signal)
            case "detach":
                await leave()
