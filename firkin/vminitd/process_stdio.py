"""The standard streams of one process: sockets to the host, pipes to the process, relays between them."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import NamedTuple

from firkin.domain.errors import InvalidArgument
from firkin.domain.terminal import TerminalSize

from .host_streams import HostStreams
from .input_end import close_behind_queued
from .reaper import ChildStdio
from .relays import Relay, input_relay, output_relay
from .terminal import Terminal
from .transfer import enlarge_pipe

_STALLED_SECONDS = 10.0


class StreamRequest(NamedTuple):
    """Where the host listens for a stream, and the token that opens it (empty: none is sent)."""

    port: int
    token: bytes = b""


class StdioRequest(NamedTuple):
    """The streams that the host wants; None is /dev/null."""

    stdin: StreamRequest | None = None
    stdout: StreamRequest | None = None
    stderr: StreamRequest | None = None


class _Pipe:
    """One stream before its relay runs: the peer, the agent's end and the process's end."""

    def __init__(self, peer: socket.socket, *, process_reads: bool) -> None:
        reading, writing = os.pipe()
        self.peer = peer
        self.process_end, self.agent_end = (reading, writing) if process_reads else (writing, reading)
        os.set_blocking(self.agent_end, False)
        enlarge_pipe(self.agent_end)

    def close_process_end(self) -> None:
        os.close(self.process_end)
        self.process_end = -1

    def close(self) -> None:
        self.peer.close()
        os.close(self.agent_end)
        if self.process_end >= 0:
            self.close_process_end()


class ProcessStdio:
    """The streams of a process, from before its start until it is forgotten."""

    def __init__(self, underway_seconds: float = 0.0) -> None:
        self._underway_seconds = underway_seconds
        self._input_is_to_end = False
        self._peers: dict[str, socket.socket] = {}
        self._pipes: dict[str, _Pipe] = {}
        self._relays: dict[str, Relay] = {}
        self._terminal: Terminal | None = None

    @classmethod
    async def opened(cls, host: HostStreams, request: StdioRequest) -> ProcessStdio:
        """Connect every wanted stream.

        Raises:
            AgentError: the host does not accept one; none is left open.
        """
        stdio = cls(host.underway_seconds)
        try:
            for name, wanted in request._asdict().items():
                if wanted is not None:
                    stdio._peers[name] = await host.connect(wanted.port, wanted.token)
        except BaseException:
            stdio.close()
            raise
        return stdio

    def lead_to_process(self, has_terminal: bool) -> None:
        """Make the pipes of a process without a terminal; the runtime makes the terminal of one that has it.

        Raises:
            InvalidArgument: the standard error of a process with a terminal is wanted.
        """
        if has_terminal:
            if "stderr" in self._peers:
                raise InvalidArgument("all output of a process with a terminal is on stdout: it has no stderr stream")
            return
        for name in tuple(self._peers):
            self._pipes[name] = _Pipe(self._peers[name], process_reads=name == "stdin")
            del self._peers[name]

    @property
    def child_ends(self) -> ChildStdio:
        """What the process gets."""
        ends = {name: pipe.process_end for name, pipe in self._pipes.items()}
        return ChildStdio(ends.get("stdin"), ends.get("stdout"), ends.get("stderr"))

    def begin(self, master: int | None = None) -> None:
        """The process runs: close its ends and let bytes flow. Of a process that did not start none ever do.

        `master` is that of its terminal, when it has one; all output is then that of stdout.
        """
        if master is not None:
            self._terminal = Terminal(master)
            stdin = self._peers.pop("stdin", None)
            if stdin is not None:
                self._relays["stdin"] = self._terminal.input_from(stdin)
            output = self._relays["stdout"] = self._terminal.output_to(self._peers.pop("stdout", None))
            # With its last descriptor gone a terminal is hung up: a host that reads no more means just that.
            output.ended.add_done_callback(lambda _: self.close_input())
        for name, pipe in self._pipes.items():
            pipe.close_process_end()
            relay = (
                input_relay(pipe.peer, pipe.agent_end) if name == "stdin" else output_relay(pipe.agent_end, pipe.peer)
            )
            self._relays[name] = relay
        self._pipes.clear()
        if self._input_is_to_end:
            self._end_input_behind_queued()

    def output_bytes(self, name: str) -> int:
        """Bytes that left the sandbox on `stdout` or `stderr`."""
        relay = self._relays.get(name)
        return relay.moved_bytes if relay is not None else 0

    def resize(self, size: TerminalSize) -> None:
        """Set the size of the terminal of a process that was started."""
        if self._terminal is not None:
            self._terminal.resize(size)

    async def flush_output(self, *, until_end: bool) -> None:
        """Wait until all output was handed to the host: to its end, or as far as it is written now.

        A stream whose reader takes nothing for 10 s is given up waiting for; its relay goes on.
        """
        for name in ("stdout", "stderr"):
            relay = self._relays.get(name)
            if relay is not None:
                await _settled(relay, relay.ended if until_end else relay.drained())

    def end_input(self) -> None:
        """End the process's input behind what the host has sent by now, from its start on; twice is fine.

        Nothing of it is dropped: a process that reads slowly has its end late.
        """
        if not self._input_is_to_end:
            self._input_is_to_end = True
            self._end_input_behind_queued()

    def _end_input_behind_queued(self) -> None:
        relay = self._relays.get("stdin")
        if relay is not None:
            close_behind_queued(relay, self._underway_seconds)

    def close_input(self) -> None:
        """Nobody reads the input any more."""
        if self._terminal is not None:
            self._terminal.close()
        relay = self._relays.get("stdin")
        if relay is not None:
            relay.close()

    def close(self) -> None:
        """Close everything, whatever is in flight; twice is fine."""
        for peer in self._peers.values():
            peer.close()
        self._peers.clear()
        for pipe in self._pipes.values():
            pipe.close()
        self._pipes.clear()
        for relay in self._relays.values():
            relay.close()
        if self._terminal is not None:
            self._terminal.close()


async def _settled(relay: Relay, settled: asyncio.Future[None]) -> None:
    while not settled.done():
        before = relay.moved_bytes
        await asyncio.wait({settled}, timeout=_STALLED_SECONDS)
        if relay.moved_bytes == before:
            return
