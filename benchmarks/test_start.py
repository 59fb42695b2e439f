"""Starting containers, beside `crun run` and `podman run` on the same files."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import firkin
from tests.sandbox_network import agent_pid

from .conftest import Firkin, Peer
from .peer import write_same_config

ROUNDS = 30


@pytest.mark.benchmark(group="warm start to the first byte")
def test_add_container(benchmark: BenchmarkFixture, runtime: Firkin, peer: Peer) -> None:
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
def test_crun_run_of_the_same_document(benchmark: BenchmarkFixture, runtime: Firkin, peer: Peer) -> None:
    """The fair peer: the same seccomp filter, devices, limits, mounts and namespaces."""
    pod = runtime.run(runtime.spawned(runtime.container("c", "echo", "x")))
    runtime.run(pod.wait_container("c"))
    write_same_config(peer.bundle, _document_of(pod, "c"))
    runtime.run(pod.stop())
    benchmark.pedantic(lambda: peer.ask("run same"), setup=peer.settle, rounds=ROUNDS)


def _document_of(pod: firkin.Pod, container_id: str) -> dict[str, object]:
    """What the agent gave to its OCI runtime."""
    bundle = Path(f"/proc/{agent_pid(pod.vm.socket_directory)}/root/run/container/{container_id}")
    document: dict[str, object] = json.loads((bundle / "config.json").read_text())
    return document


@pytest.mark.benchmark(group="warm start to the first byte")
def test_crun_run_of_a_plain_document(benchmark: BenchmarkFixture, peer: Peer) -> None:
    """What umoci writes: no seccomp filter, no limits."""
    benchmark.pedantic(lambda: peer.ask("run"), setup=peer.settle, rounds=ROUNDS)


@pytest.mark.benchmark(group="warm start to the first byte")
def test_podman_run(benchmark: BenchmarkFixture, peer: Peer) -> None:
    peer.require("podman run")
    benchmark.pedantic(lambda: peer.ask("podman run"), setup=peer.settle, rounds=10)
