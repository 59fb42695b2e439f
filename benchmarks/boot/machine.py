"""One boot of a machine, and what it costs to have it."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

import firkin
from firkin.adapters.agent_grpc import GrpcAgentConnector
from firkin.adapters.guest_image_host import HostGuestImages
from firkin.adapters.vmm_qemu import QemuSettings, QemuVmm
from firkin.adapters.vmm_qemu.sandbox import QemuSandbox
from firkin.config import ADMINISTRATION_PATH
from firkin.domain.ids import ContainerId, PodId
from firkin.domain.image import ImageBundle
from firkin.domain.layout import StoreLayout
from firkin.domain.lowering import container_runtime_spec, encoded
from firkin.domain.size import Size
from firkin.ports.agent import Agent
from firkin.ports.agent_containers import ContainerLaunch
from firkin.ports.sandbox import Sandbox
from firkin.testkit.launches import OUTPUT_PIPED
from tests.images.cache import cache_directory

from .cpu_time import cpu_seconds

SEARCH_PATH = f"{os.environ['PATH']}:{ADMINISTRATION_PATH}"
_IDLE_SECONDS = 5.0
_ROUND_TRIPS = 50


class BootResult(msgspec.Struct, frozen=True):
    """Seconds, unless a name says otherwise.

    Attributes:
        ready: from QEMU's start until the agent listens.
        answered: from QEMU's start until the agent has answered, over gRPC.
        ready_cpu: CPU time of QEMU until the agent has answered.
        first_byte: from the beginning of the spawn until the first container's output has come.
        round_trip: of one call to the agent, the median.
        idle_cpu: of QEMU and of firkin, for each second in which nothing happens.
        agent_memory_mib: what is resident of the agent, in the guest.
        phases: of the boot.
    """

    ready: float
    answered: float
    ready_cpu: float
    first_byte: float
    round_trip: float
    idle_cpu: float
    agent_memory_mib: float
    phases: Mapping[str, float]


def guest_images() -> HostGuestImages:
    """Those of the tests."""
    return HostGuestImages(cache_directory().parent / "guest", SEARCH_PATH)


async def booted(directory: Path, reference: str, memory: Size) -> BootResult:
    """Boot one machine, and run a container in it."""
    settings = QemuSettings(acceleration="tcg", cpus=1, memory=memory)
    connector = _Connector()
    config = firkin.RuntimeConfig(
        vmm=QemuVmm(directory / "run", guest_images(), SEARCH_PATH, settings),
        agents=connector,
        state_dir=directory / "state",
        runtime_dir=directory / "run",
    )
    async with firkin.open_runtime(config) as runtime:
        bundle = await runtime.images.resolve(reference)
        rootfs = firkin.RootfsSource.oci_bundle(bundle)
        echo = firkin.PodContainerSpec("echo", rootfs).command("echo", "x").stdout(firkin.Stdio.PIPED)
        begun = time.perf_counter()
        async with runtime.spawn(firkin.PodBuilder("bench").build()) as pod:
            assert isinstance(pod.vm, QemuSandbox)
            assert pod.boot_timing is not None
            container = await pod.add_container(echo)
            assert container.stdout is not None
            assert await container.stdout.read() == b"x\n"
            first_byte = time.perf_counter() - begun
            return BootResult(
                pod.boot_timing.seconds,
                connector.answered,
                connector.ready_cpu,
                first_byte,
                await _round_trip(pod),
                await _idle(pod.vm.qemu_pid),
                await _agent_memory(pod, bundle),
                pod.boot_timing.phases,
            )


class _Connector:
    """Keeps the port AgentConnector, and looks at the clock and the machine's CPU time when the agent has answered."""

    def __init__(self) -> None:
        self._own = GrpcAgentConnector()
        self.answered = 0.0
        self.ready_cpu = 0.0

    @asynccontextmanager
    async def connected(self, sandbox: Sandbox, timeout_seconds: float) -> AsyncIterator[Agent]:
        async with self._own.connected(sandbox, timeout_seconds) as agent:
            assert isinstance(sandbox, QemuSandbox)
            self.answered = time.monotonic() - sandbox._started
            self.ready_cpu = cpu_seconds(sandbox.qemu_pid)
            yield agent


async def _round_trip(pod: firkin.Pod) -> float:
    seconds = []
    for _ in range(_ROUND_TRIPS):
        begun = time.perf_counter()
        await pod.store_used_bytes()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


async def _idle(qemu_pid: int) -> float:
    await asyncio.sleep(1)
    before = cpu_seconds(qemu_pid) + cpu_seconds(os.getpid())
    await asyncio.sleep(_IDLE_SECONDS)
    return (cpu_seconds(qemu_pid) + cpu_seconds(os.getpid()) - before) / _IDLE_SECONDS


async def _agent_memory(pod: firkin.Pod, bundle: ImageBundle) -> float:
    """What the guest's kernel says of its first process to one of its process namespace."""
    rootfs = StoreLayout().template_rootfs(bundle.chain_id)
    spec = firkin.PodContainerSpec("look", firkin.RootfsSource.oci_bundle(bundle)).command("cat", "/proc/1/status")
    document = json.loads(encoded(container_runtime_spec(spec, bundle.config, rootfs, PodId("bench"))))
    document["root"]["readonly"] = True
    for namespace in document["linux"]["namespaces"]:
        if namespace["type"] == "pid":
            namespace["path"] = "/proc/1/ns/pid"
    launch = ContainerLaunch(ContainerId("look"), json.dumps(document).encode(), OUTPUT_PIPED)
    async with GrpcAgentConnector().connected(pod.vm, 30) as agent:
        started = await agent.start_container(launch)
        assert started.streams.stdout is not None
        said = b""
        while piece := await started.streams.stdout.read():
            said += piece
        await agent.remove_container(ContainerId("look"), None)
    resident = next(line for line in said.decode().splitlines() if line.startswith("VmRSS:"))
    return int(resident.split()[1]) / 1024
