"""Asking a port of the sandbox's own network once."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

from firkin import port_checks
from firkin.domain.probes import PortAction
from firkin.port_checks.dialler import Streams
from firkin.port_checks.http import bracketed


async def port_failure(action: PortAction, timeout_seconds: float) -> str | None:
    """Ask; returns how it failed, as the second half of a sentence, or None for a success."""
    return await port_checks.port_failure(action, timeout_seconds, _OwnNetwork())


class _OwnNetwork:
    """Connects from the network that the agent is in."""

    @contextlib.asynccontextmanager
    async def connected(self, host: str, port: int, tls: ssl.SSLContext | None) -> AsyncIterator[Streams]:
        reader, writer = await asyncio.open_connection(host, port, ssl=tls)
        try:
            yield reader, writer
        finally:
            # A probe waits for no farewell.
            writer.transport.abort()

    @contextlib.asynccontextmanager
    async def grpc_target(self, host: str, port: int) -> AsyncIterator[str]:
        yield f"dns:///{bracketed(host)}:{port}"
