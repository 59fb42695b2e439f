"""Signals that would end this process anywhere, put off to where it can act on them."""

from __future__ import annotations

import os
import select
import signal
import socket
from types import TracebackType
from typing import Self

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)


class PutOffSignals:
    """While it is entered, SIGINT, SIGTERM and SIGQUIT are counted; one that this process ignores stays ignored."""

    def __enter__(self) -> Self:
        self._reading, self._writing = os.pipe()
        # More signals than a pipe holds tell no more than one.
        os.set_blocking(self._writing, False)
        heard = [number for number in _NUMBERS if signal.getsignal(number) is not signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._note) for number in heard}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.restore()
        os.close(self._reading)
        os.close(self._writing)

    def restore(self) -> None:
        """Let signals do again what they did; a process that was forked meanwhile does it for itself."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: object) -> None:
        try:
            os.write(self._writing, bytes([number]))
        except BlockingIOError:
            return

    def came_before(self, connection: socket.socket) -> bool:
        """Wait for a signal or for something to read on a connection; True, once for each, when there is a signal."""
        readable, _, _ = select.select([connection.fileno(), self._reading], [], [])
        if self._reading not in readable:
            return False
        os.read(self._reading, 1)
        return True
