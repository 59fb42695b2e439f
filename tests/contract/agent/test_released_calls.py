"""Connections that end with their session, whatever its users keep of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from google.protobuf.message import Message

from firkin.adapters.agent_grpc import GrpcAgentConnector
from firkin.adapters.agent_grpc.features import EVENTS
from firkin.application.task_scope import TaskScope
from firkin.domain.events import SandboxEvent
from firkin.wire import agent_pb2 as wire

from .scripted_agent import Context, FakeSandbox, ScriptedAgent

pytestmark = pytest.mark.real_time

_LOOKS = 6000


async def test_a_listener_that_was_cancelled_and_is_kept_keeps_no_connection(tmp_path: Path) -> None:
    script = ScriptedAgent(tmp_path)
    script.answer("GetInfo", wire.GetInfoResponse(version="scripted", features=[EVENTS]))
    script.on_stream("Events", _subscribed_for_ever)
    async with script.listening():
        async with GrpcAgentConnector().connected(FakeSandbox(tmp_path), 60) as agent:
            scope, heard = TaskScope(), asyncio.Event()
            listening = scope.start(_listen(agent.events(), heard), "listen")
            await heard.wait()
            assert _connections(tmp_path) == 1
            await scope.aclose()
        assert listening.cancelled()
        for _ in range(_LOOKS):
            if not _connections(tmp_path):
                return
            await asyncio.sleep(0.01)
        raise AssertionError("there is still a connection with the agent")


async def _subscribed_for_ever(_: bytes, __: Context) -> AsyncIterator[Message]:
    yield wire.Event(subscribed=wire.Subscribed())
    await asyncio.Event().wait()


async def _listen(events: AsyncIterator[SandboxEvent], heard: asyncio.Event) -> None:
    async for _ in events:
        heard.set()


def _connections(directory: Path) -> int:
    """How many sockets the agent has accepted: state 03 in the kernel's table is connected (net.h, SS_CONNECTED)."""
    lines = (line.split() for line in Path("/proc/net/unix").read_text().splitlines())
    return sum(fields[5] == "03" and fields[-1] == f"{directory}/guest-1024.sock" for fields in lines)
