"""Agents that fall silent without dying, on virtual time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from firkin.adapters.agent_grpc.death_watch import DeathWatch
from firkin.adapters.agent_grpc.errors import CallKind
from firkin.adapters.agent_grpc.liveness import Liveness
from firkin.application.task_scope import TaskScope
from firkin.domain.errors import AgentUnreachable, Outcome, SandboxDied

from .scripted_agent import FakeSandbox

DEADLINE = 30.0
SHORT, LONG, ENDLESS = CallKind("short", DEADLINE), CallKind("long", 120.0), CallKind("wait", None)


class Agent:
    """Answers questions at once while it is awake, and counts them."""

    def __init__(self, directory: Path) -> None:
        self.sandbox = FakeSandbox(directory)
        self.is_awake = True
        self.questions: list[float] = []
        self.scope = TaskScope()
        self.liveness = Liveness(self.ask, self.scope, DEADLINE)
        self.watch = DeathWatch(self.sandbox)
        self.liveness.heard()

    async def ask(self, seconds: float) -> bool:
        self.questions.append(seconds)
        if not self.is_awake:
            await asyncio.sleep(seconds)
        return self.is_awake

    async def call(self, kind: CallKind, seconds: float) -> None:
        """A call that takes so long."""
        with self.watch.raced(kind.operation, kind.interrupted_outcome) as race:
            async with self.liveness.watched(kind, race):
                await asyncio.sleep(seconds)


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_a_long_call_goes_on_as_long_as_the_agent_answers_questions(tmp_path: Path) -> None:
    agent = Agent(tmp_path)
    await agent.call(LONG, 3600)
    assert set(agent.questions) == {DEADLINE}
    assert len(agent.questions) > 100


async def test_a_long_call_ends_when_the_agent_falls_silent(tmp_path: Path) -> None:
    agent = Agent(tmp_path)
    calling = agent.scope.start(agent.call(LONG, 3600), "call")
    await asyncio.sleep(100)
    agent.is_awake, begun = False, now()
    with pytest.raises(AgentUnreachable, match="answered nothing for 30 s") as failed:
        await calling
    assert now() - begun <= DEADLINE + 5
    assert failed.value.outcome is Outcome.MAY_HAVE
    await agent.scope.aclose()


@pytest.mark.parametrize("kind", [SHORT, ENDLESS])
async def test_calls_with_the_ordinary_deadline_and_waits_put_no_questions(tmp_path: Path, kind: CallKind) -> None:
    agent = Agent(tmp_path)
    await agent.call(kind, 3600)
    assert agent.questions == []


async def test_an_agent_that_missed_a_deadline_is_asked_once_before_the_next_call(tmp_path: Path) -> None:
    agent = Agent(tmp_path)
    await agent.liveness.expected("call")
    agent.liveness.missed()
    agent.is_awake, begun = False, now()
    with pytest.raises(AgentUnreachable, match="missed a deadline") as failed:
        await agent.liveness.expected("call")
    assert failed.value.outcome is Outcome.DID_NOT
    assert now() - begun == pytest.approx(2.0)
    agent.is_awake = True
    await agent.liveness.expected("call")
    await agent.liveness.expected("call")
    assert len(agent.questions) == 2


async def test_an_agent_that_is_yet_to_answer_at_all_is_not_asked(tmp_path: Path) -> None:
    """A machine that boots misses many a deadline."""
    agent = Agent(tmp_path)
    fresh = Liveness(agent.ask, agent.scope, DEADLINE)
    fresh.missed()
    await fresh.expected("call")
    with agent.watch.raced("call", Outcome.DID_NOT) as race:
        async with fresh.watched(LONG, race):
            await asyncio.sleep(100)
    assert agent.questions == []


async def test_the_death_of_the_sandbox_is_told_rather_than_the_silence(tmp_path: Path) -> None:
    agent = Agent(tmp_path)
    watching = agent.scope.start(agent.watch.watch(), "watch")
    calling = agent.scope.start(agent.call(LONG, 3600), "call")
    await asyncio.sleep(100)
    agent.is_awake = False
    agent.sandbox.die("killed")
    with pytest.raises(SandboxDied, match="killed"):
        await calling
    await watching
    await agent.scope.aclose()
