"""The stream of events, in firkin.agent.v1."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping

from grpc.aio import ServicerContext

from firkin.domain import events
from firkin.wire import agent_pb2 as wire

from ..agent import GuestAgent
from ..cgroup_statistics.hierarchy import group_of
from ..processes import ProcessEnd
from .agent_messages import exit_message
from .errors import answering

_Context = ServicerContext[object, object]
_MICROSECONDS = 1_000_000
# The kernel tells of OOM kills in files of each version's own; looking twice a second serves both. And when a process
# ends: its container may be gone by the next look.
_LOOK_SECONDS = 0.5


class EventCalls:
    """Telling what happens."""

    _agent: GuestAgent

    async def Events(self, request: wire.EventsRequest, context: _Context) -> AsyncIterator[wire.Event]:
        async with answering(context, "tell events"):
            out_of_memory = _OutOfMemoryWatch()
            containers, run = self._agent.containers, self._agent.workers.run
            with self._agent.events.listening() as listener:
                # What was killed before is no event.
                await run(out_of_memory.look, containers.cgroups_paths())
                yield _message(events.Subscribed(time.time()))
                looked = time.monotonic()
                while True:
                    event = await listener.next(_LOOK_SECONDS)
                    if isinstance(event, events.ProcessExited):
                        ended = containers.cgroups_paths([event.container_id])
                        for killed in await run(out_of_memory.look_at, ended):
                            yield _message(killed)
                    if event is not None:
                        yield _message(event)
                    if time.monotonic() - looked >= _LOOK_SECONDS:
                        looked = time.monotonic()
                        for killed in await run(out_of_memory.look, containers.cgroups_paths()):
                            yield _message(killed)


class _OutOfMemoryWatch:
    """Looks for OOM kills since the last look."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def look(self, cgroups_paths: Mapping[str, str]) -> list[events.OutOfMemory]:
        """All containers, by id with their control groups, in which there were any."""
        found = self.look_at(cgroups_paths)
        self._seen = {name: count for name, count in self._seen.items() if name in cgroups_paths}
        return found

    def look_at(self, cgroups_paths: Mapping[str, str]) -> list[events.OutOfMemory]:
        """Those of some containers in which there were any."""
        kills = {name: group_of(path).memory_events().oom_kill or 0 for name, path in cgroups_paths.items()}
        # What a container of an id had before says nothing of another one of the same id.
        new = {name: count - min(self._seen.get(name, 0), count) for name, count in kills.items()}
        self._seen |= kills
        return [events.OutOfMemory(time.time(), name, count) for name, count in new.items() if count]


def _message(event: events.Event) -> wire.Event:
    message = wire.Event(at_usec=int(event.at_unix_seconds * _MICROSECONDS))
    match event:
        case events.Subscribed():
            message.subscribed.SetInParent()
        case events.ProcessCreated():
            message.created.container_id, message.created.process_id = event.container_id, event.process_id
        case events.ProcessStarted():
            message.started.CopyFrom(
                wire.ProcessStarted(
                    container_id=event.container_id,
                    process_id=event.process_id,
                    pid=event.pid,
                    runtime_usec=int(event.runtime_seconds * _MICROSECONDS),
                )
            )
        case events.ProcessExited():
            end = exit_message(ProcessEnd(event.status, 0, 0, event.at_unix_seconds))
            message.exited.CopyFrom(
                wire.ProcessExited(
                    container_id=event.container_id,
                    process_id=event.process_id,
                    code=end.code,
                    signal=event.status.signal,
                    reason=end.reason,
                    lifetime_usec=int(event.lifetime_seconds * _MICROSECONDS),
                )
            )
        case events.OutOfMemory():
            message.out_of_memory.container_id, message.out_of_memory.kills = event.container_id, event.kills
        case events.AgentStopping():
            message.stopping.SetInParent()
        case events.EventsMissed():
            message.missed.count = event.count
        case _:
            raise TypeError(f"{type(event).__name__} does not happen in a sandbox")
    return message
