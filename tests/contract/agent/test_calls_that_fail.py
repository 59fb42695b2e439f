"""What becomes of calls that fail: which error, and whether it happened."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from grpc import StatusCode

from firkin.domain.errors import (
    AgentError,
    AgentUnreachable,
    CommandNotFound,
    ContainerNotRunning,
    DeadlineExceeded,
    NoAnswer,
    Outcome,
    SandboxDied,
    StoreFull,
)
from firkin.domain.guest_path import GuestPath
from firkin.domain.ids import ContainerId, PodId
from firkin.domain.layout import StoreLayout
from firkin.domain.mounts import Mount
from firkin.domain.process import ExitReason, ExitStatus, ProcessRef
from firkin.ports.agent_containers import ContainerLaunch
from firkin.ports.agent_pods import PodPreparation
from firkin.testkit.launches import NO_STREAMS
from firkin.wire import agent_pb2 as wire
from firkin.wire import sandbox_context_pb2 as context_wire

from .scripted_agent import Context, scripted

pytestmark = pytest.mark.real_time

STORE = GuestPath("/run/firkin/pod-store")
INIT = ProcessRef("c", "c")
LAUNCH = ContainerLaunch(ContainerId("c"), b"{}", NO_STREAMS)
PREPARATION = PodPreparation(PodId("p"), Mount.bind("/store", STORE), StoreLayout())


async def test_details_become_the_error_of_their_code_with_its_values(tmp_path: Path) -> None:
    detail = wire.ErrorDetail(
        code="command-not-found", operation="start process", reason="it is not there", values={"command": "nope"}
    )
    async with scripted(tmp_path) as it:
        it.script.fail("StartContainer", StatusCode.FAILED_PRECONDITION, "a sentence", detail)
        with pytest.raises(CommandNotFound) as raised:
            await it.agent.start_container(LAUNCH)
    assert raised.value.command == "nope"
    assert raised.value.reason == "it is not there"
    assert raised.value.operation == "start process"
    assert raised.value.outcome is Outcome.DID_NOT
    assert it.script.called[-1] == "StartContainer"  # nothing had begun, so nothing was undone


async def test_details_of_an_unknown_code_become_an_agent_error_with_path_and_errno(tmp_path: Path) -> None:
    detail = wire.ErrorDetail(code="from-the-future", operation="mount pod store", path="/x", errno=2, reason="gone")
    async with scripted(tmp_path) as it:
        it.script.fail("PreparePod", StatusCode.INTERNAL, "a sentence", detail)
        with pytest.raises(AgentError) as raised:
            await it.agent.prepare_pod(PREPARATION)
    error = raised.value
    assert (error.operation, error.path, error.errno, error.reason) == ("mount pod store", "/x", 2, "gone")
    assert error.outcome is Outcome.DID_NOT


async def test_a_path_that_fills_the_store_is_named(tmp_path: Path) -> None:
    detail = wire.ErrorDetail(code="store-full", operation="write file", path="/run/firkin/pod-store/x", errno=28)
    async with scripted(tmp_path) as it:
        it.script.fail("PreparePod", StatusCode.RESOURCE_EXHAUSTED, "full", detail)
        with pytest.raises(StoreFull) as raised:
            await it.agent.prepare_pod(PREPARATION)
    assert raised.value.path == "/run/firkin/pod-store/x"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (StatusCode.NOT_FOUND, Outcome.DID_NOT),
        (StatusCode.INVALID_ARGUMENT, Outcome.DID_NOT),
        (StatusCode.INTERNAL, Outcome.MAY_HAVE),
        (StatusCode.UNKNOWN, Outcome.MAY_HAVE),
    ],
)
async def test_a_status_without_details_becomes_an_agent_error(
    tmp_path: Path, status: StatusCode, outcome: Outcome
) -> None:
    async with scripted(tmp_path) as it:
        it.script.fail("KillProcess", status, "bare verb")
        with pytest.raises(AgentError, match="bare verb") as raised:
            await it.agent.kill_process(INIT, 15)
    assert raised.value.operation == "kill process"
    assert raised.value.outcome is outcome


async def test_a_read_that_fails_did_not_happen_whatever_the_status(tmp_path: Path) -> None:
    async with scripted(tmp_path) as it:
        it.script.fail("SandboxContext/FilesystemUsage", StatusCode.INTERNAL)
        with pytest.raises(AgentError) as raised:
            await it.agent.usage(STORE)
    assert raised.value.outcome is Outcome.DID_NOT


async def test_details_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    async with scripted(tmp_path) as it:

        async def garbled(_: bytes, context: Context) -> wire.TrimResponse:
            await context.abort(StatusCode.INTERNAL, "words", (("grpc-status-details-bin", b"\xff\xff\xff"),))

        it.script.on("Trim", garbled)
        with pytest.raises(AgentError, match="words"):
            await it.agent.trim(STORE)


async def test_a_call_past_its_deadline_may_have_happened(tmp_path: Path) -> None:
    async with scripted(tmp_path, deadline_seconds=0.2) as it:
        it.script.hang("PreparePod")
        with pytest.raises(DeadlineExceeded) as raised:
            await it.agent.prepare_pod(PREPARATION)
    assert raised.value.seconds == 0.2
    assert raised.value.outcome is Outcome.MAY_HAVE


async def test_an_answer_that_does_not_come_is_told_with_how_the_sandbox_is(tmp_path: Path) -> None:
    async with scripted(tmp_path, deadline_seconds=0.2, tells_state=True) as it:
        it.script.hang("PreparePod")
        late = await _error_of(it.agent.prepare_pod(PREPARATION))
        await it.server.stop(None)
        gone = await _error_of(it.agent.prepare_pod(PREPARATION))
    for error in (late, gone):
        assert isinstance(error, NoAnswer)
        assert (error.console_tail, error.phase) == ("the last line", "running")
        assert "; its machine is paused in the phase 'running'\nlast lines of its console:\nthe last line" in str(error)
    assert (type(late), type(gone)) == (DeadlineExceeded, AgentUnreachable)


async def test_a_connection_that_was_given_up_says_nothing_of_the_sandbox(tmp_path: Path) -> None:
    async with scripted(tmp_path, tells_state=True) as it:
        pass
    assert "paused" not in str(await _error_of(it.agent.wait_process(INIT)))


async def test_a_read_past_its_deadline_did_not_happen(tmp_path: Path) -> None:
    async with scripted(tmp_path, deadline_seconds=0.2) as it:
        it.script.hang("SandboxContext/FilesystemUsage")
        with pytest.raises(DeadlineExceeded) as raised:
            await it.agent.usage(STORE)
    assert raised.value.outcome is Outcome.DID_NOT


async def test_waiting_for_a_process_has_no_deadline(tmp_path: Path) -> None:
    async with scripted(tmp_path, deadline_seconds=0.1) as it:

        async def later(_: bytes, __: object) -> wire.WaitProcessResponse:
            await asyncio.sleep(0.4)
            return wire.WaitProcessResponse(code=137, signal=9, reason=wire.EXIT_REASON_OOM_KILLED)

        it.script.on("WaitProcess", later)
        assert await it.agent.wait_process(INIT) == ExitStatus(137, 9, ExitReason.OOM_KILLED)


async def test_an_agent_that_is_gone_is_unreachable_and_a_pending_call_may_have_happened(tmp_path: Path) -> None:
    async with scripted(tmp_path) as it:
        reached = it.script.hang("PreparePod")
        async with asyncio.TaskGroup() as group:
            pending = group.create_task(_error_of(it.agent.prepare_pod(PREPARATION)))
            await reached.wait()
            await it.server.stop(None)
        error = pending.result()
        assert isinstance(error, AgentUnreachable)
        assert error.outcome is Outcome.MAY_HAVE
        assert error.retryable

        later = await _error_of(it.agent.prepare_pod(PREPARATION))
        assert isinstance(later, AgentUnreachable)
        assert later.outcome is Outcome.DID_NOT  # it never left


async def test_the_death_of_the_sandbox_ends_pending_and_later_calls_at_once(tmp_path: Path) -> None:
    async with scripted(tmp_path) as it:
        waiting, preparing = it.script.hang("WaitProcess"), it.script.hang("PreparePod")
        async with asyncio.TaskGroup() as group:
            pending = [
                group.create_task(_error_of(call))
                for call in (
                    it.agent.wait_process(INIT),
                    it.agent.wait_process(INIT),
                    it.agent.prepare_pod(PREPARATION),
                )
            ]
            await waiting.wait()
            await preparing.wait()
            it.sandbox.die("kernel panic", "the last line")
        for task, outcome in zip(pending, (Outcome.DID_NOT, Outcome.DID_NOT, Outcome.MAY_HAVE), strict=True):
            error = task.result()
            assert isinstance(error, SandboxDied)
            assert (error.reason, error.console_tail) == ("kernel panic", "the last line")
            assert error.outcome is outcome

        calls = len(it.script.called)
        later = await _error_of(it.agent.prepare_pod(PREPARATION))
        assert isinstance(later, SandboxDied)
        assert later.outcome is Outcome.DID_NOT
        assert len(it.script.called) == calls


async def test_a_connection_that_goes_down_with_its_sandbox_is_a_death(tmp_path: Path) -> None:
    async with scripted(tmp_path) as it:
        reached = it.script.hang("WaitProcess")
        async with asyncio.TaskGroup() as group:
            pending = group.create_task(_error_of(it.agent.wait_process(INIT)))
            await reached.wait()
            await it.server.stop(None)
            await asyncio.sleep(0.05)
            it.sandbox.die("killed")
        assert isinstance(pending.result(), SandboxDied)


async def test_leaving_the_connection_ends_what_is_pending(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as group, scripted(tmp_path) as it:
        reached = it.script.hang("WaitProcess")
        pending = group.create_task(_error_of(it.agent.wait_process(INIT)))
        await reached.wait()
    assert isinstance(pending.result(), AgentUnreachable)
    assert isinstance(await _error_of(it.agent.wait_process(INIT)), AgentUnreachable)


async def test_cancelling_a_call_cancels_it_in_the_agent(tmp_path: Path) -> None:
    async with scripted(tmp_path) as it:
        reached, cancelled = asyncio.Event(), asyncio.Event()

        async def hangs(_: bytes, __: object) -> wire.PreparePodResponse:
            reached.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
            return wire.PreparePodResponse()

        it.script.on("PreparePod", hangs)
        pending = asyncio.ensure_future(it.agent.prepare_pod(PREPARATION))
        await reached.wait()
        pending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pending
        async with asyncio.timeout(60):
            await cancelled.wait()


async def test_a_cancelled_start_is_undone_in_the_agent(tmp_path: Path) -> None:
    async with scripted(tmp_path, answers={"RemoveContainer": wire.RemoveContainerResponse()}) as it:
        reached = it.script.hang("StartContainer")
        pending = asyncio.ensure_future(it.agent.start_container(LAUNCH))
        await reached.wait()
        pending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pending
        assert it.script.called[-1] == "RemoveContainer"


async def test_a_start_past_its_deadline_is_undone_and_a_failing_undo_is_noted(tmp_path: Path) -> None:
    # The undo has as long, and its own answer has to come in time.
    async with scripted(tmp_path, deadline_seconds=2.0) as it:
        it.script.hang("StartContainer")
        it.script.fail("RemoveContainer", StatusCode.INTERNAL, "no way")
        with pytest.raises(DeadlineExceeded) as raised:
            await it.agent.start_container(LAUNCH)
        assert it.script.called[-1] == "RemoveContainer"
    assert any("no way" in note for note in raised.value.__notes__)


async def test_over_sandbox_context_a_start_that_fails_deletes_the_process(tmp_path: Path) -> None:
    answers = {
        "SandboxContext/CreateProcess": context_wire.CreateProcessResponse(),
        "SandboxContext/DeleteProcess": context_wire.DeleteProcessResponse(),
    }
    async with scripted(tmp_path, knows_agent_v1=False, answers=answers) as it:
        it.script.fail("SandboxContext/StartProcess", StatusCode.INTERNAL, "vmexec error: no such target")
        with pytest.raises(AgentError, match="no such target"):
            await it.agent.start_container(LAUNCH)
        wanted = ["CreateProcess", "StartProcess", "DeleteProcess"]
        assert it.script.called == [f"SandboxContext/{name}" for name in wanted]


async def test_over_sandbox_context_a_create_that_was_refused_deletes_nothing(tmp_path: Path) -> None:
    async with scripted(tmp_path, knows_agent_v1=False) as it:
        detail = wire.ErrorDetail(code="container-not-running", values={"container_id": "c", "phase": "created"})
        it.script.fail("SandboxContext/CreateProcess", StatusCode.FAILED_PRECONDITION, "no", detail)
        with pytest.raises(ContainerNotRunning) as raised:
            await it.agent.start_container(LAUNCH)
        assert raised.value.phase == "created"
        assert it.script.called == ["SandboxContext/CreateProcess"]


@pytest.mark.parametrize(
    ("code", "status"),
    [(0, ExitStatus(0)), (3, ExitStatus(3)), (128, ExitStatus(128)), (137, ExitStatus.from_signal(9))],
)
async def test_over_sandbox_context_an_exit_code_above_128_is_a_signal(
    tmp_path: Path, code: int, status: ExitStatus
) -> None:
    answers = {"SandboxContext/WaitProcess": context_wire.WaitProcessResponse(exitCode=code)}
    async with scripted(tmp_path, knows_agent_v1=False, answers=answers) as it:
        assert await it.agent.wait_process(INIT) == status


async def test_an_agent_that_is_not_firkins_gets_the_keys_that_it_insists_on(tmp_path: Path) -> None:
    answers = {"SandboxContext/StartProcess": context_wire.StartProcessResponse(pid=2)}
    sent: list[dict[str, dict[str, object]]] = []
    async with scripted(tmp_path, knows_agent_v1=False, answers=answers) as it:

        async def create(data: bytes, _: Context) -> context_wire.CreateProcessResponse:
            sent.append(json.loads(context_wire.CreateProcessRequest.FromString(data).configuration))
            return context_wire.CreateProcessResponse()

        it.script.on("SandboxContext/CreateProcess", create)
        spec = {
            "process": {"args": ["x"]},
            "linux": {
                "namespaces": [{"type": "pid"}, {"type": "ipc", "path": "/p"}],
                "resources": {"cpu": {"quota": 1}},
            },
        }
        await it.agent.start_container(ContainerLaunch(ContainerId("c"), json.dumps(spec).encode(), NO_STREAMS))
        await it.agent.start_container(LAUNCH)
    whole, empty = sent
    assert whole["process"] == {"args": ["x"]}
    assert whole["linux"] == {
        "namespaces": [{"path": "", "type": "pid"}, {"path": "/p", "type": "ipc"}],
        "resources": {"devices": [], "hugepageLimits": [], "cpu": {"cpus": "", "mems": "", "quota": 1}},
    }
    assert empty == {"linux": {"namespaces": []}}


async def _error_of(call: object) -> BaseException | None:
    assert asyncio.iscoroutine(call)
    try:
        await call
    except Exception as error:
        return error
    return None
