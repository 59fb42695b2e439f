"""A sample of the fault matrix for real: namespace sandboxes, real processes, real stores, real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import firkin
from firkin.adapters.agent_grpc import GrpcAgentConnector
from firkin.domain.image import ImageBundle
from firkin.domain.lifecycle import ContainerPhase, PodPhase
from firkin.domain.process import ExitReason
from firkin.errors import FirkinError, Outcome, PodNotRunning, SandboxDied, StartFailed, StoreFull
from firkin.ports.agent_connector import AgentConnector
from firkin.testkit.busybox_image import busybox_bundle
from firkin.testkit.faults import CutConnection, CuttingConnector, Fault, FaultKind, FaultScript
from firkin.testkit.host_leftovers import host_leftovers, processes_naming

pytestmark = pytest.mark.real_time

MIB = 2**20


class Place:
    """A runtime over namespace sandboxes, an image, and a look at what is left."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.bundle: ImageBundle = busybox_bundle(directory)
        self.oci_runtime = "crun"
        self.store = "directory"
        self.agents: AgentConnector = GrpcAgentConnector(deadline_seconds=20)

    @asynccontextmanager
    async def runtime(self) -> AsyncIterator[firkin.Runtime]:
        """Open it; afterwards nothing may be left."""
        config = firkin.RuntimeConfig(
            store=self.store,
            agents=self.agents,
            oci_runtime=self.oci_runtime,
            state_dir=self.directory / "state",
            runtime_dir=self.directory / "run",
        )
        async with asyncio.timeout(120), firkin.open_runtime(config) as runtime:
            yield runtime
        assert host_leftovers(self.directory) == []

    def shell(self, container_id: str, script: str) -> firkin.PodContainerSpec:
        """A container that runs a script."""
        spec = firkin.PodContainerSpec(container_id, firkin.RootfsSource.oci_bundle(self.bundle))
        return spec.command("sh", "-c", script).stop_grace(0).stdout(firkin.Stdio.PIPED).stderr(firkin.Stdio.PIPED)

    def pod(self, script: str = "exec sleep 4321") -> firkin.PodBuilder:
        """A pod with a volume and a container `old`."""
        volume = firkin.EmptyDirVolume.disk("work")
        return firkin.PodBuilder("pod-1").empty_dir(volume).container(self.shell("old", script))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


async def works(place: Place, pod: firkin.Pod) -> None:
    """The pod takes a container, and tells its output."""
    await pod.add_container(place.shell("new", "echo works"))
    assert (await pod.wait_container("new")).stdout == b"works\n"
    await pod.remove_container("new")


async def failure_of(work: Awaitable[object]) -> FirkinError | None:
    """How it failed, if it did."""
    try:
        await work
    except FirkinError as error:
        return error
    return None


async def killed(*arguments: str) -> None:
    """Kill every process whose command line has all of these in it, from outside, once there are any."""
    for _ in range(6000):
        pids = set.intersection(*(set(processes_naming(argument)) for argument in arguments))
        if pids:
            break
        await asyncio.sleep(0.01)
    assert pids, arguments
    for pid in pids:
        # The death of one may be that of another, which is reaped before it is its turn.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


async def test_a_killed_agent_fails_the_pod_and_its_id_can_be_spawned_again(place: Place) -> None:
    async with place.runtime() as runtime:
        pod = await runtime.spawn(place.pod().build())
        waiting = asyncio.ensure_future(pod.container("old").wait())
        await asyncio.sleep(0)
        await killed(str(pod.vm.socket_directory), "--init")
        with pytest.raises(SandboxDied):
            await waiting
        await pod.vm.wait_ended()
        with pytest.raises((SandboxDied, PodNotRunning)):
            await pod.add_container(place.shell("new", "true"))
        assert pod.state is PodPhase.FAILED
        await pod.stop()
        async with runtime.spawn(place.pod().build()) as again:
            await works(place, again)


@pytest.mark.parametrize("pause", ["0", "0.005", "0.02", "0.05"])
async def test_a_killed_container_runtime_is_told_and_poisons_nothing(place: Place, tmp_path: Path, pause: str) -> None:
    runtime_program, armed = tmp_path / "runtime", tmp_path / "armed"
    # However far it came with the container when it is killed.
    kill = f'crun "$@" & sleep {pause}; kill -9 $! 2>/dev/null; wait $!; exit'
    runtime_program.write_text(
        f'#!/bin/sh\ncase "$*" in *" run "*) rm {armed} 2>/dev/null && {{ {kill}; }} ;; esac\nexec crun "$@"\n'
    )
    runtime_program.chmod(0o755)
    place.oci_runtime = str(runtime_program)
    async with place.runtime() as runtime, runtime.spawn(place.pod().build()) as pod:
        armed.touch()
        failure = await failure_of(pod.add_container(place.shell("new", "exec sleep 4321")))
        assert failure is None or isinstance(failure, StartFailed), repr(failure)
        assert not armed.exists()
        if failure is None:
            await pod.remove_container("new", 0)
        await works(place, pod)


