"""What a pod does by itself: init containers, restarts, probes and hooks, on virtual time."""

from __future__ import annotations

import asyncio

import pytest

from firkin.adapters.memory import MemoryProcess, Program
from firkin.application.pod import Pod
from firkin.domain.errors import CommandNotFound, InitContainerFailed, PostStartFailed
from firkin.domain.events import ContainerReadinessChanged, ProbeFailed
from firkin.domain.lifecycle import ContainerPhase, PodPhase
from firkin.domain.pod_spec import PodBuilder, PodSpec
from firkin.domain.probes import ExecAction, HttpGetAction, Probe, SleepAction, TcpSocketAction
from firkin.domain.process import ExitStatus
from firkin.domain.restarting import RestartPolicy

from .worlds import World


class Journal:
    """Programs that note when they ran, by the loop's clock."""

    def __init__(self) -> None:
        self.notes: list[tuple[float, str]] = []

    @property
    def words(self) -> list[str]:
        return [word for _, word in self.notes]

    @property
    def times(self) -> list[float]:
        return [round(time, 3) for time, _ in self.notes]

    def program(self, *codes: int, seconds: float = 0) -> Program:
        """Notes its first argument, takes its time, and ends with each code in turn, the last one for good."""
        left = list(codes)

        async def run(process: MemoryProcess) -> int:
            self.notes.append((asyncio.get_running_loop().time(), process.args[-1]))
            await process.say(f"{process.args[-1]}\n")
            await asyncio.sleep(seconds)
            return left.pop(0) if len(left) > 1 else left[0]

        return run


def with_policy(spec: PodSpec, policy: RestartPolicy) -> PodSpec:
    builder = PodBuilder(spec.id).restart_policy(policy)
    for container in spec.init_containers:
        builder = builder.init_container(container)
    for container in spec.containers:
        builder = builder.container(container)
    return builder.build()


async def test_init_containers_run_one_after_the_other_before_the_others() -> None:
    journal = Journal()
    world = World({"slow": journal.program(0, seconds=5), "quick": journal.program(0)})
    spec = (
        PodBuilder("pod-1")
        .init_container(world.container("one", "slow", "first"))
        .init_container(world.container("two", "quick", "second"))
        .container(world.container("main", "quick", "third"))
        .build()
    )
    async with world.runtime.spawn(spec) as pod:
        assert (await pod.wait_container("main")).stdout == b"third\n"
        assert journal.words == ["first", "second", "third"]
        assert journal.times[1] - journal.times[0] >= 5
        assert [(name, output.stdout) for name, output in pod.init_outputs.items()] == [
            ("one", b"first\n"),
            ("two", b"second\n"),
        ]
        assert [container.id for container in pod.containers()] == ["main"]
    assert world.memory.leftovers() == []


async def test_an_init_container_that_fails_fails_the_pod_and_is_named() -> None:
    journal = Journal()
    world = World({"bad": journal.program(3), "quick": journal.program(0)})
    spec = PodBuilder("pod-1").init_container(world.container("one", "bad", "words before the end"))
    with pytest.raises(InitContainerFailed) as failed:
        await world.runtime.spawn(spec.container(world.container("main", "quick", "never")).build())
    error = failed.value
    assert (error.container_id, error.status, error.output_tail) == ("one", "exit code 3", "words before the end")
    assert error.pod_id == "pod-1"
    assert journal.words == ["words before the end"]
    assert world.memory.leftovers() == []


async def test_an_init_container_without_its_command_fails_the_pod() -> None:
    world = World()
    spec = PodBuilder("pod-1").init_container(world.container("one", "nonsense"))
    with pytest.raises(CommandNotFound) as failed:
        await world.runtime.spawn(spec.build())
    assert failed.value.container_id == "one"
    assert world.memory.leftovers() == []


