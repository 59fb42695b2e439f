"""Making port calls fail, on purpose and at an exact place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec


class _Fault(msgspec.Struct):
    operation: str
    error: BaseException
    after: bool
    times: int


class Faults:
    """Every call of a memory adapter passes here twice: before it has an effect, and after.

    Attributes:
        passed: the passages so far, for example `agent.start_container before`.
        on_passage: called at each passage with its number, counted from 0; may raise or cancel a task.
    """

    def __init__(self) -> None:
        self.passed: list[str] = []
        self.on_passage: Callable[[int, str], None] | None = None
        self._faults: list[_Fault] = []

    def fail(self, operation: str, error: BaseException, *, after: bool = False, times: int = 1) -> None:
        """Let the next `times` calls of `operation` (`agent.start_container`) raise `error`.

        With `after`, the call has had its effect by then: the caller cannot know.
        """
        self._faults.append(_Fault(operation, error, after, times))

    async def reach(self, operation: str, *, after: bool = False) -> None:
        """Pass one place: gives other tasks a turn, then raises what was asked for."""
        place = f"{operation} {'after' if after else 'before'}"
        number = len(self.passed)
        self.passed.append(place)
        if self.on_passage is not None:
            self.on_passage(number, place)
        await asyncio.sleep(0)
        for fault in self._faults:
            if fault.times and (fault.operation, fault.after) == (operation, after):
                fault.times -= 1
                raise fault.error
