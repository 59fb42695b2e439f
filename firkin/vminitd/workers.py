"""Blocking work of the agent, in a bounded number of threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

_Result = TypeVar("_Result")
_Parameters = ParamSpec("_Parameters")


class Workers:
    """A few threads for calls that may block on a filesystem."""

    def __init__(self, name: str, threads: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def run(
        self, function: Callable[_Parameters, _Result], *args: _Parameters.args, **kwargs: _Parameters.kwargs
    ) -> _Result:
        """Call `function` in a thread; a cancellation passes once it has returned, so that undoing may follow."""
        work = asyncio.get_running_loop().run_in_executor(self._executor, lambda: function(*args, **kwargs))
        return await _finished(work, None)

    async def run_cancellable(
        self,
        cancel: Callable[[], None],
        function: Callable[_Parameters, _Result],
        *args: _Parameters.args,
        **kwargs: _Parameters.kwargs,
    ) -> _Result:
        """As `run`; a cancellation calls `cancel`, by which `function` returns soon."""
        work = asyncio.get_running_loop().run_in_executor(self._executor, lambda: function(*args, **kwargs))
        return await _finished(work, cancel)

    def close(self) -> None:
        """Take no more work; what runs is not waited for."""
        self._executor.shutdown(wait=False, cancel_futures=True)


async def _finished(work: asyncio.Future[_Result], cancel: Callable[[], None] | None) -> _Result:
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        if cancel is not None:
            cancel()
        await asyncio.wait({work})
        if not work.cancelled():
            work.exception()
        raise
