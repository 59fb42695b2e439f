"""Starting a process takes two calls in this service, and a failure between them must leave nothing."""

from __future__ import annotations

import time

from firkin.domain.errors.base import failing_in
from firkin.ports.agent_processes import ProcessLaunch, StartedProcess
from firkin.wire import sandbox_context_pb2 as wire

from .calls import SandboxContextCalls
from .strict_spec import completed_for_strict_agents


async def started_process(calls: SandboxContextCalls, launch: ProcessLaunch) -> StartedProcess:
    """Create a process, start it, and take the streams that the guest opened for it.

    The stages `create` and `start` are the two calls as the host sees them.
    After a start that failed the agent still knows the id, and would take the next one for an exec of it: so
    the process is deleted, whatever the failure was.
    """
    session, ref, runtime_spec = calls.session, launch.ref, launch.runtime_spec

    async def delete() -> None:
        await calls.delete_process(ref.container_id, ref.process_id, "delete process")

    with session.stdio_listeners(launch.stdio, with_tokens=False) as listeners:
        ports = {name: listener.port for name, listener in listeners.items()}
        create = wire.CreateProcessRequest(
            id=ref.process_id,
            containerID=ref.container_id,
            stdin=ports.get("stdin"),
            stdout=ports.get("stdout"),
            stderr=ports.get("stderr"),
            configuration=completed_for_strict_agents(runtime_spec) if calls.is_strict else runtime_spec,
        )
        begun = time.perf_counter()
        async with session.undoing(delete):
            with failing_in("create"):
                await session.answer(calls.stub.CreateProcess, create, "create process")
        created_at = time.perf_counter()
        async with session.undoing(delete, unless_refused=False):
            start = wire.StartProcessRequest(id=ref.process_id, containerID=ref.container_id)
            with failing_in("start"):
                started = await session.answer(calls.stub.StartProcess, start, "start process")
            started_at = time.perf_counter()
            connections = await session.connections(listeners, "start process")
            if launch.terminal is not None and calls.is_strict:
                # Agents other than firkin's do not know `consoleSize`.
                await calls.resize_process(ref, launch.terminal, "start process")
        streams = session.streams.attach(ref, launch.stdio, connections)
        return StartedProcess(
            started.pid, streams, started_at - created_at, listeners.seconds, create_seconds=created_at - begun
        )
