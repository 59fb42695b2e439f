"""An agent that is killed within its machine: the machine ends, with everything that waits for it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import firkin
from firkin.domain.errors import SandboxDied
from firkin.domain.store_spec import PodStoreSpec
from tests.integration.pod.pods import shell
from tests.machine_state import MachineState, settled_state

from .killed_agent import kill_agent_from_within
from .machines import machine_runtime, small_machine

pytestmark = pytest.mark.real_time

SOON = 60.0


async def test_an_agent_that_is_killed_ends_its_machine_and_everything_that_waits_for_it(
    tmp_path: Path, busybox_image: str
) -> None:
    store = PodStoreSpec.at(tmp_path / "kept.ext4", firkin.Size.mib(256))
    before = await settled_state()
    async with machine_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        builder = firkin.PodBuilder("pod-1", small_machine(), store).empty_dir(firkin.EmptyDirVolume.disk("tools"))
        pod = await runtime.spawn(builder.container(shell("a", bundle, "sleep 9999")).build())
        waiting = asyncio.ensure_future(pod.wait_container("a"))
        async with asyncio.timeout(SOON):
            await kill_agent_from_within(pod, bundle, "tools")
            with pytest.raises(SandboxDied) as died:
                await pod.wait_container("crashes")
            assert "Attempted to kill init" in died.value.console_tail
            with pytest.raises(SandboxDied):
                await waiting
            with pytest.raises(SandboxDied):
                await pod.store_used_bytes()
            assert not (await pod.stop()).clean
        # The store, which nobody unmounted, serves the next pod, and its template is whole.
        again = firkin.PodBuilder("pod-2", small_machine(), store).container(shell("b", bundle, "echo again"))
        async with runtime.spawn(again.build()) as pod:
            assert (await pod.wait_container("b")).stdout == b"again\n"
            assert (await pod.stop()).clean
    assert MachineState.now().beyond(before) == {}
    assert not list((tmp_path / "run").iterdir())
