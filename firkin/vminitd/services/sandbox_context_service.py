"""SandboxContext: the RPCs that a pod needs; every other one answers UNIMPLEMENTED by its name."""

from __future__ import annotations

from typing import NoReturn

from grpc import StatusCode
from grpc.aio import ServicerContext

from firkin.wire import sandbox_context_pb2 as wire
from firkin.wire.sandbox_context_pb2_grpc import SandboxContextServicer

from ..agent import GuestAgent
from .context_filesystem import FilesystemCalls
from .context_network import NetworkCalls
from .context_processes import ProcessCalls
from .context_sandbox import SandboxCalls

_Context = ServicerContext[object, object]


class _UnbuiltCalls:
    """What no pod needs yet."""

    async def ContainerStatistics(
        self, request: wire.ContainerStatisticsRequest, context: _Context
    ) -> wire.ContainerStatisticsResponse:
        await _unbuilt(context, "ContainerStatistics")


class SandboxContextService(
    FilesystemCalls, ProcessCalls, SandboxCalls, NetworkCalls, _UnbuiltCalls, SandboxContextServicer
):
    """Answers a host that speaks SandboxContext."""

    def __init__(self, agent: GuestAgent) -> None:
        self._agent = agent


async def _unbuilt(context: _Context, rpc: str) -> NoReturn:
    await context.abort(StatusCode.UNIMPLEMENTED, f"SandboxContext/{rpc} is not built yet")
