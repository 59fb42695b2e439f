"""What every way to a pod's supervisor promises of processes, their output, and files (ports/pod_control.py)."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from firkin.domain.errors import (
    NoStandardInput,
)
from firkin.domain.ids import ContainerId, PodId
from firkin.domain.process import ExitStatus, Stdio
from firkin.domain.supervised_pod import SupervisedPhase
from firkin.domain.terminal import TerminalSize
from firkin.ports.pod_control import AttachedProcess, CopyRequest, ExecRequest, PodControl

from ..supervised_pods import SupervisedPods

POD, A, B = PodId("pod-1"), ContainerId("a"), ContainerId("b")


async def _output(process: AttachedProcess) -> dict[str, bytes]:
    found = {"stdout": b"", "stderr": b""}
    async for piece in process.output():
        found[piece.stream] += piece.data
    return found


async def _until_alone(control: PodControl) -> None:
    """Until only the container's init is left, which takes a moment at most."""
    async for (statistics,) in control.statistics(0.1):
        if statistics.processes.current == 1:
            return


async def test_a_process_runs_with_its_own_streams_and_tells_how_it_ended(long_lived: SupervisedPods) -> None:
    async with (
        long_lived.started(long_lived.pod()),
        long_lived.connector.connected(POD) as control,
        control.executed(ExecRequest(A, ("talk",))) as process,
    ):
        assert await _output(process) == {"stdout": b"out\n", "stderr": b"err\n"}
        assert await process.wait() == ExitStatus(3)


async def test_a_process_gets_its_input_in_order_and_its_end(long_lived: SupervisedPods) -> None:
    sent = [bytes([number % 256]) * 10_000 for number in range(100)]
    async with (
        long_lived.started(long_lived.pod()),
        long_lived.connector.connected(POD) as control,
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


async def test_variables_terminals_and_signals_reach_a_process(long_lived: SupervisedPods) -> None:
    async with long_lived.started(long_lived.pod()), long_lived.connector.connected(POD) as control:
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


async def test_leaving_a_process_kills_it(long_lived: SupervisedPods) -> None:
    async with long_lived.started(long_lived.pod()), long_lived.connector.connected(POD) as control:
        async with control.executed(ExecRequest(A, ("sleep",))):
            pass
        await _until_alone(control)


async def test_a_process_that_was_detached_runs_on_when_its_caller_leaves(long_lived: SupervisedPods) -> None:
    async with long_lived.started(long_lived.pod()), long_lived.connector.connected(POD) as control:
        async with control.executed(ExecRequest(A, ("gate",), has_stdin=True)) as process:
            await long_lived.gate.reached.wait()
            await process.detach()
            assert await _output(process) == {"stdout": b"", "stderr": b""}
        async for (statistics,) in control.statistics(0.1):
            assert statistics.processes.current == 2
            break
        long_lived.gate.opened.set()
        await long_lived.gate.passed.wait()
        assert (await control.stop(0)).phase is SupervisedPhase.EXITED
    assert long_lived.memory.leftovers() == []


async def test_what_a_detached_process_writes_does_not_hold_it_up(long_lived: SupervisedPods) -> None:
    async with long_lived.started(long_lived.pod()), long_lived.connector.connected(POD) as control:
        async with control.executed(ExecRequest(A, ("count",))) as process:
            await process.detach()
            async for _ in process.output():
                continue
        await _until_alone(control)


async def test_a_pod_ends_with_a_detached_process_in_it(long_lived: SupervisedPods) -> None:
    async with long_lived.started(long_lived.pod()), long_lived.connector.connected(POD) as control:
        async with control.executed(ExecRequest(A, ("stubborn",))) as process:
            await process.detach()
            assert await _output(process) == {"stdout": b"", "stderr": b""}
        assert (await control.stop(0)).phase is SupervisedPhase.EXITED
    assert long_lived.memory.leftovers() == []


async def test_several_who_are_attached_see_the_same_and_one_who_leaves_takes_nobody_along(
    long_lived: SupervisedPods,
) -> None:
    async with (
        long_lived.started(long_lived.pod(long_lived.container("a", "cat"))),
        long_lived.connector.connected(POD) as control,
        control.attached(A, with_input=True) as first,
    ):
        heard = first.output()
        async with control.attached(A, with_input=False) as second:
            await first.write(b"for both\n")
            assert (await anext(heard)).data == b"for both\n"
            assert (await anext(second.output())).data == b"for both\n"
        await first.write(b"for one\n")
        assert (await anext(heard)).data == b"for one\n"
        await first.end_input()
        assert [piece async for piece in heard] == []
        assert (await first.wait()).success


async def test_logs_tell_what_was_and_what_comes_to_the_end(long_lived: SupervisedPods) -> None:
    async with long_lived.started(long_lived.pod(long_lived.container("a", "cat"))) as supervised:
        async with (
            long_lived.connector.connected(POD) as control,
            control.attached(A, with_input=True) as process,
        ):
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
    assert b"".join(entry.data for entry in long_lived.logs.entries(POD, A)) == b"one\ntwo\n"


async def test_much_output_arrives_whole(long_lived: SupervisedPods) -> None:
    async with (
        long_lived.started(long_lived.pod()),
        long_lived.connector.connected(POD) as control,
        control.executed(ExecRequest(A, ("count",))) as process,
    ):
        lines = (await _output(process))["stdout"].splitlines()
    assert [int(line) for line in lines] == list(range(2000))


async def test_attaching_leaves_the_container_running_and_needs_input_only_where_it_is_used(
    long_lived: SupervisedPods,
) -> None:
    without_input = long_lived.container("a", "sleep").stdin(Stdio.NULL)
    async with long_lived.started(long_lived.pod(without_input)), long_lived.connector.connected(POD) as control:
        async with control.attached(A, with_input=False):
            pass
        with pytest.raises(NoStandardInput):
            async with control.attached(A, with_input=True):
                pass
        async with control.attached(A, with_input=False) as process:
            await control.kill((A,), signal.SIGINT)
            assert await _output(process) == {"stdout": b"", "stderr": b""}
            assert await process.wait() == ExitStatus.from_signal(signal.SIGINT)


async def test_copies_go_both_ways(long_lived: SupervisedPods, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"content")
    async with long_lived.started(long_lived.pod()), long_lived.connector.connected(POD) as control:
        report = await control.copy_in(CopyRequest(A, str(source), "/tmp/copy"))
        assert (report.path, report.count.content_bytes) == ("/tmp/copy", 7)
        report = await control.copy_out(CopyRequest(A, str(tmp_path / "back"), "/tmp/copy"))
        assert report.path == str(tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"content"


async def test_statistics_end_with_the_pod(long_lived: SupervisedPods) -> None:
    async with long_lived.started(long_lived.pod()), long_lived.connector.connected(POD) as control:
        samples = control.statistics(0.01)
        (container,) = await anext(samples)
        assert container.container_id == "a"
        await control.stop(0)
        async for _ in samples:
            continue
