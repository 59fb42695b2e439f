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

TEN, ROWS, MACHINES = 10, 2, 8


def _stores(directory: Path, count: int) -> list[StoreMedium]:
    directories = [directory / str(number) for number in range(count)]
    for each in directories:
        each.mkdir()
    return [empty_store(each) for each in directories]


async def _boot(vmm: Vmm, store: StoreMedium) -> None:
    """Boot a machine to its agent's first answer, and end it in order."""
    async with vmm.booted(request_for(store)) as sandbox:
        async with GrpcAgentConnector(deadline_seconds=BOOT_SECONDS).connected(sandbox, BOOT_SECONDS) as agent:
            assert (await agent.info()).features
        assert (await sandbox.stop(BOOT_SECONDS)).exit_status == 0


@pytest.mark.parametrize("ten", ["first", "second", "third"])
async def test_thirty_boots_in_rows_leave_nothing(tmp_path: Path, ten: str) -> None:
    # By ten, so that on a busy machine each part ends within the deadline of every test.
    vmm, stores = qemu_vmm(tmp_path), _stores(tmp_path, ROWS)

    async def boot_in_a_row(store: StoreMedium) -> None:
        for _ in range(TEN // ROWS):
            await _boot(vmm, store)

    await _boot(vmm, stores[0])
    before = await settled_state()
    async with asyncio.TaskGroup() as group:
        for store in stores:
            group.create_task(boot_in_a_row(store), name=f"row of {store.path}")
    assert MachineState.now().beyond(before) == {}
    assert not list((tmp_path / "run").iterdir())


async def test_eight_machines_at_once_leave_nothing(tmp_path: Path) -> None:
    vmm, stores = qemu_vmm(tmp_path), _stores(tmp_path, MACHINES)
    before = await settled_state()
    booted = asyncio.Barrier(MACHINES)

    async def live(store: StoreMedium) -> None:
        async with vmm.booted(request_for(store)) as sandbox:
            async with GrpcAgentConnector(deadline_seconds=BOOT_SECONDS).connected(sandbox, BOOT_SECONDS) as agent:
                assert (await agent.info()).features
                # None ends before all have been there together.
                await booted.wait()
            assert (await sandbox.stop(BOOT_SECONDS)).exit_status == 0

    async with asyncio.timeout(2 * BOOT_SECONDS), asyncio.TaskGroup() as group:
        for store in stores:
            group.create_task(live(store), name=f"machine of {store.path}")
    assert MachineState.now().beyond(before) == {}
    assert not list((tmp_path / "run").iterdir())
