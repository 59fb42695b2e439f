"""The agent's part in telling what happens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from firkin.domain.events import SandboxEvent


class AgentEvents(Protocol):
    """Telling what happens in the sandbox."""

    def events(self) -> AsyncIterator[SandboxEvent]:
        """What happens from now on, without end; the first one, `Subscribed`, says that nothing will be missed.

        A listener that does not keep up is told, by `EventsMissed`, how much it missed.

        Raises:
            UnsupportedFeature: at the first step: the agent tells no events.
            SandboxDied, AgentUnreachable: the sandbox ended, or its agent.
        """
        ...
