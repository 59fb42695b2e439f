"""An event loop in a thread of its own, which other threads call into and wait for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from types import TracebackType
from typing import Generic, Self, TypeVar

from firkin.application.task_scope import TaskScope
from firkin.domain.errors import RuntimeClosed

T = TypeVar("T")

# A signal that comes between an instruction of the main thread and its wait does not end the wait: so long at most.
_SIGNAL_SECONDS = 0.25


class LoopThread:
    """Runs what any thread asks for, and hands the result or the error back to it.

    Everything that touches the runtime happens in this one thread, so callers need no lock. What still runs at the
    end of `with` is cancelled, and whoever waits for it gets RuntimeClosed.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._scope = TaskScope()
        self._lock = threading.Lock()
        self._is_closed = False
        self._unsettled: set[Callable[[], None]] = set()
        self._is_running = threading.Event()
        self._leave = asyncio.Event()
        # A program that forgets to leave its runtime still ends: the sandboxes end with it.
        self._thread = threading.Thread(target=self._run, name="firkin runtime", daemon=True)

    def __enter__(self) -> Self:
        try:
            self._thread.start()
            self._is_running.wait()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        self._thread.join()

    def awaited(self, work: Callable[[], Awaitable[T]]) -> T:
        """Await what `work` returns, in the loop, and return its result.

        Ctrl-C, or whatever else a signal handler raises meanwhile, cancels it, waits until it has undone what it
        must, and goes on; raised a second time, it goes on at once.

        Raises:
            RuntimeClosed: the runtime was left, before or meanwhile.
        """
        if threading.current_thread() is self._thread:
            raise RuntimeError("a callback of the runtime runs in its thread, and must not wait for the runtime")
        call = _Call(work)
        try:
            self._submit(call)
            call.wait()
            return call.outcome.result()
        except BaseException:
            if not call.outcome.done():
                self._interrupt(call)
            raise
        finally:
            # An error's traceback holds this frame, and the call would hold the error.
            del call

    def called(self, work: Callable[[], T]) -> T:
        """Call `work` in the loop's thread and return its result."""

        async def at_once() -> T:
            return work()

        return self.awaited(at_once)

    def iterated(self, opened: Callable[[], AsyncIterator[T]]) -> Iterator[T]:
        """Go through an asynchronous iterator, one call for each item."""
        source = self.called(opened)
        while True:
            try:
                item = self.awaited(source.__anext__)
            except StopAsyncIteration:
                return
            yield item

    @contextmanager
    def entered(self, opened: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[T]:
        """Enter an asynchronous context manager, and leave it with what ended the block."""
        manager = self.called(opened)
        thing = self.awaited(manager.__aenter__)
        try:
            yield thing
        except BaseException as error:
            ending = error
            if not self.awaited(lambda: manager.__aexit__(type(ending), ending, ending.__traceback__)):
                raise
        else:
            self.awaited(lambda: manager.__aexit__(None, None, None))

    def _submit(self, call: _Call[T]) -> None:
        with self._lock:
            if self._is_closed or self._loop is None:
                call.give_up()
                return
            self._unsettled.add(call.give_up)
            call.outcome.add_done_callback(lambda _: self._unsettled.discard(call.give_up))
            self._loop.call_soon_threadsafe(call.begin, self._scope)

    def _interrupt(self, call: _Call[T]) -> None:
        with self._lock:
            if self._is_closed or self._loop is None:
                call.give_up()
            else:
                self._loop.call_soon_threadsafe(call.cancel)
        call.wait()

    def _close(self) -> None:
        with self._lock:
            if self._loop is not None and not self._is_closed:
                self._loop.call_soon_threadsafe(self._leave.set)
            self._is_closed = True

    def _run(self) -> None:
        try:
            with asyncio.Runner() as runner:
                try:
                    runner.run(self._serve())
                finally:
                    with self._lock:
                        self._is_closed = True
        finally:
            self._is_running.set()
            for give_up in tuple(self._unsettled):
                give_up()

    async def _serve(self) -> None:
        with self._lock:
            if self._is_closed:
                return
            self._loop = asyncio.get_running_loop()
        self._is_running.set()
        await self._leave.wait()
        await self._scope.aclose()


class _Call(Generic[T]):
    """Something that one thread waits for and the loop does."""

    def __init__(self, work: Callable[[], Awaitable[T]]) -> None:
        self.outcome: Future[T] = Future()
        self._work = work
        self._task: asyncio.Task[None] | None = None

    def begin(self, scope: TaskScope) -> None:
        if self.outcome.done():
            return
        self._task = scope.start(self._performed(), "call of another thread")
        # A task that is cancelled before its first step does not even reach its `try`.
        self._task.add_done_callback(lambda _: self.give_up())

    def cancel(self) -> None:
        if self._task is None:
            self.give_up()
        else:
            self._task.cancel()

    def wait(self) -> None:
        """Wait until it is settled."""
        is_main = threading.current_thread() is threading.main_thread()
        while not self.outcome.done():
            with suppress(TimeoutError):
                self.outcome.exception(_SIGNAL_SECONDS if is_main else None)

    def give_up(self) -> None:
        """Settle it when nothing else has; any thread may."""
        with suppress(InvalidStateError):
            self.outcome.set_exception(RuntimeClosed())

    async def _performed(self) -> None:
        with suppress(InvalidStateError):
            try:
                result = await self._work()
            except asyncio.CancelledError:
                raise
            # Also what would end the loop, such as SystemExit: it is for the thread that called.
            except BaseException as error:
                self.outcome.set_exception(error)
            else:
                self.outcome.set_result(result)
