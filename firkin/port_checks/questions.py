"""The questions that can be put to a port, and how an answer fails."""

from __future__ import annotations

import asyncio
import os
import ssl
from http.client import HTTPException

from grpc.aio import AioRpcError, insecure_channel

from firkin.domain.probes import GrpcAction, HttpGetAction, PortAction, TcpSocketAction
from firkin.wire import health_pb2
from firkin.wire.health_pb2_grpc import HealthStub

from .dialler import PortDialler
from .http import bracketed, http_failure


async def port_failure(action: PortAction, timeout_seconds: float, dialler: PortDialler) -> str | None:
    """Ask; returns how it failed, as the second half of a sentence, or None for a success."""
    try:
        async with asyncio.timeout(timeout_seconds):
            match action:
                case HttpGetAction():
                    return await http_failure(action, dialler)
                case GrpcAction():
                    return await _grpc_failure(action, dialler)
                case TcpSocketAction(port, host):
                    async with dialler.connected(host, port, None):
                        return None
    except TimeoutError:
        return f"took longer than {timeout_seconds:g} s"
    except (OSError, EOFError, HTTPException, ValueError) as error:
        return f"got no answer from {action.host} port {action.port}: {_reason(error)}"


def _reason(error: Exception) -> str:
    if isinstance(error, EOFError):
        return "the connection was closed"
    if isinstance(error, ssl.SSLError):
        return error.reason or str(error)
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


async def _grpc_failure(action: GrpcAction, dialler: PortDialler) -> str | None:
    request = health_pb2.HealthCheckRequest(service=action.service)
    options = (
        ("grpc.enable_http_proxy", 0),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.default_authority", f"{bracketed(action.host)}:{action.port}"),
    )
    async with (
        dialler.grpc_target(action.host, action.port) as target,
        insecure_channel(target, options=options) as channel,
    ):
        try:
            answer = await HealthStub(channel).Check(request)
        except AioRpcError as error:
            return f"was answered with {error.code().name}: {error.details()}"
    if answer.status == health_pb2.HealthCheckResponse.SERVING:
        return None
    return f"was answered with {health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)}"
