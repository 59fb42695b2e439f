"""SandboxContext: the RPCs that a pod needs; every other one answers UNIMPLEMENTED by its name."""

from __future__ import annotations

import os
from typing import NoReturn

from grpc import StatusCode
from grpc.aio import ServicerContext

from firkin.domain.errors import InvalidArgument
from firkin.wire import sandbox_context_pb2 as wire
from firkin.wire.sandbox_context_pb2_grpc import SandboxContextServicer

from ..agent import GuestAgent
from ..network import set_link
from .context_filesystem import FilesystemCalls
from .context_processes import ProcessCalls
from .errors import answering

_Context = ServicerContext[object, object]


class _SandboxCalls:
    """What concerns the sandbox as a whole."""

    _agent: GuestAgent

    async def Getenv(self, request: wire.GetenvRequest, context: _Context) -> wire.GetenvResponse:
        return wire.GetenvResponse(value=os.environ.get(request.key))

    async def Setenv(self, request: wire.SetenvRequest, context: _Context) -> wire.SetenvResponse:
        # Processes of containers never see it: they get exactly the environment of their spec.
        async with answering(context, "set environment variable"):
            if not request.key or "=" in request.key or "\0" in request.key + request.value:
                raise InvalidArgument(f"environment variable {request.key!r} is no name")
            os.environ[request.key] = request.value
        return wire.SetenvResponse()

    async def IpLinkSet(self, request: wire.IpLinkSetRequest, context: _Context) -> wire.IpLinkSetResponse:
        async with answering(context, "set link", request.interface):
            set_link(request.interface, up=request.up, mtu=request.mtu if request.HasField("mtu") else None)
        return wire.IpLinkSetResponse()


class _UnbuiltCalls:
    """What no pod needs yet."""

    async def ConfigureDns(self, request: wire.ConfigureDnsRequest, context: _Context) -> wire.ConfigureDnsResponse:
        await _unbuilt(context, "ConfigureDns")

    async def ConfigureHosts(
        self, request: wire.ConfigureHostsRequest, context: _Context
    ) -> wire.ConfigureHostsResponse:
        await _unbuilt(context, "ConfigureHosts")

    async def ContainerStatistics(
        self, request: wire.ContainerStatisticsRequest, context: _Context
    ) -> wire.ContainerStatisticsResponse:
        await _unbuilt(context, "ContainerStatistics")

    async def IpAddrAdd(self, request: wire.IpAddrAddRequest, context: _Context) -> wire.IpAddrAddResponse:
        await _unbuilt(context, "IpAddrAdd")

    async def IpRouteAddDefault(
        self, request: wire.IpRouteAddDefaultRequest, context: _Context
    ) -> wire.IpRouteAddDefaultResponse:
        await _unbuilt(context, "IpRouteAddDefault")

    async def IpRouteAddLink(
        self, request: wire.IpRouteAddLinkRequest, context: _Context
    ) -> wire.IpRouteAddLinkResponse:
        await _unbuilt(context, "IpRouteAddLink")

    async def Kill(self, request: wire.KillRequest, context: _Context) -> wire.KillResponse:
        await _unbuilt(context, "Kill")

    async def ProxyVsock(self, request: wire.ProxyVsockRequest, context: _Context) -> wire.ProxyVsockResponse:
        await _unbuilt(context, "ProxyVsock")

    async def ResizeProcess(self, request: wire.ResizeProcessRequest, context: _Context) -> wire.ResizeProcessResponse:
        await _unbuilt(context, "ResizeProcess")

    async def SetTime(self, request: wire.SetTimeRequest, context: _Context) -> wire.SetTimeResponse:
        await _unbuilt(context, "SetTime")

    async def SetupEmulator(self, request: wire.SetupEmulatorRequest, context: _Context) -> wire.SetupEmulatorResponse:
        await _unbuilt(context, "SetupEmulator")

    async def StopVsockProxy(
        self, request: wire.StopVsockProxyRequest, context: _Context
    ) -> wire.StopVsockProxyResponse:
        await _unbuilt(context, "StopVsockProxy")

    async def Sysctl(self, request: wire.SysctlRequest, context: _Context) -> wire.SysctlResponse:
        await _unbuilt(context, "Sysctl")


class SandboxContextService(FilesystemCalls, ProcessCalls, _SandboxCalls, _UnbuiltCalls, SandboxContextServicer):
    """Answers a host that speaks SandboxContext."""

    def __init__(self, agent: GuestAgent) -> None:
        self._agent = agent


async def _unbuilt(context: _Context, rpc: str) -> NoReturn:
    await context.abort(StatusCode.UNIMPLEMENTED, f"SandboxContext/{rpc} is not built yet")
