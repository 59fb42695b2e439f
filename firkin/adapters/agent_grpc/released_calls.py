"""Letting go of calls that failed or were cancelled."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from types import TracebackType

from grpc.aio import AioRpcError


class ReleasedCalls(AbstractAsyncContextManager[None]):
    """A context manager around calls, whose errors and cancellations come without gRPC's frames.

    Those hold the call, and gRPC keeps a connection open for as long as there are calls on it: whoever kept an error,
    or a task that was cancelled, would keep the connection, long after its channel was closed.
    """

    def __init__(self, inner: AbstractAsyncContextManager[None]) -> None:
        self._inner = inner

    async def __aenter__(self) -> None:
        await self._inner.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        _release_causes(error)
        if not isinstance(error, AioRpcError | asyncio.CancelledError):
            return await self._inner.__aexit__(kind, error, traceback)
        # This function's own frame may be in the traceback of what is raised instead.
        del traceback
        return await self._inner.__aexit__(kind, error.with_traceback(None), None)


def _release_causes(error: BaseException | None) -> None:
    """Let go of the calls whose errors `error` came from."""
    known: set[int] = set()
    while error is not None and id(error) not in known:
        known.add(id(error))
        error = error.__cause__ or error.__context__
        if isinstance(error, AioRpcError):
            error.__traceback__ = None
