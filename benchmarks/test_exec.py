"""Running a further process in a container, beside `crun exec` and `podman exec`."""

from __future__ import annotations

import asyncio

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import firkin

from .conftest import Firkin, Peer

ROUNDS = 100
AT_ONCE = 100


async def _echoed(container: firkin.Container) -> None:
    async with await container.exec("/bin/echo", "x") as process:
        assert process.stdout is not None
        assert await process.stdout.read() == b"x\n"


@pytest.mark.benchmark(group="exec to the first byte")
def test_exec(benchmark: BenchmarkFixture, runtime: Firkin) -> None:
    pod = runtime.run(runtime.spawned(runtime.container("main", "sleep", "100000")))
    benchmark.pedantic(lambda: runtime.run(_echoed(pod.container("main"))), rounds=ROUNDS, warmup_rounds=2)
    runtime.run(pod.stop(0))


@pytest.mark.benchmark(group="exec to the first byte")
def test_crun_exec(benchmark: BenchmarkFixture, peer: Peer) -> None:
    benchmark.pedantic(lambda: peer.ask("exec"), setup=peer.settle, rounds=ROUNDS)


@pytest.mark.benchmark(group="exec to the first byte")
def test_podman_exec(benchmark: BenchmarkFixture, peer: Peer) -> None:
    peer.require("podman sleeper")
    benchmark.pedantic(lambda: peer.ask("podman exec"), setup=peer.settle, rounds=10)


@pytest.mark.benchmark(group="100 execs at once")
def test_100_execs(benchmark: BenchmarkFixture, runtime: Firkin) -> None:
    pod = runtime.run(runtime.spawned(runtime.container("main", "sleep", "100000")))

    async def all_at_once() -> None:
        await asyncio.gather(*(_echoed(pod.container("main")) for _ in range(AT_ONCE)))

    benchmark.pedantic(lambda: runtime.run(all_at_once()), rounds=5, warmup_rounds=1)
    runtime.run(pod.stop(0))


@pytest.mark.benchmark(group="100 execs at once")
def test_crun_100_execs(benchmark: BenchmarkFixture, peer: Peer) -> None:
    benchmark.pedantic(lambda: peer.ask("100 execs"), setup=peer.settle, rounds=5, warmup_rounds=1)
