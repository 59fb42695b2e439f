"""Ports of the host that lead to a pod's, over adapters in memory."""

from __future__ import annotations

import asyncio
import socket

import pytest

import firkin.sync
from firkin.adapters.memory import MemoryProcess
from firkin.application.port_forwarding import ForwardedPort
from firkin.domain.errors import HostPortUnavailable, InvalidPodSpec, PodNotRunning
from firkin.domain.pod_spec import PodBuilder

from .worlds import World

pytestmark = pytest.mark.real_time


async def _answers(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"hello")


async def _server(process: MemoryProcess) -> int:
    process.servers[80] = _answers
    await asyncio.sleep(3600)
    return 0


async def _heard(port: ForwardedPort) -> bytes:
    reader, writer = await asyncio.open_connection(port.host_address, port.host_port)
    try:
        return await reader.read()
    finally:
        writer.close()


async def test_a_pods_ports_are_forwarded_from_before_its_containers_until_its_end() -> None:
    world = World({"server": _server})
    spec = PodBuilder("pod-1").container(world.container("a", "server")).forward_port(80).build()
    async with world.runtime, world.runtime.spawn(spec) as pod:
        (port,) = pod.forwarded_ports()
        assert (port.container_port, port.host_address, await _heard(port)) == (80, "127.0.0.1", b"hello")
        await pod.stop()
        assert pod.forwarded_ports() == ()
        with pytest.raises(ConnectionError):
            await _heard(port)
        with pytest.raises(PodNotRunning):
            await pod.forward(80)
    passages = world.memory.faults.passed
    assert passages.index("agent.forward_port before") < passages.index("agent.start_container before")
    assert world.memory.leftovers() == []


async def test_a_port_is_forwarded_for_a_block_or_until_it_is_closed() -> None:
    world = World({"server": _server})
    async with world.runtime, world.runtime.spawn(world.pod(world.container("a", "server"))) as pod:
        async with pod.forward(80) as port:
            assert pod.forwarded_ports() == (port,)
            assert await _heard(port) == b"hello"
        kept = await pod.forward(80, port.host_port)
        assert await _heard(kept) == b"hello"
        await asyncio.gather(kept.aclose(), kept.aclose())
        assert pod.forwarded_ports() == ()
        with pytest.raises(InvalidPodSpec):
            await pod.forward(0)


async def test_a_port_that_cannot_be_had_fails_the_pod_and_leaves_nothing() -> None:
    world = World()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        spec = PodBuilder("pod-1").container(world.container("a")).forward_port(80).forward_port(81, number).build()
        async with world.runtime:
            with pytest.raises(HostPortUnavailable) as caught:
                await world.runtime.spawn(spec)
            assert (caught.value.port, caught.value.pod_id) == (number, "pod-1")
            assert "agent.start_container before" not in world.memory.faults.passed
    assert world.memory.leftovers() == []


def test_the_facade_for_threads_forwards_too() -> None:
    config = firkin.RuntimeConfig(vmm="memory", store="memory", images="memory", agents="memory")
    with (
        firkin.sync.open_runtime(config) as runtime,
        runtime.spawn(PodBuilder("pod-1").build()) as pod,
        pod.forward(80) as port,
        socket.create_connection((port.host_address, port.host_port), timeout=30) as peer,
    ):
        assert peer.recv(1) == b""
