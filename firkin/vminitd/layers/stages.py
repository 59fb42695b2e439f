"""Work on a stream of pieces, in a thread beside the one that makes them."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

_WAITING = 4

_Piece = TypeVar("_Piece")


class Stage(Generic[_Piece]):
    """Hands pieces to `take` one after another, with a few of them waiting at most.

    The thread begins with the second piece: what comes in one piece is done by the caller's. Leaving the block
    ends the thread, and what waits is not taken any more.

    Attributes:
        seconds: that `take` was at work.
    """

    def __init__(self, name: str, take: Callable[[_Piece], None]) -> None:
        self._name = name
        self._take = take
        self._first: list[_Piece] = []
        self._waiting: queue.Queue[_Piece | None] = queue.Queue(_WAITING)
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
            if not self._first:
                self._first.append(piece)
                return
            self._thread = threading.Thread(target=self._run, name=self._name)
            self._thread.start()
            self._waiting.put(self._first.pop())
        self._waiting.put(piece)

    def drain(self) -> None:
        """Wait until every piece was taken; further ones may follow.

        Raises:
            BaseException: what `take` raised.
        """
        self._join()
        while self._first:
            self._taken(self._first.pop())
        self._raise()

    def _join(self) -> None:
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()
            self._thread = None

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        while (piece := self._waiting.get()) is not None:
            if self._failure is None and not self._left:
                self._taken(piece)

    def _taken(self, piece: _Piece) -> None:
        began = time.perf_counter()
        try:
            self._take(piece)
        except BaseException as error:
            self._failure = error
        self.seconds += time.perf_counter() - began
