"""Asking ports from inside the pod's network, beyond what every agent promises."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from firkin.domain.errors import Outcome, UnsupportedFeature
from firkin.domain.probes import HttpGetAction, PortAction, TcpSocketAction

from .roads import SANDBOX_CONTEXT, OpenAgent, Road
from .scripted_agent import scripted

pytestmark = pytest.mark.real_time


async def test_an_agent_that_is_not_firkins_dials_nothing_and_is_not_asked(tmp_path: Path) -> None:
    async with scripted(tmp_path, knows_agent_v1=False) as it:
        assert (await it.agent.info()).features == frozenset()
        with pytest.raises(UnsupportedFeature, match="reach unix sockets only") as refused:
            await it.agent.check_port(TcpSocketAction(8080), 5)
        assert refused.value.outcome is Outcome.DID_NOT
        assert it.script.called == []


async def test_over_the_first_service_an_answer_that_never_comes_is_a_failure_in_time(tmp_path: Path) -> None:
    async with Road(SANDBOX_CONTEXT, tmp_path).opened() as it:
        await it.started("c", "/bin/sh", "-c", "nc -l -p 8080 -e sleep 3600; sleep 3600")
        await until_answer(it, HttpGetAction(8080), "took longer than 0.5 s", 0.5)
        failure = await it.agent.check_port(HttpGetAction(8081), 30)
        assert failure == "got no answer from 127.0.0.1 port 8081: Connection refused"


async def until_answer(it: OpenAgent, action: PortAction, wanted: str, timeout_seconds: float) -> None:
    async with asyncio.timeout(60):
        while (failure := await it.agent.check_port(action, timeout_seconds)) != wanted:
            assert "refused" in str(failure)
            await asyncio.sleep(0.02)
