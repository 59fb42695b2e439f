"""The RPCs of SandboxContext about the sandbox as a whole: environment, kernel, processes, proxies."""

from __future__ import annotations

import os

from grpc.aio import ServicerContext

from firkin.domain.errors import InvalidArgument
from firkin.wire import sandbox_context_pb2 as wire

from .. import kernel
from ..agent import GuestAgent
from .errors import answering

_Context = ServicerContext[object, object]
_SOCKET_PERMISSIONS = 0o777


class SandboxCalls:
    """What concerns the sandbox as a whole."""

    _agent: GuestAgent

    async def Getenv(self, request: wire.GetenvRequest, context: _Context) -> wire.GetenvResponse:
        return wire.GetenvResponse(value=os.environ.get(request.key))

    async def Setenv(self, request: wire.SetenvRequest, context: _Context) -> wire.SetenvResponse:
        # Processes of containers never see it: they get exactly the environment of their spec.
        async with answering(context, "set environment variable"):
            # Errors are logged, and a value may be a secret, also one that got into the key.
            if not request.key or "=" in request.key or "\0" in request.key + request.value:
                raise InvalidArgument("an environment variable needs a name without '=', and has no NUL")
            os.environ[request.key] = request.value
        return wire.SetenvResponse()

    async def Sysctl(self, request: wire.SysctlRequest, context: _Context) -> wire.SysctlResponse:
        async with answering(context, "set sysctl", settings=" ".join(sorted(request.settings))):
            await self._agent.workers.run(kernel.set_sysctls, dict(request.settings))
        return wire.SysctlResponse()

    async def SetTime(self, request: wire.SetTimeRequest, context: _Context) -> wire.SetTimeResponse:
        async with answering(context, "set the time"):
            kernel.set_time(request.sec, request.usec)
        return wire.SetTimeResponse()

    async def SetupEmulator(self, request: wire.SetupEmulatorRequest, context: _Context) -> wire.SetupEmulatorResponse:
        async with answering(context, "set up emulator", name=request.name):
            # Loaded by who wants one: few do, and a machine's boot is mostly imports.
            from ..emulators import set_up_emulator

            await self._agent.workers.run(set_up_emulator, request)
        return wire.SetupEmulatorResponse()

    async def Kill(self, request: wire.KillRequest, context: _Context) -> wire.KillResponse:
        # Other agents answer OK and -1 for a failure, without its errno; here a failure is an error.
        async with answering(context, "kill", pid=str(request.pid)):
            kernel.send_signal(request.pid, request.signal, is_init=self._agent.is_init)
        return wire.KillResponse(result=0)

    async def ProxyVsock(self, request: wire.ProxyVsockRequest, context: _Context) -> wire.ProxyVsockResponse:
        # Other agents damage the first proxy when a second one has its id; here nothing happens to it.
        async with answering(context, "make proxy", request.guestPath, proxy_id=request.id):
            proxies = self._agent.proxies
            if request.action == wire.ProxyVsockRequest.INTO:
                has_own = request.HasField("guestSocketPermissions")
                permissions = request.guestSocketPermissions if has_own else _SOCKET_PERMISSIONS
                proxies.into(request.id, request.vsock_port, request.guestPath, permissions)
            elif request.action == wire.ProxyVsockRequest.OUT_OF:
                await proxies.out_of(request.id, request.vsock_port, request.guestPath)
            else:
                raise InvalidArgument(f"a proxy cannot do {request.action}")
        return wire.ProxyVsockResponse()

    async def StopVsockProxy(
        self, request: wire.StopVsockProxyRequest, context: _Context
    ) -> wire.StopVsockProxyResponse:
        # Idempotent, unlike other agents: stopping what is not there answers OK.
        async with answering(context, "stop proxy", proxy_id=request.id):
            self._agent.proxies.stop(request.id)
        return wire.StopVsockProxyResponse()
