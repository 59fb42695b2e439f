"""What every way to a pod's supervisor promises (ports/pod_control.py): in the same process, and over a socket."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path

import pytest
from msgspec.structs import replace

from firkin.adapters.log_files import FileLogKeeper
from firkin.adapters.memory import MemoryProcess, Program
from firkin.adapters.pod_registry_files import FilePodRegistry
from firkin.adapters.supervisor_grpc import GrpcControlConnector, GrpcControlServer
from firkin.application.task_scope import TaskScope
from firkin.domain.errors import (
    CommandNotFound,
    ContainerNotFound,
    CopyFailed,
    NoStandardInput,
    PodNotFound,
    PodOver,
    SupervisorDied,
)
from firkin.domain.ids import ContainerId, PodId
from firkin.domain.pod_spec import PodSpec
from firkin.domain.process import ExitStatus, Stdio
from firkin.domain.restarting import RestartPolicy
from firkin.domain.supervised_pod import PodRecord, SupervisedPhase
from firkin.domain.terminal import TerminalSize
from firkin.ports.pod_control import AttachedProcess, ControlConnector, CopyRequest, ExecRequest
from tests.unit.application.supervised import SupervisedWorld, failure_of, until

pytestmark = pytest.mark.real_time

POD, A, B = PodId("pod-1"), ContainerId("a"), ContainerId("b")


async def _talk(process: MemoryProcess) -> int:
    assert process.stderr is not None
    await process.say("out\n")
    await process.stderr.write(b"err\n")
    return 3


async def _count(process: MemoryProcess) -> int:
    for number in range(2000):
        await process.say(f"{number:060}\n")
    return 0


class _Gate:
    """A program that ends when the test lets it."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    async def __call__(self, process: MemoryProcess) -> int:
        self.reached.set()
        await self.opened.wait()
        return 0


class _Road:
    """A world, and the way to its supervisors."""

    def __init__(self, kind: str, directory: Path) -> None:
        self.gate = _Gate()
        programs: dict[str, Program] = {"talk": _talk, "count": _count, "gate": self.gate}
        if kind == "memory":
            self.world = SupervisedWorld(programs)
            self.connector: ControlConnector = self.world.controls
        else:
            registry = FilePodRegistry(directory)
            self.world = SupervisedWorld(programs, registry, GrpcControlServer(), FileLogKeeper(registry.pods))
            self.connector = GrpcControlConnector(registry, registry.pods)


@pytest.fixture(params=["memory", "grpc"])
def road(request: pytest.FixtureRequest, tmp_path: Path) -> _Road:
    # Deeper than the path of a socket may be.
    return _Road(str(request.param), tmp_path / ("deep" * 20) / ("deeper" * 20))


async def _output(process: AttachedProcess) -> dict[str, bytes]:
    found = {"stdout": b"", "stderr": b""}
    async for piece in process.output():
        found[piece.stream] += piece.data
    return found


async def test_a_process_runs_with_its_own_streams_and_tells_how_it_ended(road: _Road) -> None:
    async with (
        road.world.started(road.world.pod()),
        road.connector.connected(POD) as control,
        control.executed(ExecRequest(A, ("talk",))) as process,
    ):
        assert await _output(process) == {"stdout": b"out\n", "stderr": b"err\n"}
        assert await process.wait() == ExitStatus(3)


async def test_a_process_gets_its_input_in_order_and_its_end(road: _Road) -> None:
    sent = [bytes([number % 256]) * 10_000 for number in range(100)]
    async with (
        road.world.started(road.world.pod()),
        road.connector.connected(POD) as control,
        control.executed(ExecRequest(A, ("cat",), has_stdin=True)) as process,
        asyncio.TaskGroup() as group,
    ):

        async def write() -> None:
            for data in sent:
                await process.write(data)
            await process.end_input()
            await process.end_input()

        group.create_task(write())
        assert (await _output(process))["stdout"] == b"".join(sent)
        assert (await process.wait()).success


