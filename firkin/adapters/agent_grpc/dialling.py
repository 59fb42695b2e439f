"""The first words with an agent that is still booting."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from grpc import StatusCode
from grpc.aio import AioRpcError

from firkin.domain.errors import BootFailed, Outcome, SandboxDied
from firkin.ports.agent import Agent
from firkin.wire.agent_pb2 import GetInfoRequest
from firkin.wire.agent_pb2_grpc import AgentStub

from .errors import CallKind, translated
from .firkin_agent import FirkinAgent
from .sandbox_context import SandboxContextAgent
from .session import AgentSession

_OPERATION = "connect to vminitd"
_FIRST_PAUSE_SECONDS = 0.001
_LAST_PAUSE_SECONDS = 0.005
_PAUSE_GROWTH = 1.05
_PAUSE_AFTER_ATTEMPT_SECONDS = 0.01
# A connection that a VMM took for a guest that does not listen yet may never answer: then a new one is made.
_ATTEMPT_SECONDS = 2.0
_NOT_YET = frozenset({StatusCode.UNAVAILABLE, StatusCode.DEADLINE_EXCEEDED, StatusCode.CANCELLED})


async def dialled_agent(session: AgentSession, timeout_seconds: float, prefer_agent_v1: bool) -> Agent:
    """Wait until the agent answers, and choose the road by which to speak with it.

    Raises:
        BootFailed: the sandbox ended first, or the agent did not answer in time.
    """
    pauses = _pauses()
    try:
        async with asyncio.timeout(timeout_seconds):
            async with session.guarded(CallKind(_OPERATION, timeout_seconds, changes=False)):
                while True:
                    if session.has_agent_socket and (agent := await _attempt(session, prefer_agent_v1)) is not None:
                        return agent
                    await asyncio.sleep(next(pauses))
    except TimeoutError:
        raise await _late(session, timeout_seconds) from None
    except SandboxDied as died:
        reason = f"the sandbox ended: {died.reason}"
        failed = BootFailed(_OPERATION, reason, died.console_tail, died.phase, died.exit_status)
        raise failed.during(_OPERATION, outcome=Outcome.DID_NOT) from died


async def _late(session: AgentSession, timeout_seconds: float) -> BootFailed:
    reason = f"the guest agent did not answer within {timeout_seconds:g} s"
    state = await session.sandbox_state()
    if state is None:
        failed = BootFailed(_OPERATION, reason)
    else:
        failed = BootFailed(_OPERATION, f"{reason}; {state.condition}", state.console_tail, state.phase)
    return failed.during(_OPERATION, outcome=Outcome.DID_NOT)


async def _attempt(session: AgentSession, prefer_agent_v1: bool) -> Agent | None:
    """Ask once who the agent is; None when nobody answered."""
    try:
        info = await AgentStub(session.channel).GetInfo(GetInfoRequest(), timeout=_ATTEMPT_SECONDS)
    except AioRpcError as error:
        if error.code() is StatusCode.UNIMPLEMENTED:
            return SandboxContextAgent(session, None)
        if error.code() in _NOT_YET:
            await session.redial()
            await asyncio.sleep(_PAUSE_AFTER_ATTEMPT_SECONDS)
            return None
        failure = translated(error, CallKind(_OPERATION, _ATTEMPT_SECONDS, changes=False))
        raise BootFailed(_OPERATION, str(failure)).during(_OPERATION, outcome=Outcome.DID_NOT) from error
    return FirkinAgent(session, info) if prefer_agent_v1 else SandboxContextAgent(session, frozenset(info.features))


def _pauses() -> Iterator[float]:
    """A millisecond at first, then slowly more: the agent of a namespace sandbox is there in a fraction of a second."""
    pause = _FIRST_PAUSE_SECONDS
    while True:
        yield pause
        pause = min(pause * _PAUSE_GROWTH, _LAST_PAUSE_SECONDS)
