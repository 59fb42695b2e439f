"""Coroutine tests without a further plugin: on virtual time, or on the clock when they do real input and output."""

from __future__ import annotations

import asyncio
import inspect
import selectors
from collections.abc import Awaitable, Callable

import pytest

_SETTLING_SECONDS = 30.0
_CLOCK_MARKS = ("real_time", "virtual_time", "real_sockets")


class _JumpingSelector(selectors.DefaultSelector):
    """When nothing is ready, advance the loop's clock by the whole timeout."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            return super().select(None)
        ready = super().select(0)
        if not ready:
            self.now += max(timeout, 0)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop on which an hour of waiting takes no time. Bytes in flight to another process would be overtaken."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


async def _without_leftover_tasks(
    test: Callable[..., Awaitable[None]], arguments: dict[str, object], deadline_seconds: float | None
) -> None:
    async with asyncio.timeout(deadline_seconds):
        await test(**arguments)
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    if tasks:
        await asyncio.wait(tasks, timeout=_SETTLING_SECONDS)
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    if left:
        pytest.fail(f"the test left tasks running: {', '.join(repr(task.get_coro()) for task in left)}")


def run_if_coroutine(item: pytest.Function, deadline_seconds: float | None = None) -> bool | None:
    """Run a coroutine test on a loop of its own; it fails when it leaves a task behind. None for any other test.

    A test that is marked `real_time` runs on the clock, unless its adapter is marked `virtual_time`; one that is marked
    `real_sockets` does in any case. One that is marked `many_runs` runs without asyncio's debug mode.
    """
    if not inspect.iscoroutinefunction(item.obj):
        return None
    debug = item.get_closest_marker("many_runs") is None
    marks = {name for name in _CLOCK_MARKS if item.get_closest_marker(name) is not None}
    on_the_clock = "real_sockets" in marks or ("real_time" in marks and "virtual_time" not in marks)
    arguments = {name: item.funcargs[name] for name in inspect.signature(item.obj).parameters}
    with asyncio.Runner(debug=debug, loop_factory=None if on_the_clock else VirtualTimeLoop) as runner:
        runner.run(_without_leftover_tasks(item.obj, arguments, deadline_seconds))
    return True