@pytest.mark.parametrize("policy", [RestartPolicy.ON_FAILURE, RestartPolicy.ALWAYS])
async def test_an_init_container_that_fails_is_run_again_where_containers_are(policy: RestartPolicy) -> None:
    journal = Journal()
    world = World({"bad": journal.program(1, 1, 0), "quick": journal.program(0, seconds=7)})
    spec = PodBuilder("pod-1").init_container(world.container("one", "bad", "x")).restart_policy(policy)
    async with world.runtime.spawn(spec.container(world.container("main", "quick", "y")).build()) as pod:
        assert pod.state is PodPhase.RUNNING
        assert journal.words[:3] == ["x", "x", "x"]
        begun, second, third = journal.times[:3]
        assert second - begun == pytest.approx(10, abs=0.2)
        assert third - second == pytest.approx(20, abs=0.2)


async def test_a_spawn_cancelled_while_an_init_container_runs_leaves_nothing() -> None:
    world = World()
    spec = PodBuilder("pod-1").init_container(world.container("one", "sleep", "3600")).build()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            await world.runtime.spawn(spec)
    assert world.memory.leftovers() == []


async def test_containers_that_end_are_started_again_after_longer_and_longer_pauses() -> None:
    journal = Journal()
    world = World({"main": journal.program(0)})
    spec = with_policy(world.pod(world.container("a", "main", "run")), RestartPolicy.ALWAYS)
    async with world.runtime.spawn(spec) as pod:
        container = pod.container("a")
        for count in range(1, 8):
            assert await container.wait_restarted()
            assert container.restart_count == count
        pauses = [later - earlier for earlier, later in zip(journal.times, journal.times[1:], strict=False)]
        assert [round(pause) for pause in pauses] == [10, 20, 40, 80, 160, 300, 300]
        report = await pod.stop(0)
    assert report.clean, report
    assert world.memory.leftovers() == []


async def test_on_failure_a_success_is_the_end() -> None:
    journal = Journal()
    world = World({"main": journal.program(1, 2, 0)})
    spec = with_policy(world.pod(world.container("a", "main", "run")), RestartPolicy.ON_FAILURE)
    async with world.runtime.spawn(spec) as pod:
        container = pod.container("a")
        assert await container.wait_finished() == ExitStatus(0)
        assert (container.restart_count, journal.words) == (2, ["run"] * 3)
        assert not await container.wait_restarted()


async def test_without_a_policy_an_end_is_final() -> None:
    world = World()
    async with world.runtime.spawn(world.pod(world.container("a", "false"))) as pod:
        assert await pod.container("a").wait_finished() == ExitStatus(1)
        assert not await pod.container("a").wait_restarted()
        assert pod.container("a").restart_count == 0


async def test_a_container_that_somebody_stopped_stays_so_also_within_a_pause() -> None:
    world = World()
    containers = world.container("a", "sleep"), world.container("b", "true")
    spec = with_policy(world.pod(*containers), RestartPolicy.ALWAYS)
    async with world.runtime.spawn(spec) as pod:
        assert (await pod.container("a").stop()).signal == 15
        await pod.container("b").wait()
        await pod.container("b").stop()
        async with asyncio.timeout(1):
            for name in ("a", "b"):
                await pod.container(name).wait_finished()
                assert not await pod.container(name).wait_restarted()
        await asyncio.sleep(1000)
        assert [container.state for container in pod.containers()] == [ContainerPhase.EXITED] * 2


async def test_a_container_that_was_killed_by_somebody_is_started_again() -> None:
    world = World()
    spec = with_policy(world.pod(world.container("a", "sleep")), RestartPolicy.ON_FAILURE)
    async with world.runtime.spawn(spec) as pod:
        await pod.container("a").kill(9)
        assert await pod.container("a").wait_restarted()
        assert pod.container("a").state is ContainerPhase.RUNNING


async def test_who_starts_a_container_within_its_pause_is_not_in_the_way() -> None:
    world = World()
    spec = with_policy(world.pod(world.container("a", "sleep", "5")), RestartPolicy.ALWAYS)
    async with world.runtime.spawn(spec) as pod:
        await pod.container("a").wait()
        await pod.container("a").restart()
        await asyncio.sleep(11)
        assert pod.container("a").restart_count == 0
        assert await pod.container("a").wait_restarted()
        assert pod.container("a").restart_count == 1


