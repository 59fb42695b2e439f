"""The pod's network, in firkin.agent.v1."""

from __future__ import annotations

from grpc.aio import ServicerContext

from firkin.domain.errors import InvalidArgument
from firkin.domain.probes import GrpcAction, HttpGetAction, PortAction, TcpSocketAction, action_problem
from firkin.wire import agent_pb2 as wire

from .errors import answering

_Context = ServicerContext[object, object]
_LONGEST_SECONDS = 3600.0


class NetworkCalls:
    """Asking ports from inside the sandbox."""

    async def CheckPort(self, request: wire.CheckPortRequest, context: _Context) -> wire.CheckPortResponse:
        async with answering(context, "check port"):
            action = port_action_from(request)
            if (wrong := action_problem(action)) is not None:
                raise InvalidArgument(f"a port cannot be asked so: {wrong}")
            # With HTTP it is slow to load, and few pods probe.
            from ..port_checks import port_failure

            failure = await port_failure(action, min(request.timeout_usec / 1e6, _LONGEST_SECONDS))
        return wire.CheckPortResponse(failure=failure or "")


def port_action_from(message: wire.CheckPortRequest) -> PortAction:
    """What is asked, of whom.

    Raises:
        InvalidArgument: the message asks nothing that this agent knows.
    """
    match message.WhichOneof("question"):
        case "http_get":
            asked = message.http_get
            headers = tuple((header.name, header.value) for header in asked.headers)
            return HttpGetAction(asked.port, asked.path, "HTTPS" if asked.is_https else "HTTP", asked.host, headers)
        case "tcp_socket":
            return TcpSocketAction(message.tcp_socket.port, message.tcp_socket.host)
        case "grpc_health":
            return GrpcAction(message.grpc_health.port, message.grpc_health.service, message.grpc_health.host)
        case _:
            raise InvalidArgument("a port check has to say what is asked")
