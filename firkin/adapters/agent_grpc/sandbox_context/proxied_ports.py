"""Connections to ports of the sandbox's network, made by the agent's proxies."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

from firkin.domain.errors import AgentError
from firkin.port_checks.dialler import Streams
from firkin.port_checks.http import bracketed

from ..port_forwarding import proxied
from .calls import SandboxContextCalls

_OPERATION = "check port"


class ProxiedPorts:
    """Has the agent connect with a port, and with this end: one proxy for each connection."""

    def __init__(self, calls: SandboxContextCalls, timeout_seconds: float) -> None:
        self._calls = calls
        self._timeout_seconds = timeout_seconds

    @contextlib.asynccontextmanager
    async def connected(self, host: str, port: int, tls: ssl.SSLContext | None) -> AsyncIterator[Streams]:
        async with self._proxied(host, port) as path:
            name = host if tls is not None else None
            reader, writer = await asyncio.open_unix_connection(path, ssl=tls, server_hostname=name)
            try:
                yield reader, writer
            finally:
                # A probe waits for no farewell.
                writer.transport.abort()

    @contextlib.asynccontextmanager
    async def grpc_target(self, host: str, port: int) -> AsyncIterator[str]:
        async with self._proxied(host, port) as path:
            yield f"unix:{path}"

    @contextlib.asynccontextmanager
    async def _proxied(self, host: str, port: int) -> AsyncIterator[str]:
        target = f"tcp-connected:{bracketed(host)}:{port}"
        kind = self._calls.session.call_kind(_OPERATION, changes=False, extra_seconds=self._timeout_seconds)
        async with contextlib.AsyncExitStack() as stack:
            try:
                path = await stack.enter_async_context(
                    proxied(self._calls.session, self._calls.stub, target, kind, "check")
                )
            except AgentError as error:
                if error.path != target:
                    raise
                raise (OSError(error.errno, error.reason) if error.errno else OSError(error.reason)) from error
            yield path