async def test_a_killed_init_of_a_container_is_an_exit_like_any_other(place: Place) -> None:
    async with place.runtime() as runtime, runtime.spawn(place.pod().build()) as pod:
        # The shell has become `sleep`: its line is that of the container's init alone.
        await killed("sleep\0004321")
        status = await pod.container("old").wait()
        assert (status.signal, status.reason) == (signal.SIGKILL, ExitReason.SIGNALED)
        assert pod.container("old").state is ContainerPhase.EXITED
        await pod.restart_container("old")
        assert pod.container("old").state is ContainerPhase.RUNNING
        await works(place, pod)


async def test_a_full_store_refuses_what_does_not_fit_and_works_on_when_there_is_space(place: Place) -> None:
    place.store = "ext4"
    fill = "dd if=/dev/zero of=/fill bs=65536 2>/dev/null; dd if=/dev/zero of=/rest bs=512 2>/dev/null; echo full"
    store = firkin.PodStoreSpec(size=firkin.Size.mib(64))
    builder = firkin.PodBuilder("pod-1", pod_store=store).empty_dir(firkin.EmptyDirVolume.disk("work"))
    async with place.runtime() as runtime, runtime.spawn(builder.container(place.shell("old", fill)).build()) as pod:
        assert (await pod.wait_container("old")).stdout == b"full\n"
        for size in (8 * MIB, 1 * MIB):
            with pytest.raises(StoreFull) as refused:
                await pod.write_empty_dir_file("work", "file", bytes(size))
            assert refused.value.outcome is Outcome.DID_NOT
        await pod.remove_container("old", 0)
        await pod.write_empty_dir_file("work", "file", bytes(8 * MIB))
        await works(place, pod)


async def test_a_reader_who_never_reads_holds_up_nobody_else(place: Place) -> None:
    async with place.runtime() as runtime:
        pod = await runtime.spawn(place.pod("yes").build())
        await works(place, pod)
        process = await pod.container("old").exec("echo", "here")
        assert (await process.wait_with_output()).stdout == b"here\n"
        report = await pod.stop(0)
        assert report.containers[0].killed


@pytest.mark.parametrize("seed", range(3))
async def test_a_connection_that_breaks_is_told_with_its_outcome_and_is_made_again(place: Place, seed: int) -> None:
    cut = CutConnection()
    place.agents = CuttingConnector(GrpcAgentConnector(deadline_seconds=10), cut)
    async with place.runtime() as runtime, runtime.spawn(place.pod().build()) as pod:
        cut.drop_at_byte = cut.passed_bytes + seed * 1500
        failure = await failure_of(pod.add_container(place.shell("new", "exec sleep 4321")))
        assert failure is None or failure.outcome is not None
        assert pod.contains_container("new") is (failure is None)
        assert cut.drops == 1
        if pod.contains_container("new"):
            await pod.remove_container("new", 0)
        await works(place, pod)


async def test_an_agent_that_freezes_is_given_up_at_the_deadline(place: Place) -> None:
    cut = CutConnection()
    # For every other call, on a machine that is busy, it has to be enough.
    place.agents = CuttingConnector(GrpcAgentConnector(deadline_seconds=10), cut)
    async with place.runtime() as runtime, runtime.spawn(place.pod().build()) as pod:
        cut.freeze_at_byte = cut.passed_bytes
        with pytest.raises(FirkinError) as raised:
            await pod.store_usage()
        assert raised.value.code == "deadline-exceeded"
        cut.thaw()
        await works(place, pod)


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        ("agent.start_container", Fault(FaultKind.DROP, after=True)),
        ("agent.start_container", Fault(FaultKind.LATE, seconds=0.1)),
        ("agent.start_container", Fault(FaultKind.DUPLICATE)),
        ("agent.start_container", Fault(FaultKind.DIE, after=True)),
        ("agent.remove_container", Fault(FaultKind.DROP)),
        ("agent.remove_container", Fault(FaultKind.DUPLICATE)),
        ("stdout.read", Fault(FaultKind.DROP, at_byte=2)),
    ],
    ids=str,
)
async def test_a_fault_of_the_script_does_to_real_adapters_what_it_does_in_memory(
    place: Place, call: str, fault: Fault
) -> None:
    script = FaultScript()
    place.agents = script.agents(place.agents)
    async with place.runtime() as runtime:
        pod = await runtime.spawn(place.pod().build())
        script.on(call, fault)
        try:
            await works(place, pod)
        except (FirkinError, AssertionError):
            script.clear()
        assert script.injected
        if pod.contains_container("new"):
            await pod.remove_container("new", 0)
        if fault.kind is not FaultKind.DIE:
            await works(place, pod)
        await pod.stop(0)