async def test_a_start_that_fails_is_tried_again() -> None:
    world = World()
    spec = with_policy(world.pod(world.container("a", "sleep", "5")), RestartPolicy.ALWAYS)
    async with world.runtime.spawn(spec) as pod:
        world.memory.faults.fail("agent.start_container", CommandNotFound("x"))
        begun = asyncio.get_running_loop().time()
        assert await pod.container("a").wait_restarted()
        assert asyncio.get_running_loop().time() - begun == pytest.approx(5 + 10 + 20, abs=0.5)


async def test_removing_a_container_ends_its_restarts() -> None:
    world = World()
    spec = with_policy(world.pod(world.container("a", "true")), RestartPolicy.ALWAYS)
    async with world.runtime.spawn(spec) as pod:
        container = pod.container("a")
        await container.wait()
        await pod.remove_container("a")
        async with asyncio.timeout(1):
            assert (await container.wait_finished()).success
        await asyncio.sleep(1000)
        assert pod.containers() == ()


async def test_a_sidecar_comes_up_before_what_follows_and_ends_after_it() -> None:
    journal = Journal()

    def noting(process: MemoryProcess) -> None:
        journal.notes.append((asyncio.get_running_loop().time(), f"{process.args[1]} began"))

    async def service(process: MemoryProcess) -> int:
        noting(process)
        try:
            await asyncio.sleep(20)
            process.ports[80] = lambda path: 200
            await asyncio.sleep(3600)
        finally:
            journal.notes.append((asyncio.get_running_loop().time(), f"{process.args[1]} ended"))
        return 0

    async def task(process: MemoryProcess) -> int:
        noting(process)
        return 0

    world = World({"service": service, "task": task})
    probe = Probe(TcpSocketAction(80), period_seconds=1, failure_threshold=60)
    builder = (
        PodBuilder("pod-1")
        .init_container(world.container("first", "service", "first").sidecar().startup_probe(probe))
        .init_container(world.container("prepare", "task", "prepare"))
        .init_container(world.container("second", "service", "second").sidecar())
        .container(world.container("main", "service", "main"))
    )
    async with world.runtime.spawn(builder.build()) as pod:
        assert [container.id for container in pod.containers()] == ["first", "second", "main"]
        report = await pod.stop(10)
    assert journal.words == [
        *("first began", "prepare began", "second began", "main began"),
        *("main ended", "second ended", "first ended"),
    ]
    times = [time for time, _ in journal.notes]
    assert times[1] - times[0] == pytest.approx(20, abs=1.5)
    assert times[3] - times[1] < 0.5
    assert [one.container_id for one in report.containers] == ["first", "second", "main"]
    assert world.memory.leftovers() == []


async def test_a_sidecar_is_started_again_whatever_the_pods_policy() -> None:
    journal = Journal()
    world = World({"once": journal.program(0, 0, 0, seconds=1)})
    builder = PodBuilder("pod-1").init_container(world.container("side", "once", "side").sidecar())
    async with world.runtime.spawn(builder.container(world.container("main")).build()) as pod:
        assert await pod.container("side").wait_restarted()
        assert await pod.container("side").wait_restarted()
        assert pod.container("side").restart_count == 2
        await pod.container("side").stop()
        assert not await pod.container("side").wait_restarted()


async def test_a_sidecar_that_does_not_come_up_is_tried_again_and_ends_with_its_pod() -> None:
    world = World()
    probe = Probe(ExecAction(("false",)), period_seconds=1, failure_threshold=3)
    sidecar = world.container("side", "sleep").sidecar().startup_probe(probe)
    spec = PodBuilder("pod-1").init_container(sidecar).container(world.container("main")).build()
    spawning = asyncio.ensure_future(world.runtime.spawn(spec))
    await asyncio.sleep(60)
    assert not spawning.done()
    spawning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await spawning
    assert world.memory.leftovers() == []


