"""What a pod does, over adapters in memory."""

from __future__ import annotations

import asyncio
import signal as signals

import pytest

from firkin.adapters.memory import MemoryAgent, MemoryProcess
from firkin.domain.errors import (
    CommandNotFound,
    ContainerExists,
    ContainerNotFound,
    ContainerNotPending,
    ContainerNotRunning,
    IllegalTransition,
    InvalidPodSpec,
    InvalidRelativePath,
    OutputLimitExceeded,
    PodExists,
    PodNotRunning,
    RuntimeClosed,
    SandboxDied,
    StoreFull,
    VolumeFull,
    VolumeNotFound,
)
from firkin.domain.lifecycle import ContainerPhase, PodPhase
from firkin.domain.pod_spec import PodBuilder
from firkin.domain.process import ExitStatus, Output, Stdio
from firkin.domain.volumes import EmptyDirVolume
from firkin.testkit.supervised_pods import until

from .worlds import World


async def test_a_pod_runs_its_containers_and_leaves_nothing() -> None:
    world = World()
    spec = world.pod(world.container("a", "echo", "hello"), world.container("b", "exit", "3"))
    async with world.runtime, world.runtime.spawn(spec) as pod:
        assert pod.state == "running"
        assert [container.id for container in pod.containers()] == ["a", "b"]
        assert await pod.wait_container("a") == Output(ExitStatus(0), b"hello\n")
        assert (await pod.wait_container("b")).status.code == 3
        assert pod.template_cache_entries() == 1
    assert pod.state is PodPhase.STOPPED
    assert world.memory.leftovers() == []


async def test_a_pod_can_be_awaited_and_stopped_by_hand() -> None:
    world = World()
    pod = await world.runtime.spawn(world.pod(world.container("a")))
    report = await pod.stop()
    assert report.clean
    assert [(one.container_id, one.killed) for one in report.containers] == [("a", False)]
    assert report.containers[0].status == ExitStatus.from_signal(signals.SIGTERM)
    assert await pod.stop() is report
    assert world.memory.leftovers() == []


async def test_a_runtime_that_was_left_spawns_nothing_that_nobody_would_stop() -> None:
    world = World()
    async with world.runtime as runtime:
        pass
    with pytest.raises(RuntimeClosed):
        await runtime.spawn(world.pod())
    async with world.runtime, runtime.spawn(world.pod()) as pod:
        assert pod.id == "pod-1"
    assert world.memory.leftovers() == []


async def test_leaving_the_runtime_stops_the_pods_that_are_left() -> None:
    world = World()
    async with world.runtime:
        pod = await world.runtime.spawn(world.pod(world.container("a")))
    assert pod.state is PodPhase.STOPPED
    assert world.memory.leftovers() == []


async def test_an_invalid_spec_boots_nothing() -> None:
    world = World()
    spec = world.pod()
    broken = type(spec)(spec.id, containers=(world.container("a"), world.container("a")))
    with pytest.raises(InvalidPodSpec):
        await world.runtime.spawn(broken)
    assert world.memory.faults.passed == []


async def test_a_second_pod_of_the_same_id_is_refused_while_the_first_one_lives() -> None:
    world = World()
    async with world.runtime as runtime:
        async with runtime.spawn(world.pod()):
            with pytest.raises(PodExists):
                await runtime.spawn(world.pod())
        async with runtime.spawn(world.pod()):
            pass


async def test_a_failed_initial_container_ends_the_whole_pod() -> None:
    world = World()
    with pytest.raises(CommandNotFound) as caught:
        await world.runtime.spawn(world.pod(world.container("a"), world.container("b", "nonsense")))
    assert (caught.value.pod_id, caught.value.container_id) == ("pod-1", "b")
    assert caught.value.operation == "start pod container"
    assert world.memory.leftovers() == []


async def test_containers_are_added_and_removed_while_the_pod_runs() -> None:
    world = World()
    async with world.runtime.spawn(world.pod()) as pod:
        container = await pod.add_container(world.container("late"))
        assert pod.contains_container("late")
        assert container.state == "running"
        assert await pod.remove_container("late") == ExitStatus.from_signal(signals.SIGTERM)
        assert not pod.contains_container("late")
        assert container.state is ContainerPhase.REMOVED
        await pod.add_container(world.container("late", "true"))


