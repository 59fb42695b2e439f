"""Notices that a sandbox ended (or that its connection was closed), and ends whatever waits for it."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from firkin.domain.errors import AgentUnreachable, FirkinError, Outcome, SandboxDied
from firkin.domain.reports import SandboxExit
from firkin.ports.sandbox import Sandbox


class DeathWatch:
    """Turns the end of a sandbox into SandboxDied for everything that runs in `raced`.

    Attributes:
        is_closed: whether the connection was given up.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._exit: SandboxExit | None = None
        self.is_closed = False
        self._races: set[Race] = set()
        self._ended = asyncio.Event()

    async def watch(self) -> None:
        """Wait for the end, then cancel what is pending; runs beside everything else."""
        self._exit = await self._sandbox.wait_ended()
        self._ended.set()
        self._end_races()

    def close(self) -> None:
        """The connection is given up: what is pending, and what comes, raises AgentUnreachable."""
        self.is_closed = True
        self._end_races()

    def _end_races(self) -> None:
        for race in tuple(self._races):
            race.lose()

    def raced(self, operation: str, outcome: Outcome) -> Race:
        """Run a `with` body of the current task against the sandbox's death.

        `outcome` is what became of the operation if the sandbox dies while it is under way.

        Raises:
            SandboxDied: the sandbox had ended before, or it ended meanwhile.
            AgentUnreachable: the race was lost to an agent that is silent.
        """
        return Race(self, operation, outcome)

    async def confirmed_within(self, seconds: float) -> SandboxExit | None:
        """Tell how the sandbox ended, or None when it still runs after `seconds`.

        A dying sandbox takes its connections down first; its end is known a moment later.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._ended.wait()
        except TimeoutError:
            return None
        return self._exit

    def error(self, operation: str, outcome: Outcome) -> FirkinError | None:
        """What an operation on a sandbox that has ended raises; None while it runs."""
        if self._exit is not None:
            end = self._exit
            died = SandboxDied(end.reason, end.console_tail, end.phase, end.exit_status)
            return died.during(operation, outcome=outcome)
        if self.is_closed:
            return AgentUnreachable("its connection was closed").during(operation, outcome=outcome)
        return None

    def enter(self, race: Race) -> None:
        """Take part in the race."""
        self._races.add(race)

    def leave(self, race: Race) -> None:
        """Be through."""
        self._races.discard(race)


class Race:
    """One operation against the sandbox's death; the technique is that of asyncio.timeout."""

    def __init__(self, watch: DeathWatch, operation: str, outcome: Outcome) -> None:
        self._watch = watch
        self._operation = operation
        self._outcome = outcome
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._is_lost = False
        self._silence = ""

    def lose(self, silence: str = "") -> None:
        """Cancel the operation: the sandbox ended, or its agent is silent for the reason given."""
        if self._task is not None and not self._is_lost:
            self._is_lost = True
            self._silence = silence
            self._task.cancel()

    def __enter__(self) -> Self:
        error = self._watch.error(self._operation, Outcome.DID_NOT)
        if error is not None:
            raise error
        self._task = asyncio.current_task()
        if self._task is not None:
            self._cancelling = self._task.cancelling()
        self._watch.enter(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch.leave(self)
        task, self._task = self._task, None
        if not self._is_lost or task is None:
            return
        if task.uncancel() <= self._cancelling and isinstance(error, asyncio.CancelledError):
            failure = self._watch.error(self._operation, self._outcome)
            if failure is None and self._silence:
                failure = AgentUnreachable(self._silence).during(self._operation, outcome=self._outcome)
            if failure is not None:
                raise failure from error