async def test_a_sidecar_that_comes_up_late_is_waited_for_over_its_restarts() -> None:
    journal = Journal()
    world = World({"check": journal.program(1, 1, 1, 1, 0)})
    probe = Probe(ExecAction(("check", "up")), period_seconds=1, failure_threshold=3)
    sidecar = world.container("side", "sleep").sidecar().startup_probe(probe)
    spec = PodBuilder("pod-1").init_container(sidecar).container(world.container("main")).build()
    async with world.runtime.spawn(spec) as pod:
        assert pod.container("side").restart_count == 1
        assert pod.container("side").ready


async def test_a_sidecar_that_ignores_its_end_is_killed_in_what_is_left_of_the_grace() -> None:
    world = World()
    builder = PodBuilder("pod-1").init_container(world.container("side", "stubborn").sidecar())
    for main, seconds in (("sleep", 10), ("stubborn", 12)):
        async with world.runtime.spawn(builder.container(world.container("main", main)).build()) as pod:
            begun = asyncio.get_running_loop().time()
            report = await pod.stop(10)
            assert asyncio.get_running_loop().time() - begun == pytest.approx(seconds, abs=0.5)
            assert [one.killed for one in report.containers] == [True, main == "stubborn"]


async def test_a_pod_stops_while_a_container_pauses() -> None:
    world = World()
    spec = with_policy(world.pod(world.container("a", "false")), RestartPolicy.ALWAYS)
    async with world.runtime.spawn(spec) as pod, asyncio.timeout(1):
        await pod.container("a").wait()
        assert (await pod.stop()).clean
    assert world.memory.leftovers() == []


def probed(world: World, probe: str, spec: Probe, *command: str) -> PodSpec:
    container = getattr(world.container("a", *command), f"{probe}_probe")(spec)
    return world.pod(container)


async def test_a_container_that_fails_its_liveness_probe_is_killed_and_started_again() -> None:
    journal = Journal()
    world = World({"check": journal.program(0, 0, 1, 0, 1, 1, 1, 0)})
    probe = Probe(ExecAction(("check", "probe")), initial_delay_seconds=5, period_seconds=2)
    spec = with_policy(probed(world, "liveness", probe, "sleep", "1000"), RestartPolicy.ALWAYS)
    async with world.runtime.spawn(spec) as pod:
        started = asyncio.get_running_loop().time()
        assert (await pod.container("a").wait()).signal == 15
        assert asyncio.get_running_loop().time() - started == pytest.approx(5 + 6 * 2, abs=0.5)
        assert pod.container("a").killed_because == "its liveness probe ended with exit code 1"
        assert await pod.container("a").wait_restarted()
        assert len(journal.words) == 7
        assert pod.container("a").killed_because == ""
        await asyncio.sleep(20)
        assert pod.container("a").state is ContainerPhase.RUNNING


async def test_a_probe_that_takes_too_long_has_failed() -> None:
    world = World()
    probe = Probe(ExecAction(("sleep", "100")), period_seconds=3, timeout_seconds=2, failure_threshold=2)
    async with world.runtime.spawn(probed(world, "liveness", probe, "sleep", "1000")) as pod:
        started = asyncio.get_running_loop().time()
        assert (await pod.container("a").wait()).signal == 15
        assert asyncio.get_running_loop().time() - started == pytest.approx(2 + 3 + 2, abs=0.5)
        assert not await pod.container("a").wait_restarted()


async def test_a_container_is_ready_as_its_probe_says() -> None:
    journal = Journal()
    world = World({"check": journal.program(1, 0, 0, 1, 1, 0)})
    probe = Probe(ExecAction(("check", "x")), period_seconds=10, success_threshold=2, failure_threshold=2)
    async with world.runtime.spawn(probed(world, "readiness", probe, "sleep")) as pod:
        seen = []
        for _ in range(6):
            await asyncio.sleep(9.9)
            seen.append(pod.container("a").ready)
        assert seen == [False, False, True, True, False, False]
        await pod.container("a").stop(0)
        assert not pod.container("a").ready