async def test_variables_terminals_and_signals_reach_a_process(road: _Road) -> None:
    async with road.world.started(road.world.pod()), road.connector.connected(POD) as control:
        async with control.executed(ExecRequest(A, ("env",), (("GREETING", "a=b"),))) as process:
            assert b"GREETING=a=b\n" in (await _output(process))["stdout"]
        async with control.executed(ExecRequest(A, ("sizes",), terminal=TerminalSize(90, 25))) as process:
            output = process.output()
            assert (await anext(output)).data == b"25 90\r\n"
            await process.resize(TerminalSize(120, 40))
            assert (await anext(output)).data == b"40 120\r\n"
            await process.kill(signal.SIGTERM)
            async for _ in output:
                continue
            assert await process.wait() == ExitStatus.from_signal(signal.SIGTERM)


async def test_leaving_a_process_kills_it(road: _Road) -> None:
    async with road.world.started(road.world.pod()), road.connector.connected(POD) as control:
        async with control.executed(ExecRequest(A, ("sleep",))):
            pass
        async for (statistics,) in control.statistics(0.1):
            # Only the container's init is left, at the latest after a moment.
            if statistics.processes.current == 1:
                break


async def test_what_goes_wrong_has_the_same_class_on_both_sides(road: _Road) -> None:
    async with road.world.started(road.world.pod()), road.connector.connected(POD) as control:
        with pytest.raises(CommandNotFound) as told:
            async with control.executed(ExecRequest(A, ("nonsense",))):
                pass
        assert (told.value.command, told.value.exit_code) == ("nonsense", 127)
        with pytest.raises(ContainerNotFound):
            async with control.executed(ExecRequest(B, ("true",))):
                pass
        with pytest.raises(ContainerNotFound):
            await control.kill((A, B), signal.SIGTERM)
        assert type(await failure_of(control.logs(B))) is ContainerNotFound
        with pytest.raises(CopyFailed):
            await control.copy_out(CopyRequest(A, "/tmp/nowhere", "/absent"))


async def test_logs_tell_what_was_and_what_comes_to_the_end(road: _Road) -> None:
    async with road.world.started(road.world.pod(road.world.container("a", "cat"))) as supervised:
        async with road.connector.connected(POD) as control, control.attached(A, with_input=True) as process:
            await process.write(b"one\n")
            first = control.logs(A)
            assert (await anext(first)).data == b"one\n"
            following = control.logs(A, tail=1)
            assert (await anext(following)).data == b"one\n"
            await process.write(b"two\n")
            assert (await anext(following)).data == b"two\n"
            assert (await anext(first)).data == b"two\n"
            await process.end_input()
            assert [entry async for entry in following] == []
        assert (await supervised).phase is SupervisedPhase.EXITED
    assert b"".join(entry.data for entry in road.world.logs.entries(POD, A)) == b"one\ntwo\n"


async def test_much_output_arrives_whole(road: _Road) -> None:
    async with (
        road.world.started(road.world.pod()),
        road.connector.connected(POD) as control,
        control.executed(ExecRequest(A, ("count",))) as process,
    ):
        lines = (await _output(process))["stdout"].splitlines()
    assert [int(line) for line in lines] == list(range(2000))


async def test_attaching_leaves_the_container_running_and_needs_input_only_where_it_is_used(road: _Road) -> None:
    without_input = road.world.container("a", "sleep").stdin(Stdio.NULL)
    async with road.world.started(road.world.pod(without_input)), road.connector.connected(POD) as control:
        async with control.attached(A, with_input=False):
            pass
        with pytest.raises(NoStandardInput):
            async with control.attached(A, with_input=True):
                pass
        async with control.attached(A, with_input=False) as process:
            await control.kill((A,), signal.SIGINT)
            assert await _output(process) == {"stdout": b"", "stderr": b""}
            assert await process.wait() == ExitStatus.from_signal(signal.SIGINT)


