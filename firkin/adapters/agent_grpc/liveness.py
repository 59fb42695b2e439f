"""Whether the agent still answers: asked only while a call waits for it, so that an idle sandbox stays idle."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from firkin.application.task_scope import TaskScope
from firkin.domain.errors import AgentUnreachable, Outcome

from .death_watch import Race
from .errors import CallKind

# Between two questions during a long call.
_QUIET_SECONDS = 5.0
# For an agent that has missed a deadline, before it is given the next call.
_SECOND_CHANCE_SECONDS = 2.0

Ask = Callable[[float], Awaitable[bool]]
"""Puts a question that costs nothing; True when the agent answers within so many seconds."""


class Liveness:
    """Ends long calls to an agent that has fallen silent, and keeps short those that come after a missed deadline.

    A frozen machine neither answers nor dies. Calls with the ordinary deadline end by that; longer ones would wait for
    minutes, and so would each step of tidying up.
    """

    def __init__(self, ask: Ask, scope: TaskScope, deadline_seconds: float) -> None:
        """`deadline_seconds` is what an answer may take."""
        self._ask = ask
        self._scope = scope
        self._deadline_seconds = deadline_seconds
        self._has_answered = False
        self._is_silent = False

    def heard(self) -> None:
        """The agent has answered."""
        self._has_answered = True
        self._is_silent = False

    def missed(self) -> None:
        """The agent has missed a deadline."""
        self._is_silent = self._has_answered

    async def expected(self, operation: str) -> None:
        """Ask an agent that has missed a deadline whether it answers again; others are not asked.

        Raises:
            AgentUnreachable: it does not.
        """
        if not self._is_silent:
            return
        if await self._ask(_SECOND_CHANCE_SECONDS):
            self.heard()
            return
        reason = f"it missed a deadline before, and has not answered since for {_SECOND_CHANCE_SECONDS:g} s"
        raise AgentUnreachable(reason).during(operation, outcome=Outcome.DID_NOT)

    @contextlib.asynccontextmanager
    async def watched(self, kind: CallKind, race: Race) -> AsyncIterator[None]:
        """Let the call of a body lose its race when the agent falls silent meanwhile, if it is a long one."""
        is_long = kind.deadline_seconds is not None and kind.deadline_seconds > self._deadline_seconds + _QUIET_SECONDS
        if not is_long or not self._has_answered:
            yield
            return
        asking = self._scope.start(self._asking(race), "ask whether the agent lives")
        try:
            yield
        finally:
            asking.cancel()
            await asyncio.wait([asking])

    async def _asking(self, race: Race) -> None:
        while True:
            await asyncio.sleep(_QUIET_SECONDS)
            if not await self._ask(self._deadline_seconds):
                self.missed()
                race.lose(f"it has answered nothing for {self._deadline_seconds:g} s")
                return