async def test_readiness_and_failed_probes_are_told_as_events() -> None:
    journal = Journal()
    world = World({"check": journal.program(1, 0, 1)})
    probe = Probe(ExecAction(("check", "x")), period_seconds=10, failure_threshold=1)
    async with world.runtime.spawn(probed(world, "readiness", probe, "sleep")) as pod, pod.events() as events:
        told: list[object] = []
        while len(told) < 4:
            event = await events.next_event()
            if isinstance(event, ContainerReadinessChanged):
                told.append(event.is_ready)
            elif isinstance(event, ProbeFailed):
                told.append((event.container_id, event.probe, event.reason))
        failure = ("a", "readiness", "ended with exit code 1")
        assert told == [failure, True, failure, False]


async def test_a_container_is_asked_by_its_port() -> None:
    async def serve(process: MemoryProcess) -> int:
        await asyncio.sleep(15)
        process.ports[8080] = lambda path: 204 if path == "/healthy" else 503
        await asyncio.sleep(3600)
        return 0

    world = World({"serve": serve})
    container = world.container("a", "serve").startup_probe(Probe.tcp_socket(8080))
    container = container.readiness_probe(Probe.http_get(8080, "/healthy"))
    container = container.liveness_probe(Probe.http_get(8080, "/well"))
    async with world.runtime.spawn(world.pod(container)) as pod:
        await asyncio.sleep(14)
        assert not pod.container("a").ready
        await asyncio.sleep(7)
        assert pod.container("a").ready
        assert (await pod.container("a").wait()).signal == 15
        assert not pod.container("a").ready


async def test_a_hook_may_sleep_or_ask_a_port() -> None:
    asked: list[str] = []

    async def serve(process: MemoryProcess) -> int:
        def answer(path: str) -> int:
            asked.append(path)
            return 200

        process.ports[80] = answer
        await asyncio.sleep(3600)
        return 0

    world = World({"serve": serve})
    container = world.container("a", "serve").with_hooks(
        post_start=HttpGetAction(80, "/began"), pre_stop=SleepAction(4)
    )
    async with world.runtime.spawn(world.pod(container)) as pod:
        assert asked == ["/began"]
        took, was_killed = await stopped_after(pod, 10)
        assert took == pytest.approx(4, abs=0.5)
        assert not was_killed


async def test_a_post_start_request_that_fails_kills_the_container() -> None:
    world = World()
    container = world.container("a", "sleep").with_hooks(post_start=HttpGetAction(80))
    with pytest.raises(PostStartFailed, match="Connection refused"):
        await world.runtime.spawn(world.pod(container))
    assert world.memory.leftovers() == []


async def test_a_container_without_probes_is_ready_as_long_as_it_runs() -> None:
    world = World()
    async with world.runtime.spawn(world.pod(world.container("a"))) as pod:
        assert pod.container("a").ready
        await pod.container("a").stop(0)
        assert not pod.container("a").ready


async def test_the_startup_probe_goes_before_the_others() -> None:
    journal = Journal()
    world = World({"start": journal.program(1, 1, 0), "live": journal.program(0)})
    container = world.container("a", "sleep").startup_probe(
        Probe(ExecAction(("start", "startup")), failure_threshold=3)
    )
    container = container.liveness_probe(Probe(ExecAction(("live", "liveness"))))
    async with world.runtime.spawn(world.pod(container)) as pod:
        assert not pod.container("a").ready
        await asyncio.sleep(25)
        assert pod.container("a").ready
        assert journal.words[:4] == ["startup", "startup", "startup", "liveness"]


async def test_a_container_that_does_not_come_up_is_killed() -> None:
    world = World()
    probe = Probe(ExecAction(("false",)), period_seconds=1, failure_threshold=3)
    async with world.runtime.spawn(probed(world, "startup", probe, "sleep")) as pod:
        async with asyncio.timeout(5):
            assert (await pod.container("a").wait()).signal == 15


