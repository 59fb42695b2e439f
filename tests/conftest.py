"""Coroutine tests without a plugin, on virtual time; tests with real input and output are marked `real_time`."""

from __future__ import annotations

import asyncio
import inspect
import os
import selectors
from collections.abc import Awaitable, Callable, Generator

import pytest

pytest_plugins = ["tests.images.fixtures"]

_SETTLING_SECONDS = 1.0


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


async def _without_leftover_tasks(test: Callable[..., Awaitable[None]], arguments: dict[str, object]) -> None:
    await test(**arguments)
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    if tasks:
        await asyncio.wait(tasks, timeout=_SETTLING_SECONDS)
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    if left:
        pytest.fail(f"the test left tasks running: {', '.join(repr(task.get_coro()) for task in left)}")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test on a loop of its own; it fails when it leaves a task behind."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    real_time = pyfuncitem.get_closest_marker("real_time") is not None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    with asyncio.Runner(debug=True, loop_factory=None if real_time else VirtualTimeLoop) as runner:
        runner.run(_without_leftover_tasks(pyfuncitem.obj, arguments))
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test is a failed one: what a test needs can be installed."""
    report = yield
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which CI does not accept: {report.longrepr}"
    return report
