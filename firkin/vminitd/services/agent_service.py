"""firkin.agent.v1: one method per RPC, in the order of the .proto."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator

from grpc.aio import ServicerContext

from firkin.domain.errors import InvalidArgument
from firkin.domain.errors.base import failing_in
from firkin.domain.guest_path import GuestPath
from firkin.domain.ids import ContainerId, PodId, VolumeName
from firkin.domain.terminal import TerminalSize
from firkin.wire import agent_pb2 as wire
from firkin.wire.agent_pb2_grpc import AgentServicer

from .. import VERSION
from ..agent import GuestAgent
from ..filesystem import files, overlays, store
from .agent_events import EventCalls
from .agent_files import FileCalls
from .agent_messages import (
    container_from,
    exit_message,
    mount_from,
    overlay_base_from,
    overlay_from,
    process_ref,
    stdio_from,
    volume_from,
)
from .agent_network import NetworkCalls
from .agent_statistics import StatisticsCalls
from .errors import answering
from .template_rpc import template_progress

FEATURES = (
    "container-files",
    "connected-proxies",
    "copies",
    "disk-size-limits",
    "events",
    "layer-limits",
    "one-call-start",
    "own-mounts",
    "own-roots",
    "port-checks",
    "port-forwards",
    "process-list",
    "shared-process-namespace",
    "statistics",
    "store-usage",
    "stream-tokens",
    "templates",
    "terminals",
    "typed-errors",
    "volume-groups",
    "volume-parts",
    "writable-layer-limits",
)
_Context = ServicerContext[object, object]


class AgentService(FileCalls, StatisticsCalls, EventCalls, NetworkCalls, AgentServicer):
    """Answers a host that speaks firkin.agent.v1."""

    def __init__(self, agent: GuestAgent) -> None:
        self._agent = agent

    async def GetInfo(self, request: wire.GetInfoRequest, context: _Context) -> wire.GetInfoResponse:
        return wire.GetInfoResponse(
            version=VERSION,
            features=FEATURES,
            runtime=await self._agent.runtime_version(),
            boot_usec=int(self._agent.boot_seconds * 1e6),
        )

    async def PreparePod(self, request: wire.PreparePodRequest, context: _Context) -> wire.PreparePodResponse:
        async with answering(context, "prepare pod", request.store.destination, pod_id=request.pod_id):
            pod_id = PodId(request.pod_id)
            volumes = [volume_from(volume) for volume in request.volumes]
            run = self._agent.programs.for_threads()
            await self._agent.workers.run(store.prepare_pod, pod_id, mount_from(request.store), volumes, run)
            self._agent.containers.pod_id = pod_id
            if request.shares_processes:
                await self._agent.process_namespace.make()
        return wire.PreparePodResponse()

    async def TearDownPod(self, request: wire.TearDownPodRequest, context: _Context) -> wire.TearDownPodResponse:
        async with answering(context, "tear down pod", request.store_path, pod_id=request.pod_id):
            pod_id, store_path = PodId(request.pod_id), GuestPath(request.store_path)
            volumes = [VolumeName(name) for name in request.volumes]
            problems = await self._agent.containers.remove_all()
            problems += await self._agent.workers.run(store.tear_down_pod, pod_id, store_path, volumes)
        return wire.TearDownPodResponse(problems=problems)

    async def EnsureTemplate(
        self, request: wire.EnsureTemplateRequest, context: _Context
    ) -> AsyncIterator[wire.EnsureTemplateResponse]:
        async with answering(context, "ensure template", request.store_path):
            async for progress in template_progress(self._agent, request):
                yield progress

    async def PrepareOverlay(
        self, request: wire.PrepareOverlayRequest, context: _Context
    ) -> wire.PrepareOverlayResponse:
        async with answering(context, "prepare overlay", request.overlay.base, container_id=request.container_id):
            ContainerId(request.container_id)
            overlay = overlay_from(request.overlay, self._agent.programs.for_threads())
            await self._agent.workers.run(overlays.prepare_overlay, overlay.base, overlay.lower, overlay.limit)
        return wire.PrepareOverlayResponse()

    async def StartContainer(
        self, request: wire.StartContainerRequest, context: _Context
    ) -> wire.StartContainerResponse:
        async with answering(context, "start container", request.overlay.base, container_id=request.container_id):
            container = container_from(request, self._agent.programs.for_threads())
            began = time.perf_counter()
            with failing_in("create"):
                await self._agent.containers.create(container)
            create_seconds = time.perf_counter() - began
            with failing_in("start"):
                launched = await self._agent.containers.start(container.container_id)
        return wire.StartContainerResponse(
            pid=launched.child.pid,
            runtime_usec=int(launched.runtime_seconds * 1e6),
            create_usec=int(create_seconds * 1e6),
        )

    async def RemoveContainer(
        self, request: wire.RemoveContainerRequest, context: _Context
    ) -> wire.RemoveContainerResponse:
        async with answering(context, "remove container", request.overlay_base, container_id=request.container_id):
            base = overlay_base_from(request.overlay_base) if request.HasField("overlay_base") else None
            problems = await self._agent.containers.remove(ContainerId(request.container_id), base)
        return wire.RemoveContainerResponse(problems=problems)

    async def StartProcess(self, request: wire.StartProcessRequest, context: _Context) -> wire.StartProcessResponse:
        async with answering(
            context, "start process", container_id=request.container_id, process_id=request.process_id
        ):
            ref = process_ref(request.container_id, request.process_id)
            if ref.is_init:
                raise InvalidArgument("a process must not have the id of its container, which names the init")
            await self._agent.containers.create_process(ref, request.runtime_spec, stdio_from(request.stdio))
            launched = await self._agent.containers.start_process(ref)
        return wire.StartProcessResponse(pid=launched.child.pid, runtime_usec=int(launched.runtime_seconds * 1e6))

    async def WaitProcess(self, request: wire.WaitProcessRequest, context: _Context) -> wire.WaitProcessResponse:
        async with answering(
            context, "wait for process", container_id=request.container_id, process_id=request.process_id
        ):
            ref = process_ref(request.container_id, request.process_id)
            end = await self._agent.containers.process(ref).wait()
        return exit_message(end)

    async def KillProcess(self, request: wire.KillProcessRequest, context: _Context) -> wire.KillProcessResponse:
        async with answering(context, "kill process", container_id=request.container_id, process_id=request.process_id):
            ref = process_ref(request.container_id, request.process_id)
            self._agent.containers.process(ref).kill(request.signal)
        return wire.KillProcessResponse()

    async def RemoveProcess(self, request: wire.RemoveProcessRequest, context: _Context) -> wire.RemoveProcessResponse:
        async with answering(
            context, "remove process", container_id=request.container_id, process_id=request.process_id
        ):
            await self._agent.containers.remove_process(process_ref(request.container_id, request.process_id))
        return wire.RemoveProcessResponse()

    async def WriteFile(
        self, request_iterator: AsyncIterator[wire.WriteFileRequest], context: _Context
    ) -> wire.WriteFileResponse:
        async with answering(context, "write file"):
            first = await anext(request_iterator, None)
            if first is None or not first.HasField("header"):
                raise InvalidArgument("the first message of a file must have its header")
            async with answering(context, "write file", f"{first.header.directory}/{first.header.relative_path}"):
                await self._write_file(first, request_iterator, context)
        return wire.WriteFileResponse()

    async def _write_file(
        self, first: wire.WriteFileRequest, rest: AsyncIterator[wire.WriteFileRequest], context: _Context
    ) -> None:
        header = first.header
        directory, chunks = GuestPath(header.directory), _chunks(first.data, rest, context)
        try:
            await self._agent.workers.run(files.write_file, directory, header.relative_path, chunks, header.mode)
        except Exception:
            # A client whose message meets the end of its call learns an error of gRPC instead of the reason.
            with contextlib.suppress(Exception):
                async for _ in rest:
                    pass
            raise

    async def Trim(self, request: wire.TrimRequest, context: _Context) -> wire.TrimResponse:
        async with answering(context, "trim", request.path):
            trimmed = await self._agent.workers.run(store.trim, GuestPath(request.path))
        return wire.TrimResponse(trimmed_bytes=trimmed)

    async def ResizeProcess(self, request: wire.ResizeProcessRequest, context: _Context) -> wire.ResizeProcessResponse:
        async with answering(
            context, "resize process", container_id=request.container_id, process_id=request.process_id
        ):
            ref = process_ref(request.container_id, request.process_id)
            self._agent.containers.process(ref).resize(TerminalSize(request.columns, request.rows))
        return wire.ResizeProcessResponse()


def _chunks(first: bytes, rest: AsyncIterator[wire.WriteFileRequest], context: _Context) -> Iterator[bytes]:
    """The data of all messages, for a thread; a stream that breaks off raises instead of ending."""
    loop = asyncio.get_running_loop()

    async def following() -> bytes | None:
        message = await anext(rest, None)
        if message is None and context.cancelled():
            raise ConnectionAbortedError("the host broke the file off")
        return None if message is None else message.data

    def iterate() -> Iterator[bytes]:
        yield first
        while (data := asyncio.run_coroutine_threadsafe(following(), loop).result()) is not None:
            yield data

    return iterate()
