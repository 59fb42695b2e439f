"""Running a further process in a container, beside `crun exec` and `podman exec`."""

from __future__ import annotations

import asyncio

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import firkin

from .conftest import Firkin, Peer

ROUNDS = 100
SHORT_ROUNDS = 40
PODMAN_ROUNDS = 20
ROUNDS_AT_ONCE = 5
SHORT_ROUNDS_AT_ONCE = 3
AT_ONCE = 100


async def _echoed(container: firkin.Container) -> None:
    async with await container.exec("/bin/echo", "x") as process:
        assert process.stdout is not None
        assert await process.stdout.read() == b"x\n"


@pytest.mark.benchmark(group="exec to the first byte")
def test_exec(benchmark: BenchmarkFixture, runtime: Firkin, short: bool) -> None:
    pod = runtime.run(runtime.spawned(runtime.container("main", "sleep", "100000")))
    rounds = SHORT_ROUNDS if short else ROUNDS
    benchmark.pedantic(lambda: runtime.run(_echoed(pod.container("main"))), rounds=rounds, warmup_rounds=2)
    runtime.run(pod.stop(0))


@pytest.mark.benchmark(group="exec to the first byte")
def test_crun_exec(benchmark: BenchmarkFixture, peer: Peer, short: bool) -> None:
    benchmark.pedantic(lambda: peer.ask("exec"), setup=peer.settle, rounds=SHORT_ROUNDS if short else ROUNDS)


@pytest.mark.benchmark(group="exec to the first byte")
def test_podman_exec(benchmark: BenchmarkFixture, peer: Peer) -> None:
    peer.require("podman sleeper")
    benchmark.pedantic(lambda: peer.ask("podman exec"), setup=peer.settle, rounds=PODMAN_ROUNDS)


@pytest.mark.benchmark(group="100 execs at once")
def test_100_execs(benchmark: BenchmarkFixture, runtime: Firkin, short: bool) -> None:
    pod = runtime.run(runtime.spawned(runtime.container("main", "sleep", "100000")))

    async def all_at_once() -> None:
        await asyncio.gather(*(_echoed(pod.container("main")) for _ in range(AT_ONCE)))

    rounds = SHORT_ROUNDS_AT_ONCE if short else ROUNDS_AT_ONCE
    benchmark.pedantic(lambda: runtime.run(all_at_once()), rounds=rounds, warmup_rounds=1)
    runtime.run(pod.stop(0))


@pytest.mark.benchmark(group="100 execs at once")
def test_crun_100_execs(benchmark: BenchmarkFixture, peer: Peer, short: bool) -> None:
    rounds = SHORT_ROUNDS_AT_ONCE if short else ROUNDS_AT_ONCE
    benchmark.pedantic(lambda: peer.ask("100 execs"), setup=peer.settle, rounds=rounds, warmup_rounds=1)
