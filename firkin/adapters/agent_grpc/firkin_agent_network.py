"""The pod's network, over firkin.agent.v1."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from firkin.domain.port_forwards import PortForward
from firkin.domain.probes import GrpcAction, HttpGetAction, PortAction, TcpSocketAction
from firkin.domain.reports import AgentInfo
from firkin.ports.agent_network import PORT_CHECKS, PORT_FORWARDS
from firkin.wire import agent_pb2 as wire

from .features import require_feature
from .port_forwarding import forwarded
from .session import AgentSession

if TYPE_CHECKING:
    from firkin.wire.agent_pb2_grpc import AgentAsyncStub
    from firkin.wire.sandbox_context_pb2_grpc import SandboxContextAsyncStub


class FirkinAgentNetwork:
    """Asking ports from inside the sandbox, and forwarding the host's to them."""

    _session: AgentSession
    _agent: AgentAsyncStub
    _sandbox_context: SandboxContextAsyncStub
    _info: AgentInfo

    async def check_port(self, action: PortAction, timeout_seconds: float) -> str | None:
        """Ask once; returns how it failed, or None for a success."""
        require_feature(self._info, PORT_CHECKS, "asking a port of the pod")
        kind = self._session.call_kind("check port", changes=False, extra_seconds=timeout_seconds)
        async with self._session.guarded(kind):
            request = check_port_to_proto(action, timeout_seconds)
            answer = await self._agent.CheckPort(request, timeout=kind.deadline_seconds)
        return answer.failure or None

    @contextlib.asynccontextmanager
    async def forwarded(self, forward: PortForward) -> AsyncIterator[PortForward]:
        """Listen on the host, and connect each connection with the pod's port."""
        require_feature(self._info, PORT_FORWARDS, "forwarding a port")
        async with forwarded(self._session, self._sandbox_context, forward) as made:
            yield made


def check_port_to_proto(action: PortAction, timeout_seconds: float) -> wire.CheckPortRequest:
    """Make CheckPortRequest."""
    timeout_usec = int(timeout_seconds * 1e6)
    match action:
        case HttpGetAction(port, path, scheme, host, pairs):
            headers = [wire.HttpHeader(name=name, value=value) for name, value in pairs]
            asked = wire.HttpGet(host=host, port=port, path=path, is_https=scheme == "HTTPS", headers=headers)
            return wire.CheckPortRequest(http_get=asked, timeout_usec=timeout_usec)
        case TcpSocketAction(port, host):
            return wire.CheckPortRequest(tcp_socket=wire.TcpSocket(host=host, port=port), timeout_usec=timeout_usec)
        case GrpcAction(port, service, host):
            health = wire.GrpcHealth(host=host, port=port, service=service)
            return wire.CheckPortRequest(grpc_health=health, timeout_usec=timeout_usec)
