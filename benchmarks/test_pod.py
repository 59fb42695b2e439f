"""The life of a pod as a whole."""

from __future__ import annotations

import itertools
import subprocess
import sys

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import firkin

from .conftest import Firkin

ROUNDS = 15
OBEDIENT = "trap 'exit 0' TERM; echo ready; while :; do sleep 1000 & wait; done"


@pytest.mark.benchmark(group="pod spawn")
@pytest.mark.parametrize("containers", [0, 1, 3])
def test_spawn(benchmark: BenchmarkFixture, runtime: Firkin, containers: int) -> None:
    specs = [runtime.container(f"c{number}", "sleep", "100000") for number in range(containers)]
    pods: list[firkin.Pod] = []
    numbers = itertools.count()

    def stop_the_last() -> None:
        while pods:
            runtime.run(pods.pop().stop(0))

    def spawn() -> None:
        pods.append(runtime.run(runtime.spawned(*specs, pod_id=f"bench-{next(numbers)}")))

    benchmark.pedantic(spawn, setup=stop_the_last, rounds=ROUNDS)
    stop_the_last()


@pytest.mark.benchmark(group="pod stop")
def test_stop_of_an_empty_pod(benchmark: BenchmarkFixture, runtime: Firkin) -> None:
    pods: list[firkin.Pod] = []

    def spawn() -> None:
        pods.append(runtime.run(runtime.spawned()))

    benchmark.pedantic(lambda: runtime.run(pods.pop().stop()), setup=spawn, rounds=ROUNDS)


@pytest.mark.benchmark(group="container stop")
def test_stop_of_a_container_that_obeys(benchmark: BenchmarkFixture, runtime: Firkin) -> None:
    pod = runtime.run(runtime.spawned())
    numbers = itertools.count()
    running: list[firkin.Container] = []

    async def add() -> None:
        container = await pod.add_container(runtime.container(f"c{next(numbers)}", "sh", "-c", OBEDIENT))
        assert container.stdout is not None
        assert await container.stdout.read_line() == b"ready\n"
        running.append(container)

    benchmark.pedantic(lambda: runtime.run(running.pop().stop(10)), setup=lambda: runtime.run(add()), rounds=ROUNDS)
    runtime.run(pod.stop(0))


@pytest.mark.benchmark(group="container stop")
def test_remove_of_a_container_that_obeys(benchmark: BenchmarkFixture, runtime: Firkin) -> None:
    pod = runtime.run(runtime.spawned())
    numbers = itertools.count()
    running: list[firkin.Container] = []

    async def add() -> None:
        container = await pod.add_container(runtime.container(f"c{next(numbers)}", "sh", "-c", OBEDIENT))
        assert container.stdout is not None
        assert await container.stdout.read_line() == b"ready\n"
        running.append(container)

    benchmark.pedantic(
        lambda: runtime.run(pod.remove_container(running.pop().id)), setup=lambda: runtime.run(add()), rounds=ROUNDS
    )
    runtime.run(pod.stop(0))


@pytest.mark.benchmark(group="python start")
@pytest.mark.parametrize("statement", ["pass", "import msgspec", "import firkin", "import grpc"])
def test_import(benchmark: BenchmarkFixture, statement: str) -> None:
    benchmark.pedantic(
        lambda: subprocess.run([sys.executable, "-c", statement], check=True), rounds=ROUNDS, warmup_rounds=1
    )
