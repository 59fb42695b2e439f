"""Ctrl-C, SIGTERM, SIGHUP and SIGQUIT: the first stops the pod within its grace period, the second kills it at once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

STARTING_SECONDS = 1.0
"""How long a pod that is being spawned has, after a signal, to have its containers running."""

Reaction = Callable[[], Awaitable[object]]


class Interrupted(Exception):
    """A signal ended the command before there was anything to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by signal {number}")
        self.exit_code = 128 + number


class Interruptions:
    """Turns signals into what is to be done about them.

    Until `guarded` is entered, a signal cancels the command, which undoes what it began: the second one at once, the
    first a moment later, since a container may run already that wants to be stopped properly. Inside `guarded`, the
    first signal stops and the second kills; after it, signals are ignored, so that nothing is left half removed.
    """

    def __init__(self, starting_seconds: float = STARTING_SECONDS) -> None:
        """`starting_seconds` is that moment; 0 for a command that starts no container."""
        self._starting_seconds = starting_seconds
        self._command: asyncio.Task[Any] | None = None
        self._signals = asyncio.Queue[int]()
        self._is_guarded = False
        self._cancelling: asyncio.TimerHandle | None = None
        self._number = 0

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run the command `work`.

        Raises:
            Interrupted: a signal came before `guarded` was entered.
        """
        loop = asyncio.get_running_loop()
        self._command = command = asyncio.current_task()
        # Under nohup(1) a hang-up is ignored, and stays so.
        numbers = [n for n in _SIGNALS if n != signal.SIGHUP or signal.getsignal(n) != signal.SIG_IGN]
        for number in numbers:
            loop.add_signal_handler(number, self._received, number)
        try:
            return await work
        except asyncio.CancelledError:
            if not self._number or command is None:
                raise
            command.uncancel()
            raise Interrupted(self._number) from None
        finally:
            if self._cancelling is not None:
                self._cancelling.cancel()
            for number in numbers:
                loop.remove_signal_handler(number)

    def request_stop(self) -> None:
        """Do what the next signal would."""
        self._received(signal.SIGTERM)

    def _received(self, number: int) -> None:
        self._signals.put_nowait(number)
        if self._is_guarded or self._command is None:
            return
        delay = 0.0 if self._number else self._starting_seconds
        self._number = self._number or number
        if self._cancelling is not None:
            self._cancelling.cancel()
        self._cancelling = asyncio.get_running_loop().call_later(delay, self._command.cancel)

    async def guarded(self, work: Awaitable[T], *, stop: Reaction, kill: Reaction) -> T:
        """Await `work`, which the two reactions make end."""
        self._is_guarded = True
        if self._cancelling is not None:
            self._cancelling.cancel()
        async with asyncio.TaskGroup() as group:
            reacting = group.create_task(_react(self._signals, group, stop, kill))
            try:
                return await work
            finally:
                reacting.cancel()


async def _react(signals: asyncio.Queue[int], group: asyncio.TaskGroup, stop: Reaction, kill: Reaction) -> None:
    await signals.get()
    stopping = group.create_task(_awaited(stop))
    await signals.get()
    await kill()
    await stopping


async def _awaited(reaction: Reaction) -> None:
    await reaction()