async def test_an_id_is_taken_from_the_beginning_of_an_add() -> None:
    world = World()
    async with world.runtime.spawn(world.pod()) as pod, pod.begin_container_add(world.container("a")) as pending:
        with pytest.raises(ContainerExists):
            await pod.add_container(world.container("a"))
        assert not pod.contains_container("a")
        prepared = await pending.prepare()
        started = await prepared.start()
        assert started.id == "a"
        assert started.startup_timing.total_seconds >= 0
        container = await pod.commit_container_add(started)
        assert container.id == "a"


async def test_leaving_an_add_without_a_commit_undoes_it() -> None:
    world = World()
    async with world.runtime.spawn(world.pod()) as pod:
        async with pod.begin_container_add(world.container("a")) as pending:
            started = await (await pending.prepare()).start()
        assert not pod.contains_container("a")
        with pytest.raises(ContainerNotPending):
            pod.commit_container_add(started)
        await pod.add_container(world.container("a", "true"))


async def test_an_aborted_add_frees_its_id_and_cannot_be_committed() -> None:
    world = World()
    async with world.runtime.spawn(world.pod()) as pod:
        pending = await pod.begin_container_add(world.container("a"))
        started = await pending.start()
        pod.abort_container_add("a")
        with pytest.raises(ContainerNotPending):
            pod.commit_container_add(started)
        # The new add waits for the undoing of the old one by itself.
        await pod.add_container(world.container("a", "true"))
        with pytest.raises(ContainerNotPending):
            pod.abort_container_add("a")
        await pod.abort_container_add("unknown")


async def test_a_started_container_of_another_pod_cannot_be_committed() -> None:
    world = World()
    async with (
        world.runtime.spawn(world.pod(pod_id="one")) as one,
        world.runtime.spawn(world.pod(pod_id="two")) as two,
        one.begin_container_add(world.container("a")) as pending,
    ):
        started = await pending.start()
        with pytest.raises(ContainerNotPending):
            two.commit_container_add(started)
        one.commit_container_add(started)
        assert one.contains_container("a")


async def test_a_failed_start_leaves_the_id_usable() -> None:
    world = World()
    async with world.runtime.spawn(world.pod()) as pod:
        with pytest.raises(CommandNotFound):
            await pod.add_container(world.container("a", "nonsense"))
        world.memory.faults.fail("agent.start_container", StoreFull("/x"), after=True)
        with pytest.raises(StoreFull):
            await pod.add_container(world.container("a", "true"))
        await pod.add_container(world.container("a", "true"))


async def test_many_waiters_share_one_output() -> None:
    world = World()
    async with world.runtime.spawn(world.pod(world.container("a", "echo", "once"))) as pod:
        detached = pod.detach_container_for_wait("a")
        outputs = await asyncio.gather(
            pod.wait_container("a"), detached.wait_with_output(), pod.container("a").wait_with_output()
        )
        assert {output.stdout for output in outputs} == {b"once\n"}
        assert pod.contains_container("a")
        assert await detached.wait() == ExitStatus(0)


async def test_a_cancelled_waiter_leaves_the_other_waiters_alone() -> None:
    world = World()
    async with world.runtime.spawn(world.pod(world.container("a", "sleep", "100"))) as pod:
        async with asyncio.TaskGroup() as group:
            cancelled = group.create_task(pod.wait_container("a"))
            patient = group.create_task(pod.wait_container("a"))
            await asyncio.sleep(1)
            cancelled.cancel()
        assert patient.result().status.success


async def test_a_container_can_be_killed_while_it_is_waited_for() -> None:
    world = World()
    async with world.runtime.spawn(world.pod(world.container("a"))) as pod:
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(pod.wait_container("a"))
            await asyncio.sleep(1)
            await pod.container("a").kill(signals.SIGKILL)
        assert waiting.result().status == ExitStatus.from_signal(signals.SIGKILL)


async def test_stop_races_the_exit_against_the_grace() -> None:
    world = World()
    loop = asyncio.get_running_loop()
    async with world.runtime.spawn(world.pod(world.container("obedient"))) as pod:
        begun = loop.time()
        await pod.container("obedient").stop(grace_seconds=3600)
        assert loop.time() - begun < 1


