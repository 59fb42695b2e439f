"""What every agent promises of a pod as a whole: its templates, its store, its volumes, its end (ports/agent.py)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal

import pytest

from firkin.domain.errors import (
    BootFailed,
    FirkinError,
    Outcome,
    SandboxDied,
    StoreFull,
)
from firkin.domain.guest_path import GuestPath
from firkin.domain.process import ExitStatus
from firkin.domain.stages import TEMPLATE_STAGES
from firkin.ports.agent_templates import TemplateProgress

from ..agent_place import AgentPlace
from ..opened_agent import OpenAgent, init_of

_SECONDS = 60.0
"""Far less than the processes of these tests sleep, and far more than what is waited for takes."""


@pytest.mark.empty_store
async def test_a_template_is_made_once_and_is_there_in_the_next_sandbox(agent_place: AgentPlace) -> None:
    told: list[TemplateProgress] = []
    async with agent_place.opened() as it:
        first = await it.agent.ensure_template(it.bundle, it.layout, told.append)
        second = await it.agent.ensure_template(it.bundle, it.layout)
        await it.agent.tear_down_pod(it.preparation)
    assert first.created
    assert first.entries > 0
    assert not second.created
    total = sum(layer.size_bytes for layer in it.bundle.layers)
    assert (told[-1].done_bytes, told[-1].total_bytes) == (total, total)
    async with agent_place.opened() as it:
        assert not (await it.agent.ensure_template(it.bundle, it.layout)).created


@pytest.mark.empty_store
async def test_making_a_template_tells_what_its_stages_took(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        made = await it.agent.ensure_template(it.bundle, it.layout)
        found = await it.agent.ensure_template(it.bundle, it.layout)
    assert made.stage_seconds.keys() <= set(TEMPLATE_STAGES)
    assert made.stage_seconds["write"] > 0
    assert made.stage_seconds["commit"] > 0
    # One layer: each of its stages is at work for as long as the whole takes, at most.
    assert max(made.stage_seconds.values()) <= made.seconds
    assert found.stage_seconds == {}


async def test_the_store_tells_how_full_it_is_and_trims(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        usage = await it.agent.usage(it.layout.mount)
        assert usage.total_blocks >= usage.free_blocks >= usage.available_blocks > 0
        assert usage.block_size > 0
        assert await it.agent.trim(GuestPath(it.volume("fast"))) == 0


async def test_tearing_down_twice_is_clean(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        await it.started("c", "/bin/true")
        await it.agent.wait_process(init_of("c"))
        await it.removed("c")
        assert list(await it.agent.tear_down_pod(it.preparation)) == []
        assert list(await it.agent.tear_down_pod(it.preparation)) == []


async def test_the_end_of_the_sandbox_ends_a_pending_wait_and_every_later_call(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        await it.started("c", "/bin/sleep", "3600")
        pending = asyncio.ensure_future(it.agent.wait_process(init_of("c")))
        await asyncio.sleep(0.02)
        await it.sandbox.stop(0)
        # An agent that noticed its end before it was killed may have told of what it killed itself.
        with contextlib.suppress(SandboxDied):
            assert await pending == ExitStatus.from_signal(signal.SIGKILL)
        async with asyncio.timeout(_SECONDS):
            for _ in range(2):
                with pytest.raises(SandboxDied) as raised:
                    await it.agent.prepare_pod(it.preparation)
                assert raised.value.outcome is Outcome.DID_NOT


async def test_nobody_connects_to_a_sandbox_that_has_ended(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        await it.sandbox.stop(0)
        with pytest.raises(BootFailed):
            await _connect(agent_place, it)


async def _connect(agent_place: AgentPlace, it: OpenAgent) -> None:
    async with agent_place.connector.connected(it.sandbox, _SECONDS):
        pass


async def test_a_volume_with_a_size_limit_holds_that_much_and_no_more(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it:
        fast = GuestPath(it.volume("fast"))
        assert (await it.agent.usage(fast)).available_bytes == 2**20
        await it.agent.write_file(fast, "half", bytes(2**19))
        assert (await it.agent.usage(fast)).available_bytes == 2**19
        with pytest.raises(FirkinError) as raised:
            await it.agent.write_file(fast, "more", bytes(2**20))
        assert isinstance(raised.value, StoreFull) or getattr(raised.value, "errno", 0) == errno.ENOSPC
        await it.agent.write_file(GuestPath(it.volume("data")), "neighbour", bytes(2**20))
