"""The terminal that firkin was started on, while a process with a terminal of its own is attached to it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import termios
import tty
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Protocol

import click

from firkin.domain.errors import FirkinError

from .detach_keys import DetachKeys

_CHUNK_BYTES = 65536


class NoLocalTerminal(click.ClickException):
    """A terminal was asked for where there is none."""

    exit_code = 125

    def __init__(self) -> None:
        super().__init__("the input device is not a TTY: -t needs a terminal on standard input")


class TerminalInput(Protocol):
    """What the process reads."""

    async def write(self, data: bytes) -> None: ...

    async def aclose(self) -> None: ...


Resize = Callable[[int, int], Awaitable[None]]


class LocalTerminal:
    """A terminal behind a descriptor of this process, which stays open."""

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor

    @property
    def size(self) -> tuple[int, int]:
        """Its columns and rows now."""
        columns, rows = os.get_terminal_size(self._descriptor)
        return columns, rows

    @contextlib.contextmanager
    def raw(self) -> Iterator[None]:
        """Hand every key on as it is typed, and show every byte as it comes; afterwards all is as it was.

        Nothing that was typed before, or that is still to be shown, is lost by the changes.
        """
        before = termios.tcgetattr(self._descriptor)
        try:
            tty.setraw(self._descriptor, termios.TCSANOW)
            yield
        finally:
            # A terminal that was hung up has nothing to be restored.
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._descriptor, termios.TCSANOW, before)

    @contextlib.asynccontextmanager
    async def attached(
        self, stdin: TerminalInput, resize: Resize, keys: DetachKeys, detach: Callable[[], None]
    ) -> AsyncIterator[None]:
        """Hand on what is typed and how the window changes, and call `detach` once the keys were pressed."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._typed(stdin, keys, detach)),
                group.create_task(self._resized(resize)),
            ]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()

    async def _typed(self, stdin: TerminalInput, keys: DetachKeys, detach: Callable[[], None]) -> None:
        """Pass input on; while the process takes none, none is read, so that it stays with the terminal."""
        try:
            while data := await self._read():
                passed, is_detached = keys.feed(data)
                await stdin.write(passed)
                if is_detached:
                    detach()
                    return
            await stdin.aclose()
        except BrokenPipeError:
            return  # the process has ended

    async def _read(self) -> bytes:
        loop = asyncio.get_running_loop()
        is_readable: asyncio.Future[None] = loop.create_future()
        loop.add_reader(self._descriptor, _settle, is_readable)
        try:
            await is_readable
        finally:
            loop.remove_reader(self._descriptor)
        try:
            return os.read(self._descriptor, _CHUNK_BYTES)
        except OSError:
            return b""  # it was hung up

    async def _resized(self, resize: Resize) -> None:
        """Tell each new size; of those that come while one is being told, the last."""
        loop = asyncio.get_running_loop()
        has_changed = asyncio.Event()
        loop.add_signal_handler(signal.SIGWINCH, has_changed.set)
        has_changed.set()  # since the process was started, with the size of then
        try:
            while await has_changed.wait():
                has_changed.clear()
                # A terminal that was hung up has no size, and a process whose sandbox died needs none.
                with contextlib.suppress(OSError, FirkinError):
                    await resize(*self.size)
        finally:
            loop.remove_signal_handler(signal.SIGWINCH)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
