"""A network in memory: ports that programs say they answer on."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

from firkin.application.task_scope import TaskScope
from firkin.domain.errors import HostPortUnavailable, Outcome
from firkin.domain.port_forwards import PortForward
from firkin.domain.probes import HttpGetAction, PortAction
from firkin.domain.process import ProcessRef

from .programs import ConnectionHandler, MemoryProcess
from .sandbox import MemorySandbox


class MemoryAgentNetwork:
    """Asks the programs that run, and leads real connections to them."""

    _sandbox: MemorySandbox
    _processes: dict[ProcessRef, MemoryProcess]

    def _call(self, operation: str) -> AbstractAsyncContextManager[None]:
        """One call: where faults are injected, and the sandbox's death is noticed."""
        raise TypeError("the agent that this is a part of has no calls")

    async def check_port(self, action: PortAction, timeout_seconds: float) -> str | None:
        """A GET request is answered as the program of the port says; anything else that is listening is well."""
        async with self._call("check_port"):
            running = (process for process in self._processes.values() if not process.exit.done())
            answer = next((one.ports[action.port] for one in running if action.port in one.ports), None)
        if answer is None:
            return f"got no answer from {action.host} port {action.port}: Connection refused"
        status = answer(action.path) if isinstance(action, HttpGetAction) else 200
        return None if 200 <= status < 400 else f"was answered with HTTP status {status}"

    @contextlib.asynccontextmanager
    async def forwarded(self, forward: PortForward) -> AsyncIterator[PortForward]:
        """Listen on the host for real; the program of the port serves each connection."""
        connections = TaskScope()

        def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            serve = self._server(forward.container_port)
            if serve is None:
                writer.close()
            else:
                connections.start(self._served(serve, reader, writer), "forwarded connection")

        async with contextlib.AsyncExitStack() as stack:
            async with self._call("forward_port"):
                await self._sandbox.expose_guest_port(forward.container_port)
                try:
                    server = await asyncio.start_server(on_connection, forward.host_address, forward.host_port)
                except OSError as error:
                    reason = os.strerror(error.errno or 0)
                    unavailable = HostPortUnavailable(forward.host_address, forward.host_port, reason)
                    raise unavailable.during("forward port", outcome=Outcome.DID_NOT) from error
                stack.push_async_callback(connections.aclose)
                stack.callback(server.close)
            address, port = server.sockets[0].getsockname()[:2]
            yield PortForward(forward.container_port, port, address)

    def _server(self, port: int) -> ConnectionHandler | None:
        running = (process for process in self._processes.values() if not process.exit.done())
        return next((one.servers[port] for one in running if port in one.servers), None)

    async def _served(
        self, serve: ConnectionHandler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """As long as the sandbox lives."""
        serving = self._sandbox.tasks.start(_finished(serve, reader, writer), "served connection")
        try:
            await asyncio.wait([serving])
        finally:
            serving.cancel()
            writer.close()


async def _finished(serve: ConnectionHandler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await serve(reader, writer)
