"""Every call of SandboxContext: lenient in, strict out, the same again where natural, and errors that say why."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from google.protobuf.message import Message
from grpc.aio import AioRpcError

from firkin.wire import sandbox_context_pb2 as wire

from .agent_process import CALL_SECONDS, RunningAgent, detail_of, make_rootfs, running_agent, runtime_spec
from .context_calls import CONTAINER, Failure, Row, rows
from .error_subjects import unmentioned

pytestmark = pytest.mark.real_time

_CALLS = [method.name for method in wire.DESCRIPTOR.services_by_name["SandboxContext"].methods]


def _rows(directory: Path) -> dict[str, Row]:
    scratch = directory / "scratch"
    scratch.mkdir()
    return rows(scratch, directory / "rootfs")


def test_every_call_has_a_row_and_every_row_names_tests_of_it(tmp_path: Path) -> None:
    table = _rows(tmp_path)
    assert sorted(table) == sorted(_CALLS)
    for name, row in table.items():
        module = (Path(__file__).parent / f"{row.tested_in}.py").read_text()
        assert f"{name}(" in module or f"{name}Request" in module or name in _INDIRECTLY_TESTED, name
        assert row.succeeds or row.fails


# These modules go by helpers that make the calls (of agent_process.py), or by what the calls are made of.
_INDIRECTLY_TESTED = {"WaitProcess", "KillProcess", "DeleteProcess", "ContainerStatistics"}


@contextlib.asynccontextmanager
async def _agent(directory: Path) -> AsyncIterator[RunningAgent]:
    rootfs = make_rootfs(directory / "rootfs")
    async with running_agent() as agent:
        stdin = await agent.listen()
        await agent.start(CONTAINER, runtime_spec(rootfs, "sleep", "1000"), stdin=stdin)
        yield agent


async def _answered(agent: RunningAgent, name: str, request: Message) -> None:
    call = getattr(agent.context, name)(request, timeout=CALL_SECONDS)
    if name == "Copy":
        async for _ in call:
            pass
    else:
        await call


@pytest.mark.parametrize("name", _CALLS)
async def test_a_call_answers_as_its_row_says(name: str, tmp_path: Path) -> None:
    row = _rows(tmp_path)[name]
    async with _agent(tmp_path) as agent:
        for request in row.succeeds:
            await _answered(agent, name, request)
            if row.again:
                await _answered(agent, name, request)
        for failure in row.fails:
            await _fails(agent, name, failure)
        # None of it has hurt the agent, or the container that runs.
        await _answered(agent, "KillProcess", wire.KillProcessRequest(id=CONTAINER, containerID=CONTAINER, signal=0))


async def _fails(agent: RunningAgent, name: str, failure: Failure) -> None:
    with pytest.raises(AioRpcError) as raised:
        await _answered(agent, name, failure.request)
    detail = detail_of(raised.value)
    told = f"{failure}: {raised.value.details()} {detail}"
    assert (raised.value.code(), detail.errno) == (failure.status, failure.errno), told
    assert detail.path.endswith(failure.path), told
    assert detail.code, told
    assert detail.operation, told
    assert unmentioned(failure.request, detail) == "", told
    assert raised.value.details(), told
