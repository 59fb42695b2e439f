"""Work on streams of pieces beside the thread that makes them, and with its help when it is ahead."""

from __future__ import annotations

import collections
import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

_WAITING = 8

_Piece = TypeVar("_Piece")


class Stage(Generic[_Piece]):
    """Hands pieces to `take` one after another, never two at once, with a few of them waiting at most.

    `put` and `drain` are for the caller's thread alone.

    Attributes:
        seconds: that `take` was at work.
    """

    def __init__(self, workers: Workers, take: Callable[[_Piece], None], held: int) -> None:
        self._workers = workers
        self._take = take
        self._held = held
        self._waiting: collections.deque[_Piece] = collections.deque()
        self._taking = threading.Lock()
        # Queues without locks of Python's own (the bounded one has three): places go round against pieces.
        self._places: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(_WAITING):
            self._places.put(None)
        self._failure: BaseException | None = None
        self.seconds = 0.0

    def put(self, piece: _Piece) -> None:
        """Hand over the next piece; while too many wait, take what waits in any stage.

        Raises:
            BaseException: what `take` raised for an earlier piece.
        """
        self._raise()
        # Without a place and without work, another thread is at this stage, and will give a place back.
        while self._places.empty() and self._workers.worked():
            pass
        self._places.get()
        self._waiting.append(piece)
        if len(self._waiting) > self._held or self._workers.have_begun:
            self._workers.call()

    def drain(self) -> None:
        """Wait until every piece was taken; further ones may follow.

        Raises:
            BaseException: what `take` raised.
        """
        while self._waiting:
            if not self._workers.worked():
                with self._taking:
                    self._take_next()
        with self._taking:
            self._raise()

    def worked(self) -> bool:
        """Take the next piece, when there is one and no other thread is at this stage; False otherwise."""
        if not self._waiting or not self._taking.acquire(blocking=False):
            return False
        try:
            return self._take_next()
        finally:
            self._taking.release()

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _take_next(self) -> bool:
        if not self._waiting:
            return False
        piece = self._waiting.popleft()
        if self._failure is None and not self._workers.were_left:
            self._taken(piece)
        self._places.put(None)
        return True

    def _taken(self, piece: _Piece) -> None:
        began = time.perf_counter()
        try:
            self._take(piece)
        except BaseException as error:
            self._failure = error
        self.seconds += time.perf_counter() - began


class Processors:
    """The processors that callers of stages and the threads behind these share.

    The kernel gives every thread the same share of them. With more threads than processors a caller's, which has most
    to do, would fall behind; and what one thread has just made would be taken by another on another processor.
    """

    def __init__(self, count: int | None = None) -> None:
        """Of so many; of as many as this process may use when None."""
        self._count = count
        self._taken = 0
        self._taking = threading.Lock()

    def _all(self) -> int:
        return len(os.sched_getaffinity(0)) if self._count is None else self._count

    @property
    def are_enough(self) -> bool:
        """Whether there is one for each thread."""
        return self._taken <= self._all()

    def occupy(self) -> None:
        """There is one more thread, whether a processor is free or not."""
        with self._taking:
            self._taken += 1

    def take(self) -> bool:
        """There is one more thread, when a processor is free."""
        with self._taking:
            if self._taken >= self._all():
                return False
            self._taken += 1
            return True

    def give_back(self, count: int) -> None:
        """So many threads are no more."""
        with self._taking:
            self._taken -= count

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """Others have the caller's processor meanwhile: it waits for what they do."""
        self.give_back(1)
        try:
            yield
        finally:
            self.occupy()


PROCESSORS = Processors()
"""Of all layers that this process applies."""


class Workers:
    """The threads behind stages; leaving the block ends them, and what waits is not taken any more.

    They begin when a stage has more pieces than it holds: what comes in so few is done by the caller's thread. So is
    everything as long as no processor is free, for example because several layers are applied at once.

    Attributes:
        were_left: True once the block was left.
    """

    def __init__(self, processors: Processors = PROCESSORS) -> None:
        """Begin nothing yet."""
        self._processors = processors
        self._stages: list[Stage[Any]] = []
        self._threads: list[threading.Thread] = []
        # One for each thread: a call to come, or to end.
        self._calls: list[queue.SimpleQueue[bool]] = []
        self.were_left = False

    def __enter__(self) -> Self:
        self._processors.occupy()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.were_left = True
        for calls in self._calls:
            calls.put(False)
        for thread in self._threads:
            thread.join()
        self._processors.give_back(1 + len(self._threads))

    @property
    def have_begun(self) -> bool:
        """True when there are threads beside the caller's."""
        return bool(self._threads)

    def stage(self, take: Callable[[_Piece], None], held: int = 1) -> Stage[_Piece]:
        """One more stage, which holds so many pieces before threads begin; that with most to do is made last."""
        made = Stage(self, take, held)
        self._stages.append(made)
        return made

    def call(self) -> None:
        """Have waiting pieces taken: by the threads, or at once where these would have no processors."""
        if not self._threads:
            self._begin()
        if not self._threads or not self._processors.are_enough:
            while self.worked():
                pass
            return
        for calls in self._calls:
            # A call that nobody has heard yet is for this piece too.
            if calls.empty():
                calls.put(True)

    def worked(self) -> bool:
        """Take one piece of a stage where no other thread is; False when there is none."""
        return any(stage.worked() for stage in self._stages)

    def _begin(self) -> None:
        # Each thread looks at all stages, but at one of its own first.
        orders = [self._stages[::-1], self._stages]
        for order in orders:
            if not self._processors.take():
                return
            calls: queue.SimpleQueue[bool] = queue.SimpleQueue()
            thread = threading.Thread(target=_run, args=(calls, order), name="layer")
            try:
                thread.start()
            except BaseException:
                self._processors.give_back(1)
                raise
            self._calls.append(calls)
            self._threads.append(thread)


def _run(calls: queue.SimpleQueue[bool], stages: Sequence[Stage[Any]]) -> None:
    while calls.get():
        while any(stage.worked() for stage in stages):
            pass
