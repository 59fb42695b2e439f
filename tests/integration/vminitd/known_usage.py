"""A container that uses known amounts of everything, and what both services of its agent tell of it then."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from firkin.adapters.agent_grpc.statistics_messages import container_statistics, context_statistics
from firkin.domain.statistics import ContainerStatistics
from firkin.wire import agent_pb2 as wire
from firkin.wire import sandbox_context_pb2 as context

if TYPE_CHECKING:
    from firkin.wire.agent_pb2_grpc import AgentAsyncStub
    from firkin.wire.sandbox_context_pb2_grpc import SandboxContextAsyncStub

CONTAINER = "c"
MIB = 2**20
MEMORY_LIMIT = 96 * MIB
PROCESS_LIMIT = 30

_MICROSECONDS = 1_000_000
_HELD = 20 * MIB
_WRITTEN = 8 * MIB
# The kernel charges each processor in advance, has stacks for processes, and reads the pages of programs anew.
_KERNELS = 6 * MIB


class Workplace(Protocol):
    """A running container with the limits above, in which nothing runs but its init, `sleep`."""

    async def execute(self, script: str) -> int:
        """Run a script by `sh` in it; returns its exit code."""
        ...

    async def begin(self, script: str) -> None:
        """Start a script in it that goes on."""
        ...

    async def statistics(self) -> tuple[ContainerStatistics, ContainerStatistics]:
        """What both services tell."""
        ...


async def told(v1: AgentAsyncStub, other: SandboxContextAsyncStub) -> tuple[ContainerStatistics, ContainerStatistics]:
    """What both services of an agent tell of the container."""
    ids = [CONTAINER]
    (one,) = (await v1.ContainerStatistics(wire.ContainerStatisticsRequest(container_ids=ids))).containers
    (two,) = (await other.ContainerStatistics(context.ContainerStatisticsRequest(container_ids=ids))).containers
    return container_statistics(one), context_statistics(two, 0.0)


async def check_usage(place: Workplace, *, counts_limits: bool) -> None:
    """Use things one after another, each time looking at what rose, and by how much.

    Args:
        place: where.
        counts_limits: whether the kernel counts how often a limit was reached. Version 1 has a file for it, which
            some kernels leave at 0 (Linux 6.18).
    """
    for read in await place.statistics():
        assert (read.memory.limit_bytes, read.processes.limit) == (MEMORY_LIMIT, PROCESS_LIMIT)
        assert read.processes.current == 1
        assert read.memory_events.oom_kill == 0
    await _check_time(place)
    await _check_shortage(place, 1 if counts_limits else 0)
    await _check_processes(place)
    await _check_memory(place)
    await _check_writing(place)


async def _check_time(place: Workplace) -> None:
    """A process may use a second (setrlimit(2), RLIMIT_CPU), and does."""

    async def burn() -> None:
        # SIGXCPU, or the SIGKILL that follows.
        assert await place.execute("ulimit -t 1; while :; do :; done") in (128 + 24, 128 + 9)

    began = time.monotonic()
    around = await _around(place, burn)
    # The kernel watches the limit by ticks. On a busy machine what a virtual processor waits for counts as used, but
    # there is never more than there was.
    at_most = 2 * (time.monotonic() - began) * _MICROSECONDS
    for before, after in around:
        assert 500_000 <= _rise(before.cpu.usage_usec, after.cpu.usage_usec) <= at_most
        assert 400_000 <= _rise(before.cpu.user_usec, after.cpu.user_usec) <= at_most
        assert 0 <= _rise(before.cpu.system_usec, after.cpu.system_usec) <= at_most


async def _check_shortage(place: Workplace, at_least: int) -> None:
    async def eat() -> None:
        assert await place.execute("exec tail /dev/zero") == 128 + 9

    for before, after in await _around(place, eat):
        assert _rise(before.memory_events.oom_kill, after.memory_events.oom_kill) >= 1
        assert _rise(before.memory_events.max, after.memory_events.max) >= at_least
        assert _rise(before.memory.page_faults, after.memory.page_faults) >= 1


async def _check_memory(place: Workplace) -> None:
    async def fill() -> None:
        assert await place.execute(f"dd if=/dev/zero of=/dev/held bs=1M count={_HELD // MIB} 2>/dev/null") == 0

    async def hold() -> None:
        program = f'BEGIN {{ held = sprintf("%{_HELD}s", ""); system("echo > /dev/holds; sleep 999") }}'
        await place.begin(f"exec busybox awk '{program}'")
        assert await place.execute(_until("/dev/holds")) == 0

    for before, after in await _around(place, fill):
        assert _HELD - MIB <= _rise(before.memory.usage_bytes, after.memory.usage_bytes) <= _HELD + _KERNELS
        assert _HELD - MIB <= _rise(before.memory.cache_bytes, after.memory.cache_bytes) <= _HELD + _KERNELS
    for before, after in await _around(place, hold):
        # It may have made it of pieces.
        assert _HELD - MIB <= _rise(before.memory.anonymous_bytes, after.memory.anonymous_bytes) <= 3 * _HELD
        assert _HELD - MIB <= _rise(before.memory.usage_bytes, after.memory.usage_bytes) <= 3 * _HELD + _KERNELS
        assert after.memory.usage_bytes is not None
        assert after.memory.usage_bytes <= MEMORY_LIMIT


async def _check_processes(place: Workplace) -> None:
    async def fork() -> None:
        await place.begin("for _ in 1 2 3 4 5; do sleep 999 & done; echo > /dev/forked; wait")
        assert await place.execute(_until("/dev/forked")) == 0

    for before, after in await _around(place, fork):
        assert _rise(before.processes.current, after.processes.current) == 6


async def _check_writing(place: Workplace) -> None:
    async def write() -> None:
        # Past the cache: version 1 does not know whose is what the kernel writes back later.
        count = _WRITTEN // MIB
        assert await place.execute(f"dd if=/dev/zero of=/written bs=1M count={count} oflag=direct") == 0

    for before, after in await _around(place, write):
        earlier = {(one.major, one.minor): one for one in before.block_devices}
        rises = []
        for one in after.block_devices:
            was = earlier.get((one.major, one.minor))
            rises.append((one.write_bytes or 0) - (was.write_bytes or 0 if was else 0))
            assert (one.write_operations or 0) >= (was.write_operations or 0 if was else 0)
        assert any(_WRITTEN <= rise <= 2 * _WRITTEN for rise in rises), rises


async def _around(
    place: Workplace, work: Callable[[], Awaitable[None]]
) -> list[tuple[ContainerStatistics, ContainerStatistics]]:
    """What each service told before and after."""
    before = await place.statistics()
    await work()
    return list(zip(before, await place.statistics(), strict=True))


def _rise(before: int | None, after: int | None) -> int:
    assert before is not None
    assert after is not None
    return after - before


def _until(path: str) -> str:
    """A script that ends well once there is a file, and badly when there is none for a minute."""
    return f"i=0; while [ $((i += 1)) -lt 1200 ]; do [ -e {path} ] && exit 0; busybox usleep 50000; done; exit 1"
