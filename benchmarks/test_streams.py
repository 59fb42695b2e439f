"""The standard streams of containers: how fast they are, and how soon a reader has them."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
from collections.abc import AsyncIterator

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import firkin

from .conftest import Firkin, Peer
from .peer import FLOOD

BYTES = 1000 << 20
READ_BYTES = 1 << 20
ROUNDS = 5


@pytest.mark.benchmark(group="1000 MiB of standard output, to its last byte")
def test_output(benchmark: BenchmarkFixture, runtime: Firkin) -> None:
    """From the container's pipe through the agent and a unix socket to a reader in Python."""
    pod = runtime.run(runtime.spawned())
    numbers = itertools.count()

    async def read_to_the_end() -> None:
        container = await pod.add_container(runtime.container(f"c{next(numbers)}", *FLOOD))
        assert container.stdout is not None
        count = 0
        while data := await container.stdout.read(READ_BYTES):
            count += len(data)
        assert count == BYTES

    benchmark.pedantic(lambda: runtime.run(read_to_the_end()), rounds=ROUNDS, warmup_rounds=1)
    benchmark.extra_info["MB/s"] = _megabytes_per_second(benchmark)
    runtime.run(pod.stop(0))


@pytest.mark.benchmark(group="1000 MiB of standard output, to its last byte")
def test_crun_output(benchmark: BenchmarkFixture, peer: Peer) -> None:
    """The same program with its pipe in the reader's hand: nobody is in between."""
    benchmark.pedantic(lambda: peer.ask("flood"), setup=peer.settle, rounds=ROUNDS, warmup_rounds=1)
    benchmark.extra_info["MB/s"] = _megabytes_per_second(benchmark)


@pytest.mark.benchmark(group="1000 MiB of standard output, to its last byte")
def test_plain_pipe(benchmark: BenchmarkFixture) -> None:
    """The same program without a container."""

    def read_to_the_end() -> None:
        command = ["busybox", *FLOOD]
        command[1] = os.path.basename(command[1])
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0) as process:
            assert process.stdout is not None
            while os.read(process.stdout.fileno(), READ_BYTES):
                pass

    benchmark.pedantic(read_to_the_end, rounds=ROUNDS, warmup_rounds=1)
    benchmark.extra_info["MB/s"] = _megabytes_per_second(benchmark)


def _megabytes_per_second(benchmark: BenchmarkFixture) -> int:
    assert benchmark.stats is not None
    seconds: float = benchmark.stats.stats.median
    return round(BYTES / seconds / 1e6)


@pytest.mark.benchmark(group="a line, there and back")
def test_attach(benchmark: BenchmarkFixture, runtime: Firkin) -> None:
    """Attaching to a running container's logged output, then a line into its input and out of its output again."""
    pod, container = _running_cat(runtime)

    benchmark.pedantic(
        lambda: runtime.run(_line_there_and_back(container, container.attach())), rounds=100, warmup_rounds=2
    )
    runtime.run(pod.stop(0))


@pytest.mark.benchmark(group="a line, there and back")
def test_line_of_one_that_is_attached(benchmark: BenchmarkFixture, runtime: Firkin) -> None:
    """What of it is the line's own way."""
    pod, container = _running_cat(runtime)
    entries = container.attach()
    benchmark.pedantic(lambda: runtime.run(_line_there_and_back(container, entries)), rounds=100, warmup_rounds=2)
    runtime.run(pod.stop(0))


def _running_cat(runtime: Firkin) -> tuple[firkin.Pod, firkin.Container]:
    spec = runtime.container("main", "cat").stdin(firkin.Stdio.PIPED).stdout(firkin.Stdio.LOG)
    pod = runtime.run(runtime.spawned(spec))
    return pod, pod.container("main")


async def _line_there_and_back(container: firkin.Container, entries: AsyncIterator[firkin.LogEntry]) -> None:
    assert container.stdin is not None
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(_next(entries))
        # The reader is attached once it waits.
        await asyncio.sleep(0)
        await container.stdin.write(b"x\n")
    assert reading.result() == b"x\n"


async def _next(entries: AsyncIterator[firkin.LogEntry]) -> bytes:
    return (await anext(entries)).data
