"""A process in a pod on the terminal that the command was started on."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from firkin.domain.terminal import TerminalSize

from .detach_keys import DetachKeys
from .local_terminal import LocalTerminal

if TYPE_CHECKING:
    from firkin.ports.pod_control import AttachedProcess


class _Typed:
    """The input of a process, for a terminal."""

    def __init__(self, process: AttachedProcess) -> None:
        self._process = process

    async def write(self, data: bytes) -> None:
        """Hand keys on."""
        await self._process.write(data)

    async def aclose(self) -> None:
        """The terminal was hung up."""
        await self._process.end_input()


@contextlib.asynccontextmanager
async def on_this_terminal(process: AttachedProcess, keys: bytes, detach: Callable[[], None]) -> AsyncIterator[None]:
    """Join the process to the terminal on standard input; `detach` is called when the keys were pressed."""
    terminal = LocalTerminal()

    async def resize(columns: int, rows: int) -> None:
        await process.resize(TerminalSize(columns, rows))

    with terminal.raw():
        async with terminal.attached(_Typed(process), resize, DetachKeys(keys), detach):
            yield