async def test_all_containers_share_the_time_of_one_grace() -> None:
    world = World()
    loop = asyncio.get_running_loop()
    containers = [world.container(f"s{number}", "stubborn").stop_grace(10) for number in range(8)]
    pod = await world.runtime.spawn(world.pod(*containers))
    await asyncio.sleep(1)
    begun = loop.time()
    report = await pod.stop()
    assert 10 <= loop.time() - begun < 11
    assert all(one.killed and one.status == ExitStatus.from_signal(9) for one in report.containers)
    assert report.clean


async def test_a_stopped_container_can_be_started_again() -> None:
    world = World()
    async with world.runtime.spawn(world.pod(world.container("a", "echo", "again"))) as pod:
        container = pod.container("a")
        assert (await container.wait_with_output()).stdout == b"again\n"
        await container.restart()
        assert (await container.wait_with_output()).stdout == b"again\n"
        await container.wait()
        world.memory.faults.fail("agent.start_container", StoreFull("/x"))
        with pytest.raises(StoreFull):
            await container.restart()
        assert container.state is ContainerPhase.EXITED
        await pod.restart_container("a")


async def test_a_running_container_cannot_be_started_again() -> None:
    world = World()
    async with world.runtime.spawn(world.pod(world.container("a"))) as pod:
        with pytest.raises(IllegalTransition):
            await pod.restart_container("a")


async def test_an_exec_inherits_the_environment_of_its_container() -> None:
    world = World()
    spec = world.container("a").env("WHO", "container").env("KEPT", "yes")
    async with world.runtime.spawn(world.pod(spec)) as pod:
        process = await pod.container("a").exec("env", env={"WHO": "exec"})
        lines = (await process.wait_with_output()).stdout.decode().splitlines()
        assert {"WHO=exec", "KEPT=yes"} <= set(lines)


async def test_an_exec_takes_bytes_and_gives_them_back() -> None:
    world = World()
    data = bytes(range(256)) * 4096
    async with world.runtime.spawn(world.pod(world.container("a"))) as pod:
        async with await pod.container("a").exec("cat", stdin=Stdio.PIPED) as process, asyncio.TaskGroup() as group:
            assert process.stdin is not None
            group.create_task(_feed(process.stdin.write, process.stdin.aclose, data))
            output = await process.wait_with_output()
        assert output.stdout == data


async def _feed(write: object, close: object, data: bytes) -> None:
    assert callable(write)
    assert callable(close)
    await write(data)
    await close()


async def test_an_exec_in_an_ended_container_is_refused() -> None:
    world = World()
    async with world.runtime.spawn(world.pod(world.container("a", "true"))) as pod:
        await pod.wait_container("a")
        with pytest.raises(ContainerNotRunning):
            await pod.container("a").exec("true")


async def test_a_flood_of_output_does_not_hold_the_pod_up() -> None:
    async def flood(process: MemoryProcess) -> int:
        assert process.stdout is not None
        for _ in range(64):
            await process.stdout.write(b"x" * 65536)
        return 0

    world = World({"flood": flood})
    async with world.runtime.spawn(world.pod(world.container("a", "flood"), world.container("b", "true"))) as pod:
        assert (await pod.wait_container("b")).status.success
        with pytest.raises(OutputLimitExceeded):
            await pod.wait_container("a", limit_bytes=1000)
        assert (await pod.container("a").wait()).success


async def test_an_exec_that_was_detached_outlives_its_block_and_is_forgotten_at_its_end() -> None:
    has_begun, may_flood = asyncio.Event(), asyncio.Event()

    async def flood(process: MemoryProcess) -> int:
        assert process.stdout is not None
        has_begun.set()
        await may_flood.wait()
        for _ in range(64):
            await process.stdout.write(b"x" * 65536)
        return 0

    world = World({"flood": flood})
    async with world.runtime.spawn(world.pod(world.container("a"))) as pod:
        async with await pod.container("a").exec("flood") as process:
            await has_begun.wait()
            await process.detach()
            await process.detach()
        assert len(await pod.container("a").processes()) == 2
        may_flood.set()
        assert (await process.wait()).success
        await until(lambda: not process._record.execs)
        assert len(await pod.container("a").processes()) == 1


