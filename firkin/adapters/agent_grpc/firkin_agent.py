"""The road of firkin.agent.v1: one round trip per operation, typed errors, streams that prove themselves."""

from __future__ import annotations

import asyncio
import contextlib
import signal as signals
import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from firkin.domain.errors import AgentError, FirkinError, Outcome, UnsupportedFeature
from firkin.domain.guest_path import GuestPath
from firkin.domain.ids import ContainerId
from firkin.domain.image import ImageBundle
from firkin.domain.layout import OverlayLayout, StoreLayout
from firkin.domain.process import ExitStatus, ProcessRef, StdioOptions
from firkin.domain.reports import AgentInfo, StoreUsage
from firkin.domain.stages import TEMPLATE_STAGES, told_stages
from firkin.domain.terminal import TerminalSize
from firkin.ports.agent_containers import LAYER_LIMIT, ContainerLaunch, OverlayRequest
from firkin.ports.agent_pods import PodPreparation
from firkin.ports.agent_processes import ProcessLaunch, StartedProcess
from firkin.ports.agent_templates import ProgressCallback, TemplateProgress, TemplateResult
from firkin.wire import agent_pb2 as wire
from firkin.wire.agent_pb2_grpc import AgentStub
from firkin.wire.sandbox_context_pb2_grpc import SandboxContextStub

from . import messages
from .bulk_listener import BulkListener
from .errors import CallKind
from .features import (
    DISK_SIZE_LIMITS,
    LAYER_LIMITS,
    SHARED_PROCESSES,
    VOLUME_GROUPS,
    VOLUME_PARTS,
    WRITABLE_LAYER_LIMITS,
    require_feature,
)
from .filesystem_usage import filesystem_usage
from .firkin_agent_events import FirkinAgentEvents
from .firkin_agent_files import FirkinAgentFiles
from .firkin_agent_network import FirkinAgentNetwork
from .firkin_agent_statistics import FirkinAgentStatistics
from .layer_feed import LayerFeed
from .pod_settings import set_sysctls, write_container_files
from .refusals import refuse_disk_limits, refuse_groups
from .session import AgentSession
from .stall_deadline import StallDeadline

_SLOWEST_BYTES_PER_SECOND = 4 * 2**20
_CONTAINER_FILES = "container-files"

_StartReply = wire.StartContainerResponse | wire.StartProcessResponse