async def test_copies_go_both_ways(road: _Road, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"content")
    async with road.world.started(road.world.pod()), road.connector.connected(POD) as control:
        report = await control.copy_in(CopyRequest(A, str(source), "/tmp/copy"))
        assert (report.path, report.count.content_bytes) == ("/tmp/copy", 7)
        report = await control.copy_out(CopyRequest(A, str(tmp_path / "back"), "/tmp/copy"))
        assert report.path == str(tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"content"


async def test_a_stop_answers_all_who_wait_when_nothing_is_left(road: _Road) -> None:
    spec = road.world.pod(road.world.container("a", "sleep"), road.world.container("b", "exit", "3"))
    async with road.world.started(spec) as supervised, road.connector.connected(POD) as control:
        async with asyncio.TaskGroup() as group:
            waits = [group.create_task(control.wait()) for _ in range(3)]
            stops = [group.create_task(control.stop(5)) for _ in range(2)]
        (record,) = {one.result() for one in (*waits, *stops)}
        assert record == await supervised
        assert record.phase is SupervisedPhase.EXITED
        assert [one.status for one in record.containers] == [ExitStatus.from_signal(signal.SIGTERM), ExitStatus(3)]
        assert road.world.memory.leftovers() == []


async def test_a_stop_without_grace_ends_the_grace_of_an_earlier_one(road: _Road) -> None:
    spec = road.world.pod(road.world.container("a", "stubborn"))
    async with road.world.started(spec), road.connector.connected(POD) as control:
        async with asyncio.TaskGroup() as group:
            patient = group.create_task(control.stop(3600))
            await until(lambda: road.world.registry.record(POD).phase is SupervisedPhase.STOPPING)
            group.create_task(control.stop(0))
        assert patient.result().exit_code == 128 + signal.SIGKILL


async def test_a_policy_starts_containers_again_and_a_stop_ends_that(road: _Road) -> None:
    spec = road.world.pod(road.world.container("a", "exit", "1"))
    spec = replace(spec, restart_policy=RestartPolicy.ALWAYS)
    async with road.world.started(spec) as supervised, road.connector.connected(POD) as control:
        assert not supervised.done()
        assert (await control.stop()).exit_code == 1


async def test_statistics_end_with_the_pod(road: _Road) -> None:
    async with road.world.started(road.world.pod()), road.connector.connected(POD) as control:
        samples = control.statistics(0.01)
        (container,) = await anext(samples)
        assert container.container_id == "a"
        await control.stop(0)
        async for _ in samples:
            continue


async def test_nobody_speaks_with_a_pod_that_is_over_or_that_there_never_was(road: _Road) -> None:
    with pytest.raises(PodNotFound):
        async with road.connector.connected(POD):
            pass
    async with road.world.started(road.world.pod(road.world.container("a", "true"))) as supervised:
        await supervised
    with pytest.raises(PodOver, match="is exited, not running"):
        async with road.connector.connected(POD):
            pass


async def test_a_pod_whose_supervisor_was_killed_is_told_as_such(road: _Road) -> None:
    record = PodRecord(id=POD, phase=SupervisedPhase.RUNNING)
    with road.world.registry.claimed(record):
        pass
    with pytest.raises(SupervisorDied, match="`firkin gc`"):
        async with road.connector.connected(POD):
            pass


def _slow_to_start(road: _Road) -> PodSpec:
    """A pod that starts as long as its init container runs."""
    init = road.world.container("init", "gate").stdin(Stdio.NULL)
    return replace(road.world.pod(), init_containers=(init,))


async def test_who_comes_while_the_pod_starts_waits_for_it(road: _Road) -> None:
    async with _supervised(road.world.supervise(_slow_to_start(road))) as task:
        await road.gate.reached.wait()
        async with road.connector.connected(POD) as control, asyncio.TaskGroup() as group:
            killed = group.create_task(control.kill((A,), signal.SIGTERM))
            assert road.world.registry.record(POD).phase is SupervisedPhase.STARTING
            road.gate.opened.set()
            await killed
        record = await task
    assert [one.status for one in record.containers] == [ExitStatus(0), ExitStatus.from_signal(signal.SIGTERM)]


async def test_a_pod_that_is_starting_can_be_given_up(road: _Road) -> None:
    async with _supervised(road.world.supervise(_slow_to_start(road))) as task:
        await road.gate.reached.wait()
        async with road.connector.connected(POD) as control:
            record = await control.stop()
            assert record == await task
            assert (record.phase, record.problem) == (SupervisedPhase.EXITED, "it was stopped while it was starting")
    assert road.world.memory.leftovers() == []


@contextlib.asynccontextmanager
async def _supervised(work: Coroutine[None, None, PodRecord]) -> AsyncIterator[asyncio.Task[PodRecord]]:
    scope = TaskScope()
    try:
        yield scope.start(work, "supervise")
    finally:
        await scope.aclose()
