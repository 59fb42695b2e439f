"""The standard streams of containers: how fast they are, and how soon a reader has them."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Callable

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import firkin

from .conftest import FLOOD_GROUP, Firkin, Peer
from .peer import FLOOD, FLOOD_BYTES

READ_BYTES = 1 << 20
ROUNDS = 5
SHORT_ROUNDS = 3
LINE_ROUNDS = 100
SHORT_LINE_ROUNDS = 40


@pytest.mark.benchmark(group=FLOOD_GROUP)
def test_output(benchmark: BenchmarkFixture, runtime: Firkin, short: bool) -> None:
    """From the container's pipe through the agent and a unix socket to a reader in Python."""
    pod = runtime.run(runtime.spawned())
    numbers = itertools.count()

    async def read_to_the_end() -> None:
        container = await pod.add_container(runtime.container(f"c{next(numbers)}", *FLOOD))
        assert container.stdout is not None
        count = 0
        while data := await container.stdout.read(READ_BYTES):
            count += len(data)
        assert count == FLOOD_BYTES

    _measure_flood(benchmark, lambda: runtime.run(read_to_the_end()), short)
    runtime.run(pod.stop(0))


@pytest.mark.benchmark(group=FLOOD_GROUP)
def test_crun_output(benchmark: BenchmarkFixture, peer: Peer, short: bool) -> None:
    """The same program with its pipe in the reader's hand: nobody is in between."""
    rounds = SHORT_ROUNDS if short else ROUNDS
    benchmark.pedantic(lambda: peer.ask("flood"), setup=peer.settle, rounds=rounds, warmup_rounds=1)
    benchmark.extra_info["MB/s"] = _megabytes_per_second(benchmark)


@pytest.mark.benchmark(group=FLOOD_GROUP)
def test_plain_pipe(benchmark: BenchmarkFixture, short: bool) -> None:
    """The same program without a container."""

    def read_to_the_end() -> None:
        reader, writer = os.pipe()
        _flood_to_its_end(writer, reader)

    _measure_flood(benchmark, read_to_the_end, short)


@pytest.mark.benchmark(group=FLOOD_GROUP)
def test_plain_socket(benchmark: BenchmarkFixture, short: bool) -> None:
    """The same program without a container and without an agent, through a unix socket."""

    def read_to_the_end() -> None:
        reader, writer = socket.socketpair()
        _flood_to_its_end(writer.detach(), reader.detach())

    _measure_flood(benchmark, read_to_the_end, short)


def _flood_to_its_end(writer: int, reader: int) -> None:
    """Read what the program writes; owns both descriptors."""
    command = ["busybox", os.path.basename(FLOOD[0]), *FLOOD[1:]]
    try:
        with subprocess.Popen(command, stdout=writer, stderr=subprocess.DEVNULL):
            os.close(writer)
            count = 0
            while data := os.read(reader, READ_BYTES):
                count += len(data)
            assert count == FLOOD_BYTES
    finally:
        os.close(reader)


def _measure_flood(benchmark: BenchmarkFixture, flood: Callable[[], None], short: bool) -> None:
    benchmark.pedantic(flood, rounds=SHORT_ROUNDS if short else ROUNDS, warmup_rounds=1)
    benchmark.extra_info["MB/s"] = _megabytes_per_second(benchmark)


def _megabytes_per_second(benchmark: BenchmarkFixture) -> int:
    assert benchmark.stats is not None
    seconds: float = benchmark.stats.stats.median
    return round(FLOOD_BYTES / seconds / 1e6)


@pytest.mark.benchmark(group="a line, there and back")
def test_attach(benchmark: BenchmarkFixture, runtime: Firkin, short: bool) -> None:
    """Attaching to a running container's logged output, then a line into its input and out of its output again."""
    pod, container = _running_cat(runtime)

    rounds = SHORT_LINE_ROUNDS if short else LINE_ROUNDS
    benchmark.pedantic(
        lambda: runtime.run(_line_there_and_back(container, container.attach())), rounds=rounds, warmup_rounds=2
    )
    runtime.run(pod.stop(0))


@pytest.mark.benchmark(group="a line, there and back")
def test_line_of_one_that_is_attached(benchmark: BenchmarkFixture, runtime: Firkin, short: bool) -> None:
    """What of it is the line's own way."""
    pod, container = _running_cat(runtime)
    entries = container.attach()
    rounds = SHORT_LINE_ROUNDS if short else LINE_ROUNDS
    benchmark.pedantic(lambda: runtime.run(_line_there_and_back(container, entries)), rounds=rounds, warmup_rounds=2)
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
