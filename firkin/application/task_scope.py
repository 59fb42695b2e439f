"""Tasks with an owner, and work that a cancellation must not tear in half."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class TaskScope:
    """Owns background tasks that outlive the call which started them.

    A TaskGroup cannot serve here: it ties its tasks to one frame, and cancels that frame's task when one of
    them fails, while a pod is opened, used and stopped from whichever tasks its user likes.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()

    def start(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Run `work` beside the caller. Who started it awaits the task; `aclose` ends what is left."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        # Whoever awaits the task sees its error; asyncio must not report it a second time.
        if not task.cancelled():
            task.exception()

    async def aclose(self) -> None:
        """Cancel what still runs and wait for its end."""
        current = asyncio.current_task()
        while left := [task for task in self._tasks if task is not current]:
            for task in left:
                task.cancel()
            await asyncio.wait(left)


async def joined(task: asyncio.Task[T]) -> T:
    """Wait for a shared task: cancelling one waiter leaves the task and the other waiters alone."""
    return await asyncio.shield(task)


async def finished(task: asyncio.Task[T]) -> T:
    """Wait for `task` to the end, even when the waiter is cancelled meanwhile; then let the cancellation through."""
    cancellation: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancellation = error
    if cancellation is not None:
        raise cancellation
    return task.result()
