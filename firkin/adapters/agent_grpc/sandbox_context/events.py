"""Events over SandboxContext, which tells none."""

from __future__ import annotations

from collections.abc import AsyncIterator

from firkin.domain.errors import Outcome, UnsupportedFeature
from firkin.domain.events import SandboxEvent

from .calls import SandboxContextPart


class SandboxContextEvents(SandboxContextPart):
    """Telling what happens in the sandbox."""

    async def events(self) -> AsyncIterator[SandboxEvent]:
        """This service tells no events."""
        events: tuple[SandboxEvent, ...] = ()
        for event in events:
            yield event
        refused = UnsupportedFeature("telling events", "the guest agent speaks SandboxContext alone")
        raise refused.during("tell events", outcome=Outcome.DID_NOT)
