"""The commands that containers in memory can run."""

from __future__ import annotations

import asyncio
import signal as signals
import time
from collections.abc import Awaitable, Callable, Mapping

from firkin.domain.process import ExitStatus
from firkin.domain.terminal import TerminalSize

from .pipes import MemoryPipe

ConnectionHandler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Serves one connection."""


class MemoryProcess:
    """A process, from the inside: what a program in memory may use.

    Attributes:
        args, env: as the runtime specification has them.
        stdin, stdout, stderr: None when they lead nowhere.
        terminal: the size of its terminal now; None when it has none.
        resized: set whenever the terminal gets another size; what SIGWINCH is to a real process.
        ignored: signals that do nothing to it; SIGKILL cannot be among them.
        ports: those that it listens on, and with which status it answers a GET request of a path.
        servers: what it does with a connection to a port, and closes itself.
    """

    def __init__(
        self,
        args: tuple[str, ...],
        env: Mapping[str, str],
        stdin: MemoryPipe | None,
        stdout: MemoryPipe | None,
        stderr: MemoryPipe | None,
        terminal: TerminalSize | None = None,
    ) -> None:
        self.args = args
        self.env = env
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self.terminal = terminal
        self.resized = asyncio.Event()
        self.ignored: set[int] = set()
        self.ports: dict[int, Callable[[str], int]] = {}
        self.servers: dict[int, ConnectionHandler] = {}
        self.started_unix_seconds = time.time()
        loop = asyncio.get_running_loop()
        self._began = loop.time()
        self.exit: asyncio.Future[ExitStatus] = loop.create_future()
        self._signal: int | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def lifetime_seconds(self) -> float:
        """Since its start, by the loop's own time."""
        return asyncio.get_running_loop().time() - self._began

    def follow(self, task: asyncio.Task[None]) -> None:
        """Tell which task runs the program, so that signals reach it."""
        self._task = task
        task.add_done_callback(self._never_ran)

    def _never_ran(self, _: asyncio.Task[None]) -> None:
        if not self.exit.done():
            self.exit.set_result(ExitStatus.from_signal(self._signal or signals.SIGKILL))

    async def run(self, program: Program) -> None:
        """Run the program to its end and record how it ended."""
        status = ExitStatus(0)
        try:
            status = ExitStatus(await program(self))
        except BrokenPipeError:
            status = ExitStatus.from_signal(signals.SIGPIPE)
        except asyncio.CancelledError:
            status = ExitStatus.from_signal(self._signal or signals.SIGKILL)
        finally:
            for pipe in (self.stdout, self.stderr):
                if pipe is not None:
                    await pipe.close_writing()
            if self.stdin is not None:
                await self.stdin.close_reading()
            if not self.exit.done():
                self.exit.set_result(status)

    def kill(self, signal: int) -> None:
        """Deliver a signal."""
        if self._task is None or self.exit.done() or (signal in self.ignored and signal != signals.SIGKILL):
            return
        self._signal = signal
        self._task.cancel()

    def resize(self, size: TerminalSize) -> None:
        """Give its terminal another size, unless it has ended."""
        if not self.exit.done():
            self.terminal = size
            self.resized.set()

    async def say(self, text: str) -> None:
        """Write to standard output."""
        if self.stdout is not None:
            await self.stdout.write(text.encode())


Program = Callable[[MemoryProcess], Awaitable[int]]
"""Runs a command and returns its exit code; cancelled when a signal ends it."""


async def _true(_: MemoryProcess) -> int:
    return 0


async def _false(_: MemoryProcess) -> int:
    return 1


async def _echo(process: MemoryProcess) -> int:
    await process.say(" ".join(process.args[1:]) + "\n")
    return 0


async def _env(process: MemoryProcess) -> int:
    await process.say("".join(f"{key}={value}\n" for key, value in process.env.items()))
    return 0


async def _cat(process: MemoryProcess) -> int:
    while process.stdin is not None and (data := await process.stdin.read()):
        if process.stdout is not None:
            await process.stdout.write(data)
    return 0


async def _sleep(process: MemoryProcess) -> int:
    await asyncio.sleep(float(process.args[1]) if len(process.args) > 1 else 3600)
    return 0


async def _stubborn(process: MemoryProcess) -> int:
    process.ignored.update({signals.SIGTERM, signals.SIGINT, signals.SIGHUP})
    return await _sleep(process)


async def _size(process: MemoryProcess) -> int:
    if process.terminal is None:
        return 1
    await process.say(f"{process.terminal.rows} {process.terminal.columns}\r\n")
    return 0


async def _stty(process: MemoryProcess) -> int:
    return await _size(process) if process.args[1:] == ("size",) else 1


async def _sizes(process: MemoryProcess) -> int:
    while await _size(process) == 0:
        process.resized.clear()
        await process.resized.wait()
    return 1


async def _exit(process: MemoryProcess) -> int:
    return int(process.args[1])


async def _httpd(process: MemoryProcess) -> int:
    """As that of busybox: `httpd -f -p PORT -h DIRECTORY`; one file is there, /passwd."""
    port = int(process.args[process.args.index("-p") + 1])

    def status(path: str) -> int:
        return 200 if path == "/passwd" else 404

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readline()).decode("ascii", "replace").split()
        found = status(request[1] if len(request) > 1 else "")
        body = "root:x:0:0:root:/:/bin/sh\n" if found == 200 else ""
        writer.write(f"HTTP/1.0 {found} told\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        writer.close()

    process.ports[port] = status
    process.servers[port] = serve
    await asyncio.Event().wait()
    return 0


PROGRAMS: Mapping[str, Program] = {
    "true": _true,
    "false": _false,
    "echo": _echo,
    "env": _env,
    "cat": _cat,
    "sleep": _sleep,
    "stubborn": _stubborn,
    "exit": _exit,
    "httpd": _httpd,
    "size": _size,
    "sizes": _sizes,
    "stty": _stty,
}
"""By the last component of the command: `/bin/true` is `true`."""
