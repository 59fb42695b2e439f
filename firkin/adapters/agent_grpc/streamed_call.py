"""A call of the agent with a bulk stream beside it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from typing import TypeVar

from firkin.domain.errors import CopyFailed, FirkinError, Outcome

from .bulk_listener import BulkListener
from .errors import CallKind
from .host_trees import SocketEnd
from .session import AgentSession
from .stall_deadline import StallDeadline

R = TypeVar("R")
T = TypeVar("T")


class StreamedCall:
    """One call during which the guest connects once, and a thread of the host sends or receives.

    The connection is never waited for alone: a call that fails first tells why. When both ends fail, the one that
    began is believed: the guest's, when the host's end only found the stream broken.
    """

    def __init__(self, session: AgentSession, operation: str, *, with_token: bool) -> None:
        self._session = session
        self._kind = CallKind(operation, session.stall_seconds)
        self.listener: BulkListener = session.listen(with_token)
        self._stall = StallDeadline(session.stall_seconds)
        self._end: SocketEnd | None = None

    async def run(
        self,
        call: Callable[[StallDeadline], Awaitable[R]],
        transfer: Callable[[SocketEnd], T],
        ready: asyncio.Future[None] | None = None,
    ) -> tuple[R, T]:
        """Make `call`, and run `transfer` in a thread over the guest's connection, once `ready` is done.

        Raises:
            CopyFailed: the host's end failed.
            DeadlineExceeded: nothing moved for the stall time.
            FirkinError: what the agent said.
        """
        try:
            async with self._session.copy_turns:
                return await self._run(call, transfer, ready)
        finally:
            self.listener.close()

    async def _run(
        self,
        call: Callable[[StallDeadline], Awaitable[R]],
        transfer: Callable[[SocketEnd], T],
        ready: asyncio.Future[None] | None,
    ) -> tuple[R, T]:
        # The time in the queue does not count.
        self._stall = StallDeadline(self._session.stall_seconds)
        serving = self._session.scope.start(self._served(transfer, ready), self._kind.operation)
        try:
            async with self._stall, self._session.guarded(self._kind):
                try:
                    answer = await call(self._stall)
                except asyncio.CancelledError:
                    raise
                except Exception as error:
                    failure = await self._own_failure(serving)
                    if failure is not None:
                        raise failure from error
                    raise
                return answer, await serving
        except TimeoutError:
            raise await self._session.late(self._kind) from None
        except CopyFailed as error:
            # What was copied before stays, each file whole.
            raise error.during(self._kind.operation, outcome=error.outcome or Outcome.MAY_HAVE) from error.__cause__
        finally:
            serving.cancel()
            await asyncio.wait([serving])

    async def _own_failure(self, serving: asyncio.Task[T]) -> FirkinError | None:
        """What went wrong on the host, if that is why the call failed."""
        if self._end is None:
            return None
        self._end.give_up()
        await asyncio.wait([serving])
        error = None if serving.cancelled() else serving.exception()
        return error if isinstance(error, FirkinError) and not self._end.is_broken else None

    async def _served(self, transfer: Callable[[SocketEnd], T], ready: asyncio.Future[None] | None) -> T:
        connection = await self.listener.accepted(self._kind.operation, timeout_seconds=None)
        with connection:
            self._stall.progressed()
            if ready is not None:
                await asyncio.shield(ready)
            connection.setblocking(True)
            end = self._end = SocketEnd(connection, self._stall.progressed_in_thread)
            work = asyncio.get_running_loop().run_in_executor(None, transfer, end)
            try:
                return await asyncio.shield(work)
            except asyncio.CancelledError:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                await asyncio.wait([work])
                if not work.cancelled():
                    work.exception()
                raise
