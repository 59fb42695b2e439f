"""What the process of a supervisor does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple

from firkin.application.images import Images
from firkin.application.runtime import Runtime
from firkin.application.supervision import Supervision
from firkin.domain.errors import FirkinError
from firkin.domain.pod_spec import PodSpec
from firkin.domain.supervised_pod import PodRecord
from firkin.ports.pod_control import ControlServer
from firkin.ports.pod_registry import ClaimedPod, PodRegistry

from .detached import Starter, write_output_to


class SupervisorParts(NamedTuple):
    """What a supervisor is made of."""

    open_runtime: Callable[[], AbstractAsyncContextManager[Runtime]]
    registry: PodRegistry
    server: ControlServer


class SupervisorTask(NamedTuple):
    """What one is to do.

    Attributes:
        make: makes the pod's spec, with the runtime's images.
        source: what the pod is made from, to be told.
        is_removed_at_end: whether nothing is kept once the pod has ended.
    """

    make: Callable[[Images], Awaitable[PodSpec]]
    source: str
    is_removed_at_end: bool


def supervise(starter: Starter, parts: SupervisorParts, task: SupervisorTask) -> None:
    """Run a pod to its end; the starter is told once it runs.

    Raises:
        FirkinError: it did not come up, or did not end in order.
    """
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_supervise(starter, parts, task))


async def _supervise(starter: Starter, parts: SupervisorParts, task: SupervisorTask) -> None:
    with _given_up_by(starter):
        async with parts.open_runtime() as runtime:
            spec = await task.make(runtime.images)
            record = _record(spec, task)
            with parts.registry.claimed(record) as claimed:
                await _claimed(starter, parts.server, claimed, record, spec, runtime)


def _record(spec: PodSpec, task: SupervisorTask) -> PodRecord:
    return PodRecord(
        id=spec.id,
        source=task.source,
        created=time.time(),
        supervisor_pid=os.getpid(),
        restart_policy=spec.restart_policy,
        is_removed_at_end=task.is_removed_at_end,
    )


async def _claimed(
    starter: Starter,
    server: ControlServer,
    claimed: ClaimedPod,
    record: PodRecord,
    spec: PodSpec,
    runtime: Runtime,
) -> None:
    write_output_to(claimed.directory)

    def running() -> None:
        # Whatever was named relative to the command's directory has been found by now.
        os.chdir("/")
        starter.running(spec.id)

    supervision = Supervision(claimed, record, server, running)
    try:
        with _stopped_by_signals(supervision):
            await supervision.run(runtime, spec, starter.progressed)
    except asyncio.CancelledError:
        claimed.discard()
        raise
    except FirkinError:
        # Who is told needs no record; when the pod ran, or the command has gone, the record tells it.
        if starter.is_waiting or record.is_removed_at_end:
            claimed.discard()
        raise
    else:
        if record.is_removed_at_end:
            claimed.discard()


@contextlib.contextmanager
def _given_up_by(starter: Starter) -> Iterator[None]:
    """Cancel the block when the command asks for it; a command that just goes away changes nothing."""
    loop, task, descriptor = asyncio.get_running_loop(), asyncio.current_task(), starter.fileno()

    def readable() -> None:
        if starter.wants_to_give_up():
            loop.remove_reader(descriptor)
            if task is not None:
                task.cancel()
        else:
            starter.leave()

    loop.add_reader(descriptor, readable)

    def ignore() -> None:
        loop.remove_reader(descriptor)

    starter.on_leave = ignore
    try:
        yield
    finally:
        starter.on_leave = lambda: None
        loop.remove_reader(descriptor)


@contextlib.contextmanager
def _stopped_by_signals(supervision: Supervision) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, supervision.control.give_up)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
