"""A sample of the fault matrix for real, in a machine: what is killed, who never reads, and a clock that jumps."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import grpc.aio
import pytest

import firkin
from firkin.domain.events import Event, ProcessExited
from firkin.domain.lifecycle import ContainerPhase
from firkin.domain.process import ExitReason
from firkin.errors import StartFailed
from firkin.wire import sandbox_context_pb2 as wire
from firkin.wire.sandbox_context_pb2_grpc import SandboxContextStub

if TYPE_CHECKING:
    from firkin.wire.sandbox_context_pb2_grpc import SandboxContextAsyncStub
from tests.integration.pod.pods import shell

from .killed_runtime import STAGES, arm, has_met_its_end, runtime_that_can_be_killed
from .lent_machine import lent_runtime
from .machines import BOOT_SECONDS
from .shared_machine import SharedMachine

pytestmark = pytest.mark.real_time

_DAY_SECONDS = 86400


class Place:
    """A pod in the machine, with a container that runs, and its agent's service by which others reach the kernel."""

    def __init__(self, pod: firkin.Pod, bundle: firkin.ImageBundle, channel: grpc.aio.Channel) -> None:
        self.pod = pod
        self.bundle = bundle
        self._channel = channel
        self.kernel: SandboxContextAsyncStub = SandboxContextStub(channel)

    async def stop(self) -> firkin.StopReport:
        """Stop the pod, when nobody but the pod is connected with its agent any more."""
        await self._channel.close()
        return await self.pod.stop(0)

    async def works(self) -> None:
        """The pod takes a container, and tells its output."""
        await self.pod.add_container(shell("new", self.bundle, "echo works"))
        assert (await self.pod.wait_container("new")).stdout == b"works\n"
        await self.pod.remove_container("new")

    async def kill(self, guest_pid: int) -> bool:
        """Kill a process of the machine; False when there is none of this number."""
        try:
            await self.kernel.Kill(wire.KillRequest(pid=guest_pid, signal=signal.SIGKILL))
        except grpc.aio.AioRpcError:
            return False
        return True

    async def set_clock(self, seconds: float) -> None:
        """Set the machine's clock."""
        await self.kernel.SetTime(wire.SetTimeRequest(sec=int(seconds), usec=0))


@contextlib.asynccontextmanager
async def _place(directory: Path, machine: SharedMachine, image: str, script: str) -> AsyncIterator[Place]:
    async with asyncio.timeout(2 * BOOT_SECONDS), lent_runtime(machine, directory) as runtime:
        bundle = await runtime.images.resolve(image)
        spec = firkin.PodBuilder("pod-1").container(shell("old", bundle, script)).build()
        async with runtime.spawn(spec) as pod:
            address = f"unix:{pod.vm.socket_directory}/guest-1024.sock"
            async with grpc.aio.insecure_channel(address) as channel:
                yield Place(pod, bundle, channel)
            # What sleeps as the first process of its container hears no SIGTERM.
            await pod.stop(0)


async def test_a_killed_init_of_a_container_is_an_exit_like_any_other(
    tmp_path: Path, shared_machine: SharedMachine, busybox_image: str
) -> None:
    async with _place(tmp_path, shared_machine, busybox_image, "exec sleep 4321") as it:
        assert await it.kill(it.pod.container("old").pid)
        status = await it.pod.container("old").wait()
        assert (status.signal, status.reason) == (signal.SIGKILL, ExitReason.SIGNALED)
        assert it.pod.container("old").state is ContainerPhase.EXITED
        await it.pod.restart_container("old")
        await it.works()


@pytest.mark.parametrize("stage", STAGES)
async def test_a_killed_container_runtime_is_told_and_poisons_nothing(
    tmp_path: Path, shared_machine: SharedMachine, busybox_image: str, stage: str
) -> None:
    async with (
        _place(tmp_path, shared_machine, busybox_image, "exec sleep 4321") as it,
        runtime_that_can_be_killed(it.kernel),
    ):
        await arm(it.kernel, stage)
        with pytest.raises(StartFailed):
            await it.pod.add_container(shell("new", it.bundle, "exec sleep 4321"))
        assert await has_met_its_end(it.kernel)
        assert not it.pod.contains_container("new")
        await it.works()


async def test_a_reader_who_never_reads_holds_up_nobody_else(
    tmp_path: Path, shared_machine: SharedMachine, busybox_image: str
) -> None:
    async with _place(tmp_path, shared_machine, busybox_image, "yes") as it:
        await it.works()
        process = await it.pod.container("old").exec("echo", "here")
        assert (await process.wait_with_output()).stdout == b"here\n"
        assert (await it.stop()).containers[0].killed


async def test_no_deadline_and_no_event_depends_on_the_clock_that_is_set(
    tmp_path: Path, shared_machine: SharedMachine, busybox_image: str
) -> None:
    async with _place(tmp_path, shared_machine, busybox_image, "exec sleep 4321") as it, it.pod.events() as events:
        now = time.time()
        for jump in (-_DAY_SECONDS, 365 * _DAY_SECONDS, 0):
            stubborn = await it.pod.add_container(
                shell("stubborn", it.bundle, "trap '' TERM; echo up; exec sleep 4321")
            )
            assert stubborn.stdout is not None
            assert await stubborn.stdout.read_line() == b"up\n"
            stopping = asyncio.ensure_future(stubborn.stop(2))
            begun = time.monotonic()
            await it.set_clock(now + jump)
            assert (await stopping).signal == signal.SIGKILL
            assert 2 <= time.monotonic() - begun < BOOT_SECONDS
            await it.pod.remove_container("stubborn")
            await it.works()
        seen: list[Event] = []
        await it.stop()
        while (event := await events.next_event()) is not None:
            seen.append(event)
        lives = [event.lifetime_seconds for event in seen if isinstance(event, ProcessExited)]
        assert len(lives) >= 7
        assert all(0 <= life < 3 * BOOT_SECONDS for life in lives)
