"""The process RPCs of SandboxContext: create, start, wait, kill and delete by containerID and id."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp
from grpc.aio import ServicerContext

from firkin.domain.errors import ContainerNotFound, InvalidArgument
from firkin.domain.ids import ContainerId
from firkin.domain.process import ProcessRef
from firkin.domain.terminal import TerminalSize
from firkin.wire import sandbox_context_pb2 as wire

from ..agent import GuestAgent
from ..containers import ContainerRequest
from ..process_stdio import StdioRequest, StreamRequest
from .agent_messages import process_ref
from .errors import answering

_Context = ServicerContext[object, object]


class ProcessCalls:
    """`id` equals `containerID` for a container's init; streams are opened without tokens."""

    _agent: GuestAgent

    async def CreateProcess(self, request: wire.CreateProcessRequest, context: _Context) -> wire.CreateProcessResponse:
        async with answering(context, "create process", container_id=request.containerID, process_id=request.id):
            ref = _ref(request.containerID, request.id)
            containers = self._agent.containers
            stdio = StdioRequest(
                StreamRequest(request.stdin) if request.HasField("stdin") else None,
                StreamRequest(request.stdout) if request.HasField("stdout") else None,
                StreamRequest(request.stderr) if request.HasField("stderr") else None,
            )
            if ref.is_init:
                container_id = ContainerId(ref.container_id)
                runtime_path = request.ociRuntimePath
                await containers.create(
                    ContainerRequest(container_id, request.configuration, stdio, runtime_path=runtime_path)
                )
            elif ref.container_id not in containers:
                raise ContainerNotFound(containers.pod_id, ref.container_id)
            else:
                await containers.create_process(ref, request.configuration, stdio)
        return wire.CreateProcessResponse()

    async def StartProcess(self, request: wire.StartProcessRequest, context: _Context) -> wire.StartProcessResponse:
        async with answering(context, "start process", container_id=request.containerID, process_id=request.id):
            ref = _ref(request.containerID, request.id)
            containers = self._agent.containers
            if ref.is_init:
                launched = await containers.start(ContainerId(ref.container_id))
            else:
                launched = await containers.start_process(ref)
        return wire.StartProcessResponse(pid=launched.child.pid)

    async def WaitProcess(self, request: wire.WaitProcessRequest, context: _Context) -> wire.WaitProcessResponse:
        async with answering(context, "wait for process", container_id=request.containerID, process_id=request.id):
            end = await self._agent.containers.process(_ref(request.containerID, request.id)).wait()
        exited_at = Timestamp()
        exited_at.FromNanoseconds(int(end.unix_seconds * 1e9))
        return wire.WaitProcessResponse(exitCode=end.status.code, exited_at=exited_at)

    async def KillProcess(self, request: wire.KillProcessRequest, context: _Context) -> wire.KillProcessResponse:
        async with answering(context, "kill process", container_id=request.containerID, process_id=request.id):
            self._agent.containers.process(_ref(request.containerID, request.id)).kill(request.signal)
        return wire.KillProcessResponse(result=0)

    async def ResizeProcess(self, request: wire.ResizeProcessRequest, context: _Context) -> wire.ResizeProcessResponse:
        # Unlike with other agents, a size that comes before the start is kept, and one that is too large is refused.
        async with answering(context, "resize process", container_id=request.containerID, process_id=request.id):
            process = self._agent.containers.process(_ref(request.containerID, request.id))
            process.resize(TerminalSize(request.columns, request.rows))
        return wire.ResizeProcessResponse()

    async def DeleteProcess(self, request: wire.DeleteProcessRequest, context: _Context) -> wire.DeleteProcessResponse:
        # Idempotent, unlike other agents: deleting what is not there answers OK.
        async with answering(context, "delete process", container_id=request.containerID, process_id=request.id):
            await self._agent.containers.remove_process(_ref(request.containerID, request.id))
        return wire.DeleteProcessResponse()

    async def CloseProcessStdin(
        self, request: wire.CloseProcessStdinRequest, context: _Context
    ) -> wire.CloseProcessStdinResponse:
        async with answering(context, "close stdin", container_id=request.containerID, process_id=request.id):
            self._agent.containers.process(_ref(request.containerID, request.id)).stdio.end_input()
        return wire.CloseProcessStdinResponse()


def _ref(container_id: str, process_id: str) -> ProcessRef:
    if not container_id:
        raise InvalidArgument("containerID is missing: processes outside containers are not run")
    return process_ref(container_id, process_id)