class FirkinAgent(FirkinAgentFiles, FirkinAgentStatistics, FirkinAgentEvents, FirkinAgentNetwork):
    """An agent that answered GetInfo."""

    def __init__(self, session: AgentSession, info: wire.GetInfoResponse) -> None:
        self._session = session
        self._info = messages.agent_info(info)
        self._agent = AgentStub(session.channel)
        self._sandbox_context = SandboxContextStub(session.channel)

    async def info(self) -> AgentInfo:
        """Who the agent is, as it said when it was dialled."""
        return self._info

    async def prepare_pod(self, preparation: PodPreparation) -> None:
        """Set the sandbox up, mount the store, and make the pod's directories and volumes."""
        if DISK_SIZE_LIMITS not in self._info.features:
            refuse_disk_limits(preparation.volumes, "this guest agent is too old to enforce it")
        if preparation.shares_processes and SHARED_PROCESSES not in self._info.features:
            raise UnsupportedFeature("a shared process namespace", "this guest agent is too old to make one")
        if VOLUME_GROUPS not in self._info.features:
            refuse_groups(preparation.volumes, "this guest agent is too old to set it")
        request = messages.prepare_pod_to_proto(preparation)
        await self._session.answer(self._agent.PreparePod, request, "prepare pod")
        await set_sysctls(self._session, self._sandbox_context, preparation.sysctls)

    async def tear_down_pod(self, preparation: PodPreparation) -> Sequence[str]:
        """Unmount the volumes, remove the pod's directories, sync and unmount the store."""
        request = messages.tear_down_pod_to_proto(preparation)
        answer = await self._session.answer(self._agent.TearDownPod, request, "tear down pod")
        return tuple(answer.problems)

    async def write_file(self, directory: GuestPath, relative_path: str, data: bytes, mode: int = 0o644) -> None:
        """Write a file below `directory`, in one step, following no symlink."""
        kind = self._session.call_kind("write pod emptyDir file", extra_seconds=len(data) / _SLOWEST_BYTES_PER_SECOND)
        pieces = messages.write_file_to_protos(directory, relative_path, data, mode)
        async with self._session.guarded(kind):
            await self._agent.WriteFile(pieces, timeout=kind.deadline_seconds)

    async def usage(self, path: GuestPath) -> StoreUsage:
        """How full the filesystem of `path` is."""
        return await filesystem_usage(self._session, self._sandbox_context, path)

    async def trim(self, path: GuestPath) -> int:
        """Give unused blocks of the filesystem at `path` back."""
        answer = await self._session.answer(self._agent.Trim, wire.TrimRequest(path=path), "trim pod store")
        return answer.trimmed_bytes

    async def ensure_template(
        self, bundle: ImageBundle, layout: StoreLayout, progress: ProgressCallback | None = None
    ) -> TemplateResult:
        """Make the template of `bundle.chain_id`, unless it is complete already."""
        begun = time.perf_counter()
        if self._session.layer_limits:
            require_feature(self._info, LAYER_LIMITS, "limiting layers")
        kind = CallKind("materialize pod rootfs", self._session.stall_seconds)
        stages: dict[str, float] = {}
        with contextlib.ExitStack() as listening:
            listeners = [self._listener(listening) for _ in bundle.layers]
            stall = StallDeadline(self._session.stall_seconds)
            feed = LayerFeed(bundle, stall.progressed_in_thread, hands_over=self._session.takes_files)
            sending = [
                self._session.scope.start(feed.send(*pair), f"send layer {pair[0].digest}")
                for pair in zip(bundle.layers, listeners, strict=True)
            ]
            try:
                async with stall, self._session.guarded(kind):
                    request = messages.ensure_template_to_proto(bundle, layout, listeners, self._session.layer_limits)
                    last = await self._materialised(request, bundle, progress, stall, stages)
            except TimeoutError:
                raise (await self._session.late(kind)).after(stages) from None
            except FirkinError as error:
                found = await feed.found_failure()
                if found is not None:
                    failure = found.in_stage("pull").after({**stages, **error.stage_seconds})
                    raise failure.during(kind.operation, outcome=Outcome.DID_NOT) from error
                error.after(stages)
                raise
            finally:
                for task in sending:
                    task.cancel()
                if sending:
                    await asyncio.wait(sending)
        seconds = time.perf_counter() - begun
        return TemplateResult(last.created, last.entries, seconds, stages, dict(last.replaced))

    def _listener(self, listening: contextlib.ExitStack) -> BulkListener:
        listener = self._session.listen(with_token=True)
        listening.callback(listener.close)
        return listener

    async def _materialised(
        self,
        request: wire.EnsureTemplateRequest,
        bundle: ImageBundle,
        progress: ProgressCallback | None,
        stall: StallDeadline,
        stages: dict[str, float],
    ) -> wire.EnsureTemplateResponse:
        total_bytes = sum(layer.size_bytes for layer in bundle.layers)
        last = wire.EnsureTemplateResponse()
        call = self._agent.EnsureTemplate(request)
        try:
            async for last in call:
                stall.progressed()
                stages |= told_stages(last.stage_seconds, TEMPLATE_STAGES)
                if progress is not None and (last.created or not last.complete):
                    # Layers that were there already are done as well.
                    done_bytes = total_bytes if last.complete else last.done_bytes
                    counts = (last.layer_index, len(bundle.layers), done_bytes, total_bytes)
                    progress(TemplateProgress(*counts, bundle.reference, dict(last.replaced)))
        finally:
            call.cancel()
        if not last.complete:
            raise AgentError("materialize pod rootfs", "the agent stopped before the template was complete")
        return last

    async def prepare_overlay(self, request: OverlayRequest) -> None:
        """Make the overlay's directories and mount it."""
        self._require_limits(request)
        message = messages.prepare_overlay_to_proto(request)
        await self._session.answer(self._agent.PrepareOverlay, message, "prepare pod container overlay")

    async def start_container(self, launch: ContainerLaunch) -> StartedProcess:
        """Create the container and start its init; returns once the command was executed."""
        self._require_limits(launch.overlay)
        if launch.volume_parts:
            require_feature(self._info, VOLUME_PARTS, "showing a part of a volume (subPath)")
        if launch.files and _CONTAINER_FILES not in self._info.features:
            launch = await self._with_files_written(launch)

        async def begin(stdio: wire.Stdio) -> _StartReply:
            request = messages.start_container_to_proto(launch, stdio)
            return await self._session.answer(self._agent.StartContainer, request, "start process")

        async def undo() -> None:
            await self.remove_container(launch.container_id, None)

        return await self._started(ProcessRef(launch.container_id, launch.container_id), launch.stdio, begin, undo)

    def _require_limits(self, overlay: OverlayRequest | None) -> None:
        if overlay is not None and overlay.limit_bytes is not None:
            require_feature(self._info, WRITABLE_LAYER_LIMITS, LAYER_LIMIT)

    async def _with_files_written(self, launch: ContainerLaunch) -> ContainerLaunch:
        # Preparing an overlay empties its directory, so an older agent has to do that first.
        if launch.overlay is not None:
            await self.prepare_overlay(launch.overlay)
        await write_container_files(self._session, self._sandbox_context, launch.files)
        return msgspec.structs.replace(launch, overlay=None, files=())

    async def start_process(self, launch: ProcessLaunch) -> StartedProcess:
        """Run a further process in a container; returns once the command was executed."""

        async def begin(stdio: wire.Stdio) -> _StartReply:
            request = messages.start_process_to_proto(launch, stdio)
            return await self._session.answer(self._agent.StartProcess, request, "start process")

        async def undo() -> None:
            await self.remove_process(launch.ref)

        return await self._started(launch.ref, launch.stdio, begin, undo)

    async def _started(
        self,
        ref: ProcessRef,
        options: StdioOptions,
        begin: Callable[[wire.Stdio], Awaitable[_StartReply]],
        undo: Callable[[], Awaitable[None]],
    ) -> StartedProcess:
        with self._session.stdio_listeners(options, with_tokens=True) as listeners:
            async with self._session.undoing(undo):
                reply = await begin(messages.stdio_to_proto(listeners.get))
                connections = await self._session.connections(listeners, "start process")
            streams = self._session.streams.attach(ref, options, connections)
            create_usec = reply.create_usec if isinstance(reply, wire.StartContainerResponse) else 0
            took = messages.seconds(reply.runtime_usec), listeners.seconds, messages.seconds(create_usec)
            return StartedProcess(reply.pid, streams, *took)

    async def wait_process(self, ref: ProcessRef) -> ExitStatus:
        """Wait for the end of a process, and for its inherited output to be with the caller."""
        kind = CallKind("wait process", None, changes=False)
        async with self._session.guarded(kind):
            answer = await self._agent.WaitProcess(messages.wait_process_to_proto(ref))
        byte_counts = {"stdout": answer.stdout_bytes, "stderr": answer.stderr_bytes}
        await self._session.streams.drained(ref, byte_counts)
        return messages.exit_status(answer)

    async def kill_process(self, ref: ProcessRef, signal: int) -> None:
        """Send a signal; a process that has ended ignores it."""
        request = messages.kill_process_to_proto(ref, signal)
        await self._session.answer(self._agent.KillProcess, request, "kill process")
        if signal == signals.SIGKILL:
            self._session.streams.hurry(ref)

    async def resize_process(self, ref: ProcessRef, columns: int, rows: int) -> None:
        """Tell a process that its terminal has another size; one that has ended ignores it."""
        size = TerminalSize(columns, rows)
        if "terminals" not in self._info.features:
            raise UnsupportedFeature("resizing a terminal", f"agent {self._info.version} cannot do it")
        request = messages.resize_process_to_proto(ref, size)
        await self._session.answer(self._agent.ResizeProcess, request, "resize process")

    async def remove_process(self, ref: ProcessRef) -> None:
        """Forget a process that has ended, killing it if it runs."""
        await self._session.answer(self._agent.RemoveProcess, messages.remove_process_to_proto(ref), "remove process")
        self._session.streams.forget(ref)

    async def remove_container(self, container_id: ContainerId, overlay: OverlayLayout | None) -> Sequence[str]:
        """Kill whatever runs in it and remove it with its overlay; an unknown container is removed already."""
        request = messages.remove_container_to_proto(container_id, overlay)
        answer = await self._session.answer(self._agent.RemoveContainer, request, "remove pod container")
        self._session.streams.forget_container(container_id)
        return tuple(answer.problems)