async def test_files_are_written_into_an_empty_dir() -> None:
    world = World()
    async with world.runtime.spawn(world.pod()) as pod:
        path = await pod.write_empty_dir_file("work", "requests/slot-1", b"data")
        assert path == "/run/firkin/pod-store/pods/pod-1/emptydir/work/requests/slot-1"
        agent = pod._pod.agent
        assert isinstance(agent, MemoryAgent)
        assert agent.file(path) == b"data"
        with pytest.raises(VolumeNotFound):
            pod.begin_empty_dir_file_write("other", "x")
        with pytest.raises(InvalidRelativePath):
            pod.begin_empty_dir_file_write("work", "../x")


async def test_a_volume_that_is_full_is_told_with_its_limit() -> None:
    world = World()
    spec = PodBuilder("pod-1").empty_dir(EmptyDirVolume.disk("work", 2**20)).empty_dir(EmptyDirVolume.disk("other"))
    async with world.runtime.spawn(spec.build()) as pod:
        await pod.write_empty_dir_file("work", "file", bytes(2**19))
        assert (await pod.empty_dir_usage("work")).used_bytes == 2**19
        with pytest.raises(VolumeFull) as full:
            await pod.write_empty_dir_file("work", "more", bytes(2**20))
        assert (full.value.volume, full.value.size_limit, full.value.pod_id) == ("work", 2**20, "pod-1")
        await pod.write_empty_dir_file("other", "more", bytes(2**20))
        with pytest.raises(VolumeNotFound):
            await pod.empty_dir_usage("third")


async def test_templates_are_shared_by_the_pods_of_a_store() -> None:
    world = World()
    async with (
        world.runtime,
        world.runtime.spawn(world.pod(world.container("a"), pod_id="one")),
        world.runtime.spawn(world.pod(world.container("a"), pod_id="two")),
    ):
        pass
    assert world.memory.faults.passed.count("agent.commit_template after") == 1


async def test_the_death_of_the_sandbox_reaches_every_waiter() -> None:
    world = World()
    pod = await world.runtime.spawn(world.pod(world.container("a")))
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(_died(pod.wait_container("a")))
        await asyncio.sleep(1)
        (sandbox,) = world.memory.sandboxes.values()
        await sandbox.die("killed from outside")
        await waiting
    assert pod.state is PodPhase.FAILED
    with pytest.raises(SandboxDied, match="killed from outside"):
        await pod.add_container(world.container("b"))
    report = await pod.stop()
    assert not report.clean
    assert world.memory.leftovers() == []


async def _died(waiting: object) -> None:
    assert asyncio.iscoroutine(waiting)
    with pytest.raises(SandboxDied, match="killed from outside"):
        await waiting


async def test_a_stopped_pod_takes_no_more_containers() -> None:
    world = World()
    pod = await world.runtime.spawn(world.pod())
    pending = await pod.begin_container_add(world.container("a"))
    await pod.stop()
    with pytest.raises(ContainerNotPending):
        await pending.start()
    with pytest.raises(PodNotRunning):
        await pod.add_container(world.container("b"))
    with pytest.raises(ContainerNotFound):
        pod.container("a")
    with pytest.raises(PodNotRunning):
        await pod.store_used_bytes()
    assert world.memory.leftovers() == []


async def test_a_container_that_the_agent_lost_can_still_be_removed() -> None:
    world = World()
    async with world.runtime.spawn(world.pod(world.container("a"))) as pod:
        world.memory.faults.fail("agent.kill_process", StoreFull("/x"))
        assert await pod.remove_container("a") == ExitStatus.from_signal(9)
        assert not pod.contains_container("a")


async def test_store_figures_are_those_of_the_agent() -> None:
    world = World()
    async with world.runtime.spawn(world.pod(world.container("a"))) as pod:
        assert await pod.store_used_bytes() == (await pod.store_usage()).used_bytes > 0
        assert await pod.trim_store() == 0
    assert (await (await world.runtime.spawn(world.pod())).shutdown_trimming_store()).trimmed_bytes == 0
