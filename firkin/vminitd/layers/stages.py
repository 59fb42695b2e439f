"""Work on a stream of pieces, in a thread beside the one that makes them."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

_WAITING = 8

_Piece = TypeVar("_Piece")


class Stage(Generic[_Piece]):
    """Hands pieces to `take` one after another, with a few of them waiting at most.

    The thread begins when more than `held` pieces came: what comes in so few is done by the caller's. Leaving the
    block ends the thread, and what waits is not taken any more.

    Attributes:
        seconds: that `take` was at work.
    """

    def __init__(self, name: str, take: Callable[[_Piece], None], held: int = 1) -> None:
        self._name = name
        self._take = take
        self._held = held
        self._first: list[_Piece] = []
        # Queues without locks of Python's own (the bounded one has three): places go round against pieces.
        self._waiting: queue.SimpleQueue[_Piece | None] = queue.SimpleQueue()
        self._places: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._left = False
        self.seconds = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._left = True
        self._join()

    def put(self, piece: _Piece) -> None:
        """Hand over the next piece; waits while too many wait.

        Raises:
            BaseException: what `take` raised for an earlier piece.
        """
        self._raise()
        if self._thread is None:
            if len(self._first) < self._held:
                self._first.append(piece)
                return
            self._thread = threading.Thread(target=self._run, name=self._name)
            self._thread.start()
            for _ in range(_WAITING - len(self._first)):
                self._places.put(None)
            for earlier in self._first:
                self._waiting.put(earlier)
            self._first.clear()
        self._places.get()
        self._waiting.put(piece)

    def drain(self) -> None:
        """Wait until every piece was taken; further ones may follow.

        Raises:
            BaseException: what `take` raised.
        """
        self._join()
        for piece in self._first:
            if self._failure is None:
                self._taken(piece)
        self._first.clear()
        self._raise()

    def _join(self) -> None:
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()
            self._thread = None
            self._places = queue.SimpleQueue()

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        while (piece := self._waiting.get()) is not None:
            if self._failure is None and not self._left:
                self._taken(piece)
            self._places.put(None)

    def _taken(self, piece: _Piece) -> None:
        began = time.perf_counter()
        try:
            self._take(piece)
        except BaseException as error:
            self._failure = error
        self.seconds += time.perf_counter() - began
