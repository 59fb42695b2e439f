"""Events over firkin.agent.v1."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from firkin.domain import events
from firkin.domain.process import ExitStatus
from firkin.domain.reports import AgentInfo
from firkin.wire import agent_pb2 as wire

from .errors import CallKind
from .features import EVENTS, require_feature
from .messages import exit_status
from .session import AgentSession

if TYPE_CHECKING:
    from firkin.wire.agent_pb2_grpc import AgentAsyncStub

_MICROSECONDS = 1_000_000


class FirkinAgentEvents:
    """Telling what happens in the sandbox."""

    _session: AgentSession
    _agent: AgentAsyncStub
    _info: AgentInfo

    async def events(self) -> AsyncIterator[events.SandboxEvent]:
        """What happens from now on; the first one, `Subscribed`, says that nothing will be missed."""
        require_feature(self._info, EVENTS, "telling events")
        kind = CallKind("tell events", None, changes=False)
        call = self._agent.Events(wire.EventsRequest())
        try:
            while True:
                # Only the wait is raced against the sandbox's death: what the listener does meanwhile is its own.
                async with self._session.guarded(kind):
                    message = await anext(aiter(call), None)
                if message is None:
                    return
                event = _event(message)
                if event is not None:
                    yield event
        finally:
            call.cancel()
            # The error that goes on, or the cancellation, holds this frame (see ReleasedCalls).
            del call


def _event(message: wire.Event) -> events.SandboxEvent | None:
    """The event of a message; None for one of a kind that a newer agent tells."""
    at = message.at_usec / _MICROSECONDS
    match message.WhichOneof("kind"):
        case "subscribed":
            return events.Subscribed(at)
        case "created":
            return events.ProcessCreated(at, message.created.container_id, message.created.process_id)
        case "started":
            started = message.started
            runtime_seconds = started.runtime_usec / _MICROSECONDS
            return events.ProcessStarted(at, started.container_id, started.process_id, started.pid, runtime_seconds)
        case "exited":
            exited = message.exited
            lifetime_seconds = exited.lifetime_usec / _MICROSECONDS
            return events.ProcessExited(at, exited.container_id, exited.process_id, _status(exited), lifetime_seconds)
        case "out_of_memory":
            return events.OutOfMemory(at, message.out_of_memory.container_id, message.out_of_memory.kills)
        case "stopping":
            return events.AgentStopping(at)
        case "missed":
            return events.EventsMissed(at, message.missed.count)
        case _:
            return None


def _status(exited: wire.ProcessExited) -> ExitStatus:
    signal = exited.signal if exited.HasField("signal") else None
    return exit_status(wire.WaitProcessResponse(code=exited.code, signal=signal, reason=exited.reason))
