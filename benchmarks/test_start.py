"""Starting containers, beside `crun run` and `podman run` on the same files."""

from __future__ import annotations

import itertools
import shutil

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from .conftest import Firkin, Peer

ROUNDS = 30


@pytest.mark.benchmark(group="warm start to the first byte")
def test_add_container(benchmark: BenchmarkFixture, runtime: Firkin) -> None:
    pod = runtime.run(runtime.spawned())
    numbers = itertools.count()

    async def settle() -> None:
        for container in pod.containers():
            await container.wait()
            await pod.remove_container(container.id)

    async def first_byte() -> None:
        container = await pod.add_container(runtime.container(f"c{next(numbers)}", "echo", "x"))
        assert container.stdout is not None
        assert await container.stdout.read() == b"x\n"

    benchmark.pedantic(lambda: runtime.run(first_byte()), setup=lambda: runtime.run(settle()), rounds=ROUNDS)
    runtime.run(pod.stop())


@pytest.mark.benchmark(group="warm start to the first byte")
def test_crun_run(benchmark: BenchmarkFixture, peer: Peer) -> None:
    benchmark.pedantic(lambda: peer.ask("run"), setup=peer.settle, rounds=ROUNDS)


@pytest.mark.benchmark(group="warm start to the first byte")
@pytest.mark.skipif(shutil.which("podman") is None, reason="podman is not installed")
def test_podman_run(benchmark: BenchmarkFixture, peer: Peer) -> None:
    benchmark.pedantic(lambda: peer.ask("podman run"), setup=peer.settle, rounds=10)


@pytest.mark.benchmark(group="exec to the first byte")
def test_exec(benchmark: BenchmarkFixture, runtime: Firkin) -> None:
    pod = runtime.run(runtime.spawned(runtime.container("main", "sleep", "100000")))

    async def first_byte() -> None:
        async with await pod.container("main").exec("/bin/echo", "x") as process:
            assert process.stdout is not None
            assert await process.stdout.read() == b"x\n"

    benchmark.pedantic(lambda: runtime.run(first_byte()), rounds=ROUNDS, warmup_rounds=2)
    runtime.run(pod.stop(0))


@pytest.mark.benchmark(group="exec to the first byte")
def test_crun_exec(benchmark: BenchmarkFixture, peer: Peer) -> None:
    benchmark.pedantic(lambda: peer.ask("exec"), setup=peer.settle, rounds=ROUNDS)
