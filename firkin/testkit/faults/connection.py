"""A real connection to an agent that breaks or stops at an exact byte."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from firkin.application.task_scope import TaskScope
from firkin.domain.errors import BootFailed
from firkin.ports.agent import Agent
from firkin.ports.agent_connector import AgentConnector
from firkin.ports.sandbox import Sandbox

_AGENT_SOCKET = "guest-1024.sock"
_PIECE_BYTES = 65536
_LOOK_SECONDS = 0.005


class CutConnection:
    """What is to become of the bytes between host and guest, both ways counted together.

    Attributes:
        drop_at_byte: both ends are closed there, once; a later connection passes.
        freeze_at_byte: nothing passes from there on, until `thaw`.
        delay_seconds: every piece is held back so long.
        passed_bytes: so far.
        drops: how often a connection was closed.
    """

    def __init__(
        self, *, drop_at_byte: int | None = None, freeze_at_byte: int | None = None, delay_seconds: float = 0.0
    ) -> None:
        self.drop_at_byte = drop_at_byte
        self.freeze_at_byte = freeze_at_byte
        self.delay_seconds = delay_seconds
        self.passed_bytes = 0
        self.drops = 0
        self._thawed = asyncio.Event()

    def thaw(self) -> None:
        """Let what is frozen go on."""
        self._thawed.set()

    async def allows(self, size: int) -> bool:
        """Wait as long as is asked for; False when the connection is to be closed before these bytes."""
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        self.passed_bytes += size
        if self.freeze_at_byte is not None and self.passed_bytes > self.freeze_at_byte:
            await self._thawed.wait()
        if self.drop_at_byte is not None and self.passed_bytes > self.drop_at_byte:
            self.drop_at_byte = None
            self.drops += 1
            return False
        return True


class CuttingConnector:
    """Stands between a connector and the agents that it dials, at `guest-1024.sock` of the sandbox's directory."""

    def __init__(self, connector: AgentConnector, cut: CutConnection) -> None:
        self._connector = connector
        self._cut = cut

    @contextlib.asynccontextmanager
    async def connected(self, sandbox: Sandbox, timeout_seconds: float) -> AsyncIterator[Agent]:
        """Take the agent's socket aside, listen in its place, and let the connector connect."""
        public, aside = await socket_taken_aside(sandbox.socket_directory, timeout_seconds)
        relays = TaskScope()
        server = await asyncio.start_unix_server(_Relay(aside, self._cut, relays).accept, public)
        try:
            async with self._connector.connected(sandbox, timeout_seconds) as agent:
                yield agent
        finally:
            server.close()
            await relays.aclose()


async def socket_taken_aside(directory: Path, timeout_seconds: float) -> tuple[Path, Path]:
    """Wait for an agent's socket and give it another name; returns where hosts look for it, and where it is now.

    Raises:
        BootFailed: none appeared in time.
    """
    public = directory / _AGENT_SOCKET
    aside = public.with_suffix(".aside")
    for _ in range(max(1, round(timeout_seconds / _LOOK_SECONDS))):
        if _moved(public, aside):
            return public, aside
        await asyncio.sleep(_LOOK_SECONDS)
    raise BootFailed("connect", f"no socket of an agent appeared within {timeout_seconds:g} s")


def _moved(public: Path, aside: Path) -> bool:
    try:
        public.rename(aside)
    except FileNotFoundError:
        return False
    return True


class _Relay:
    """Carries bytes between one who connects and the agent."""

    def __init__(self, aside: Path, cut: CutConnection, scope: TaskScope) -> None:
        self._aside = aside
        self._cut = cut
        self._scope = scope

    async def accept(self, near_reader: asyncio.StreamReader, near_writer: asyncio.StreamWriter) -> None:
        self._scope.start(self._both_ways(near_reader, near_writer), "relay of a connection that may be cut")

    async def _both_ways(self, near_reader: asyncio.StreamReader, near_writer: asyncio.StreamWriter) -> None:
        far_writer = None
        try:
            far_reader, far_writer = await asyncio.open_unix_connection(self._aside)
            ways = TaskScope()
            try:
                there = ways.start(self._one_way(near_reader, far_writer), "to the agent")
                back = ways.start(self._one_way(far_reader, near_writer), "from the agent")
                await asyncio.wait([there, back], return_when=asyncio.FIRST_COMPLETED)
            finally:
                await ways.aclose()
        except OSError:
            return  # the agent is gone: whoever connected sees its end closed
        finally:
            for writer in (near_writer, far_writer):
                if writer is not None:
                    writer.close()

    async def _one_way(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_PIECE_BYTES):
                if not await self._cut.allows(len(data)):
                    return
                writer.write(data)
                await writer.drain()
