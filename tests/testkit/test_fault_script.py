"""What a fault script does, and that it can be done again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from firkin.domain.errors import (
    AgentError,
    AgentUnreachable,
    BootFailed,
    DeadlineExceeded,
    FirkinError,
    Outcome,
    SandboxDied,
    StoreFull,
)
from firkin.testkit.faults import Fault, FaultKind, FaultScript

from .fault_matrix.faulty_world import FaultyWorld


async def _failing(fault: Fault, call: str = "agent.trim") -> tuple[FirkinError, int]:
    """The error of a call that goes wrong, and how often it was made."""
    script, made = FaultScript(), []

    async def work() -> None:
        made.append(call)

    script.on(call, fault)
    with pytest.raises(FirkinError) as raised:
        await script.perform(call, work)
    return raised.value, len(made)


@pytest.mark.parametrize(
    ("fault", "kind", "outcome", "made"),
    [
        (Fault(FaultKind.DROP), AgentUnreachable, Outcome.DID_NOT, 0),
        (Fault(FaultKind.DROP, after=True), AgentUnreachable, Outcome.MAY_HAVE, 1),
        (Fault(FaultKind.NO_SPACE), StoreFull, Outcome.DID_NOT, 0),
        (Fault(FaultKind.IO_ERROR), AgentError, Outcome.DID_NOT, 0),
        (Fault(FaultKind.FREEZE), DeadlineExceeded, Outcome.MAY_HAVE, 0),
        (Fault(FaultKind.LATE), DeadlineExceeded, Outcome.MAY_HAVE, 1),
        (Fault(FaultKind.DIE), SandboxDied, Outcome.DID_NOT, 0),
    ],
    ids=str,
)
async def test_each_fault_raises_what_the_port_would_with_its_outcome(
    fault: Fault, kind: type[FirkinError], outcome: Outcome, made: int
) -> None:
    error, count = await _failing(fault)
    assert (type(error), error.outcome, count) == (kind, outcome, made)
    assert error.operation == "agent.trim"


async def test_ports_of_the_host_raise_errors_of_their_own() -> None:
    assert isinstance((await _failing(Fault(FaultKind.DROP), "vmm.boot"))[0], BootFailed)
    assert isinstance((await _failing(Fault(FaultKind.NO_SPACE), "store.open"))[0], StoreFull)


async def test_a_delay_and_a_freeze_take_their_time_and_a_duplicate_comes_twice() -> None:
    loop, script = asyncio.get_running_loop(), FaultScript()
    made: list[int] = []

    async def work() -> int:
        made.append(1)
        return len(made)

    script.on("agent.usage", Fault(FaultKind.DELAY, seconds=3600))
    begun = loop.time()
    assert await script.perform("agent.usage", work) == 1
    assert loop.time() - begun == 3600
    script.on("agent.usage", Fault(FaultKind.DUPLICATE))
    assert await script.perform("agent.usage", work, again=True) == 3


async def test_the_call_is_chosen_by_name_pattern_number_and_byte() -> None:
    script = FaultScript()
    script.on("agent.*", Fault(FaultKind.DROP), call=3)
    script.on("stdin.write", Fault(FaultKind.DROP, at_byte=100))
    found = [script.fault_of(name) is not None for name in ("agent.a", "vmm.boot", "agent.b", "agent.c", "agent.d")]
    assert found == [False, False, False, True, False]
    assert [script.fault_of("stdin.write", 40) is not None for _ in range(4)] == [False, False, True, False]
    assert script.injected == ["agent.c #1: drop", "stdin.write #3: drop at byte 100"]


async def test_a_stream_is_cut_at_its_byte(tmp_path: Path) -> None:
    world = FaultyWorld(tmp_path)
    async with world.runtime:
        pod = await world.pod()
        world.script.on("stdout.read", Fault(FaultKind.DROP, at_byte=3))
        await pod.add_container(world.container("new", "echo", "a text that is cut"))
        assert (await pod.wait_container("new")).stdout == b""
        assert world.script.injected == ["stdout.read #1: drop at byte 3"]


async def test_a_container_whose_removal_failed_makes_room_for_its_id(tmp_path: Path) -> None:
    world = FaultyWorld(tmp_path)
    async with world.runtime:
        pod = await world.pod()
        await pod.add_container(world.container("new", "echo", "first"))
        world.script.on("agent.remove_container", Fault(FaultKind.DROP))
        await pod.remove_container("new")
        await pod.add_container(world.container("new", "echo", "second"))
        assert (await pod.wait_container("new")).stdout == b"second\n"
