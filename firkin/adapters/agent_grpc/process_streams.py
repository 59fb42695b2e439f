"""Standard streams of a process: listeners before its start, the host's ends after it."""

from __future__ import annotations

import asyncio
import socket
import time
import weakref
from collections.abc import Callable, ItemsView, Mapping
from types import TracebackType
from typing import Self

from firkin.domain.process import ProcessRef, Stdio, StdioOptions
from firkin.ports.agent_processes import ProcessStreams

from .bulk_listener import BulkListener
from .byte_streams import SocketSink, SocketSource
from .stdio_relays import InputRelay, OutputRelay

STREAM_NAMES = ("stdin", "stdout", "stderr")

_RELAY_STOP_SECONDS = 1.0


class StdioListeners:
    """Listeners for the streams that the host wants; a context manager that leaves none behind.

    Attributes:
        seconds: what opening the streams took so far.
    """

    def __init__(self, options: StdioOptions, listen: Callable[[], BulkListener]) -> None:
        begun = time.perf_counter()
        wanted = [name for name in STREAM_NAMES if getattr(options, name) is not Stdio.NULL]
        self._listeners: dict[str, BulkListener] = {}
        self._connections: dict[str, socket.socket] = {}
        try:
            for name in wanted:
                self._listeners[name] = listen()
        except BaseException:
            self.close()
            raise
        self.seconds = time.perf_counter() - begun

    def get(self, name: str) -> BulkListener | None:
        """The listener of stream `name`, or None when the host does not want it."""
        return self._listeners.get(name)

    def items(self) -> ItemsView[str, BulkListener]:
        """All of them, by their streams' names."""
        return self._listeners.items()

    async def connections(self, operation: str, timeout_seconds: float) -> Mapping[str, socket.socket]:
        """The streams' connections, which then belong to the caller.

        Raises:
            DeadlineExceeded: the guest did not connect to all of them in time.
        """
        begun = time.perf_counter()
        for name, listener in self._listeners.items():
            self._connections[name] = await listener.accepted(operation, timeout_seconds)
        self.seconds += time.perf_counter() - begun
        taken, self._connections = self._connections, {}
        return taken

    def close(self) -> None:
        """Stop listening, and close what nobody took. Twice is fine."""
        for listener in self._listeners.values():
            listener.close()
        for connection in self._connections.values():
            connection.close()
        self._connections = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _InheritedStreams:
    """The relays of one process."""

    def __init__(self, stdin: InputRelay | None, outputs: Mapping[str, OutputRelay]) -> None:
        self._stdin = stdin
        self._outputs = outputs
        self._hurry: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def drained(self, byte_counts: Mapping[str, int | None]) -> None:
        if self._stdin is not None:
            self._stdin.stop()
        async with asyncio.TaskGroup() as group:
            for name, relay in self._outputs.items():
                group.create_task(relay.drained(byte_counts.get(name), self._hurry))

    def hurry(self) -> None:
        """Wait no longer for a caller who takes nothing. Twice is fine."""
        if not self._hurry.done():
            self._hurry.set_result(None)

    def stop(self) -> None:
        self.hurry()
        if self._stdin is not None:
            self._stdin.stop()
        for relay in self._outputs.values():
            relay.stop()

    async def stopped(self) -> None:
        if self._stdin is not None:
            await self._stdin.stopped()
        await self.drained({})


class StreamTable:
    """Every stream of the sandbox's processes, so that closing the connection leaves none open."""

    def __init__(self) -> None:
        self._piped: weakref.WeakSet[SocketSource | SocketSink] = weakref.WeakSet()
        self._inherited: dict[ProcessRef, _InheritedStreams] = {}

    def attach(
        self, ref: ProcessRef, options: StdioOptions, connections: Mapping[str, socket.socket]
    ) -> ProcessStreams:
        """Give piped streams to the caller, and connect inherited ones to the caller's own."""
        piped = {name: peer for name, peer in connections.items() if getattr(options, name) is Stdio.PIPED}
        streams = ProcessStreams(
            stdin=SocketSink(piped["stdin"]) if "stdin" in piped else None,
            stdout=SocketSource(piped["stdout"]) if "stdout" in piped else None,
            stderr=SocketSource(piped["stderr"]) if "stderr" in piped else None,
        )
        for end in (streams.stdin, streams.stdout, streams.stderr):
            if isinstance(end, SocketSource | SocketSink):
                self._piped.add(end)
        self._inherit(ref, {name: peer for name, peer in connections.items() if name not in piped})
        return streams

    def _inherit(self, ref: ProcessRef, connections: Mapping[str, socket.socket]) -> None:
        self.forget(ref)
        if not connections:
            return
        stdin = InputRelay(connections["stdin"], 0) if "stdin" in connections else None
        outputs = {
            name: OutputRelay(connections[name], host_fd)
            for name, host_fd in (("stdout", 1), ("stderr", 2))
            if name in connections
        }
        self._inherited[ref] = _InheritedStreams(stdin, outputs)

    async def drained(
        self, ref: ProcessRef, byte_counts: Mapping[str, int | None], timeout_seconds: float | None = None
    ) -> None:
        """Wait until the inherited output of an ended process is with the caller, and take no more input for it.

        A stream is through after its byte count, or at its end when the count is not known; `timeout_seconds`
        bounds the wait for streams whose end may never come.
        """
        inherited = self._inherited.get(ref)
        if inherited is None:
            return
        try:
            async with asyncio.timeout(timeout_seconds):
                await inherited.drained(byte_counts)
        except TimeoutError:
            return

    def hurry(self, ref: ProcessRef) -> None:
        """A process was killed: its end is told even when its inherited output is stuck at the caller."""
        inherited = self._inherited.get(ref)
        if inherited is not None:
            inherited.hurry()

    def forget(self, ref: ProcessRef) -> None:
        """Stop the relays of a process that is gone."""
        inherited = self._inherited.pop(ref, None)
        if inherited is not None:
            inherited.stop()

    def forget_container(self, container_id: str) -> None:
        """Stop the relays of a container's processes."""
        for ref in [ref for ref in self._inherited if ref.container_id == container_id]:
            self.forget(ref)

    async def aclose(self) -> None:
        """Close every stream; output that has arrived is still written, unless the caller's end is stuck."""
        for end in tuple(self._piped):
            end.close()
        inherited = list(self._inherited.values())
        self._inherited.clear()
        for streams in inherited:
            streams.stop()
        try:
            async with asyncio.timeout(_RELAY_STOP_SECONDS):
                for streams in inherited:
                    await streams.stopped()
        except TimeoutError:
            return  # a thread hangs on the caller's own descriptor; it is a daemon, and owns its socket
