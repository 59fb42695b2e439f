"""Many boots and many machines leave nothing behind."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from firkin.adapters.agent_grpc import GrpcAgentConnector
from firkin.ports.store import StoreMedium
from firkin.ports.vmm import Vmm
from tests.machine_state import MachineState, settled_state

from .machines import BOOT_SECONDS, empty_store, qemu_vmm, request_for

pytestmark = pytest.mark.real_time

BOOTS, MACHINES = 30, 8


async def _boot(vmm: Vmm, store: StoreMedium) -> None:
    """Boot a machine to its agent's first answer, and end it in order."""
    async with vmm.booted(request_for(store)) as sandbox:
        async with GrpcAgentConnector(deadline_seconds=BOOT_SECONDS).connected(sandbox, BOOT_SECONDS) as agent:
            assert (await agent.info()).features
        assert (await sandbox.stop(BOOT_SECONDS)).exit_status == 0


async def test_thirty_boots_in_a_row_leave_nothing(tmp_path: Path) -> None:
    vmm, store = qemu_vmm(tmp_path), empty_store(tmp_path)
    await _boot(vmm, store)
    before = await settled_state()
    for _ in range(BOOTS):
        await _boot(vmm, store)
    assert MachineState.now().beyond(before) == {}
    assert not list((tmp_path / "run").iterdir())


async def test_eight_machines_at_once_leave_nothing(tmp_path: Path) -> None:
    vmm = qemu_vmm(tmp_path)
    directories = [tmp_path / str(number) for number in range(MACHINES)]
    for directory in directories:
        directory.mkdir()
    before = await settled_state()
    booted = asyncio.Barrier(MACHINES)

    async def live(directory: Path) -> None:
        async with vmm.booted(request_for(empty_store(directory))) as sandbox:
            async with GrpcAgentConnector(deadline_seconds=BOOT_SECONDS).connected(sandbox, BOOT_SECONDS) as agent:
                assert (await agent.info()).features
                # None ends before all have been there together.
                await booted.wait()
            assert (await sandbox.stop(BOOT_SECONDS)).exit_status == 0

    async with asyncio.timeout(2 * BOOT_SECONDS), asyncio.TaskGroup() as group:
        for directory in directories:
            group.create_task(live(directory), name=f"machine {directory.name}")
    assert MachineState.now().beyond(before) == {}
    assert not list((tmp_path / "run").iterdir())
