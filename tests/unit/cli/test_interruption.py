from __future__ import annotations

import asyncio
import os
import signal

import pytest

from firkin.adapters.cli.interruption import Interrupted, Interruptions


class _Workload:
    """Ends when it is stopped, or only when it is killed."""

    def __init__(self, *, heeds_stop: bool) -> None:
        self.heeds_stop = heeds_stop
        self.ended = asyncio.Event()
        self.stops = 0

    async def wait(self) -> str:
        await self.ended.wait()
        return "killed" if not self.heeds_stop else "stopped"

    async def stop(self) -> None:
        self.stops += 1
        if self.heeds_stop:
            self.ended.set()
        else:
            os.kill(os.getpid(), signal.SIGINT)
        await self.ended.wait()

    async def kill(self) -> None:
        self.ended.set()


async def _interrupted(workload: _Workload, interruptions: Interruptions, number: int) -> str:
    asyncio.get_running_loop().call_soon(os.kill, os.getpid(), number)
    return await interruptions.guarded(workload.wait(), stop=workload.stop, kill=workload.kill)


@pytest.mark.real_time
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_first_signal_stops(number: int) -> None:
    workload, interruptions = _Workload(heeds_stop=True), Interruptions()
    assert await interruptions.run(_interrupted(workload, interruptions, number)) == "stopped"
    assert workload.stops == 1


@pytest.mark.real_time
async def test_the_second_signal_kills_at_once() -> None:
    workload, interruptions = _Workload(heeds_stop=False), Interruptions()
    assert await interruptions.run(_interrupted(workload, interruptions, signal.SIGINT)) == "killed"


@pytest.mark.real_time
async def test_the_second_signal_before_there_is_a_pod_cancels_what_was_begun() -> None:
    undone = asyncio.Event()

    async def boot() -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0)
        try:
            await asyncio.Event().wait()
        finally:
            undone.set()

    with pytest.raises(Interrupted) as caught:
        await Interruptions().run(boot())
    assert caught.value.exit_code == 128 + signal.SIGTERM
    assert undone.is_set()


@pytest.mark.real_time
async def test_without_a_signal_the_result_passes() -> None:
    workload, interruptions = _Workload(heeds_stop=True), Interruptions()
    workload.ended.set()
    waiting = interruptions.guarded(workload.wait(), stop=workload.stop, kill=workload.kill)
    assert await interruptions.run(waiting) == "stopped"
    assert workload.stops == 0


@pytest.mark.real_time
async def test_a_signal_that_comes_while_the_containers_start_stops_them() -> None:
    workload, interruptions = _Workload(heeds_stop=True), Interruptions()

    async def boot_and_wait() -> str:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(0.01)
        return await interruptions.guarded(workload.wait(), stop=workload.stop, kill=workload.kill)

    assert await interruptions.run(boot_and_wait()) == "stopped"
    assert workload.stops == 1
