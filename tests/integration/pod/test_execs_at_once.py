"""A hundred further processes in one container, all of them at the same time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import firkin
from firkin.application.container_exec import Process
from tests.machine_state import MachineState, settled_state

from .pods import real_runtime, shell

pytestmark = pytest.mark.real_time

_COUNT = 100
_SCRIPT = 'echo "$0 runs"; cat; echo "$0 ends" >&2; exit "$0"'
_DEADLINE_SECONDS = 300


async def test_a_hundred_execs_at_once_each_get_their_own_bytes_and_leave_nothing(
    tmp_path: Path, busybox_image: str
) -> None:
    async with real_runtime(tmp_path) as runtime, asyncio.timeout(_DEADLINE_SECONDS):
        bundle = await runtime.images.resolve(busybox_image)
        before = await settled_state()
        async with runtime.spawn(
            firkin.PodBuilder("pod-1").container(shell("main", bundle, "exec sleep 1000")).build()
        ) as pod:
            container = pod.container("main")
            alone = await _process_count(container)
            running = MachineState.now()
            processes = await asyncio.gather(*(_started(container, number) for number in range(_COUNT)))
            # None of them ends before its input does: they all run now.
            assert await _process_count(container) >= alone + _COUNT
            outputs = await asyncio.gather(*(_finished(process, n) for n, process in enumerate(processes)))
            assert outputs == [_expected(number) for number in range(_COUNT)]
            assert await _process_count(container) == alone
            assert MachineState.now().beyond(running) == {}
            report = await pod.stop(grace_seconds=0)
        assert report.clean, report
        assert MachineState.now().beyond(before) == {}


async def _started(container: firkin.Container, number: int) -> Process:
    """An exec that waits for the end of its input."""
    process = await container.exec("sh", "-c", _SCRIPT, str(number), stdin=firkin.Stdio.PIPED)
    assert process.stdout is not None
    assert await process.stdout.read_line() == f"{number} runs\n".encode()
    return process


async def _finished(process: Process, number: int) -> tuple[int | None, bytes, bytes]:
    assert process.stdin is not None
    await process.stdin.write(f"for {number}".encode())
    await process.stdin.aclose()
    output = await process.wait_with_output()
    return output.status.code, output.stdout, output.stderr


def _expected(number: int) -> tuple[int | None, bytes, bytes]:
    return number, f"for {number}".encode(), f"{number} ends\n".encode()


async def _process_count(container: firkin.Container) -> int:
    """How many there are in the container, with the one that counts them, and ones that nobody waited for."""
    process = await container.exec("sh", "-c", "set -- /proc/[0-9]*; echo $#")
    return int((await process.wait_with_output()).stdout)
