"""Work that many want and that is done once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from .task_scope import TaskScope

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")


class SingleFlight(Generic[Key, Result]):
    """Runs one piece of work per key at a time; callers who come meanwhile share its result or its error.

    The work ends early only when every caller who waits for it was cancelled.
    """

    def __init__(self, scope: TaskScope) -> None:
        self._scope = scope
        self._flights: dict[Key, _Flight[Result]] = {}

    async def run(self, key: Key, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Return the result of `work()`, or of the same work that is under way already."""
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(self._scope.start(work(), f"single flight {key}"))
        flight.waiters += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiters -= 1
            if flight.waiters == 0:
                if self._flights.get(key) is flight:
                    del self._flights[key]
                if not flight.task.done():
                    flight.task.cancel()
                    await asyncio.wait([flight.task])

    def is_flying(self, key: Key) -> bool:
        """True while work for this key is under way."""
        return key in self._flights

    async def settled(self, key: Key) -> None:
        """Wait until no work for this key is under way, whatever its result."""
        while (flight := self._flights.get(key)) is not None:
            await asyncio.wait([flight.task])
            if self._flights.get(key) is flight:
                # The work has ended; those who shared it leave as soon as the loop lets them.
                await asyncio.sleep(0)


class _Flight(Generic[Result]):
    def __init__(self, task: asyncio.Task[Result]) -> None:
        self.task = task
        self.waiters = 0