async def test_the_post_start_command_is_over_before_a_container_counts_as_started() -> None:
    journal = Journal()
    world = World({"hook": journal.program(0, seconds=3)})
    begun = asyncio.get_running_loop().time()
    async with world.runtime.spawn(world.pod(world.container("a").post_start("hook", "x"))) as pod:
        assert asyncio.get_running_loop().time() - begun >= 3
        assert pod.container("a").state is ContainerPhase.RUNNING


async def test_a_post_start_command_that_fails_kills_the_container() -> None:
    world = World()
    with pytest.raises(PostStartFailed, match="ended with exit code 1") as failed:
        await world.runtime.spawn(world.pod(world.container("a").post_start("false")))
    assert failed.value.container_id == "a"
    assert world.memory.leftovers() == []


async def test_a_container_that_ends_before_its_post_start_command_is_told_by_its_own_status() -> None:
    async def quick(_: MemoryProcess) -> int:
        return 3

    world = World({"quick": quick})
    for hook in ("hook", "false"):
        async with world.runtime.spawn(world.pod(world.container("a", "quick").post_start(hook))) as pod:
            assert await pod.container("a").wait() == ExitStatus(3)


async def test_a_container_that_ends_before_its_post_start_command_has_never_been_ready() -> None:
    async def quick(_: MemoryProcess) -> int:
        return 3

    world = World({"quick": quick})
    async with world.runtime:
        for spec in (world.container("a", "quick"), world.container("a", "quick").liveness_probe(Probe.exec("true"))):
            events = world.runtime.events()
            pod = await world.runtime.spawn(world.pod(spec.post_start("false")))
            await pod.stop()
            await events.aclose()
            assert [told.event async for told in events if isinstance(told.event, ContainerReadinessChanged)] == []


async def test_a_post_start_command_that_fails_at_a_restart_leads_to_the_next_one() -> None:
    journal = Journal()
    world = World({"hook": journal.program(0, 1, 0)})
    spec = with_policy(world.pod(world.container("a", "sleep", "5").post_start("hook", "x")), RestartPolicy.ALWAYS)
    async with world.runtime.spawn(spec) as pod:
        await asyncio.sleep(5 + 10 + 20 + 3)
        assert (len(journal.words), pod.container("a").state) == (3, ContainerPhase.RUNNING)


async def stopped_after(pod: Pod, grace_seconds: float) -> tuple[float, bool]:
    begun = asyncio.get_running_loop().time()
    report = await pod.stop(grace_seconds)
    return asyncio.get_running_loop().time() - begun, report.containers[0].killed


@pytest.mark.parametrize(
    ("hook_seconds", "command", "seconds", "killed"),
    [(3, "sleep", 3, False), (3, "stubborn", 10, True), (100, "stubborn", 12, True), (100, "sleep", 10, False)],
)
async def test_the_pre_stop_command_is_run_first_and_within_the_grace(
    hook_seconds: float, command: str, seconds: float, killed: bool
) -> None:
    journal = Journal()
    world = World({"hook": journal.program(0, seconds=hook_seconds)})
    async with world.runtime.spawn(world.pod(world.container("a", command).pre_stop("hook", "x"))) as pod:
        took, was_killed = await stopped_after(pod, 10)
        assert took == pytest.approx(seconds, abs=0.5)
        assert was_killed is killed
        assert journal.words == ["x"]
    assert world.memory.leftovers() == []


async def test_a_pre_stop_command_that_fails_changes_nothing_and_none_is_run_without_grace() -> None:
    journal = Journal()
    world = World({"hook": journal.program(9)})
    async with world.runtime.spawn(world.pod(world.container("a").pre_stop("hook", "x"))) as pod:
        assert (await pod.container("a").stop(5)).signal == 15
        assert journal.words == ["x"]
    async with world.runtime.spawn(world.pod(world.container("a").pre_stop("hook", "x"))) as pod:
        await pod.stop(0)
        assert journal.words == ["x"]
