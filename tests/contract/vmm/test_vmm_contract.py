"""What every VMM promises (ports/vmm.py, ports/sandbox.py)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from firkin.adapters.memory import MemoryVmm
from firkin.domain.layout import POD_STORE_MOUNT
from firkin.ports.vmm import Vmm

from .guests import guest_vmm, leftovers, request_for

pytestmark = pytest.mark.real_time

_MAKERS: dict[str, Callable[[Path], Vmm]] = {"memory": lambda _: MemoryVmm(), "namespace": guest_vmm}


@pytest.fixture(params=list(_MAKERS))
def vmm(request: pytest.FixtureRequest, tmp_path: Path) -> Vmm:
    return _MAKERS[str(request.param)](tmp_path)


async def test_a_sandbox_runs_until_it_is_left(vmm: Vmm, tmp_path: Path) -> None:
    async with vmm.booted(request_for(tmp_path)) as sandbox:
        waiting = asyncio.ensure_future(sandbox.wait_ended())
        await asyncio.sleep(0)
        assert not waiting.done()
    assert (await waiting).reason
    assert leftovers(tmp_path) == []


async def test_stopping_tells_why_it_ended_and_twice_is_fine(vmm: Vmm, tmp_path: Path) -> None:
    async with vmm.booted(request_for(tmp_path)) as sandbox:
        first = await sandbox.stop(5)
        assert first.reason
        assert await sandbox.stop(5) == first


async def test_many_may_wait_for_the_end_also_after_it(vmm: Vmm, tmp_path: Path) -> None:
    async with vmm.booted(request_for(tmp_path)) as sandbox:
        async with asyncio.TaskGroup() as group:
            waiters = [group.create_task(sandbox.wait_ended()) for _ in range(3)]
            await sandbox.stop(5)
        assert {waiter.result() for waiter in waiters} == {await sandbox.wait_ended()}


async def test_a_cancelled_waiter_leaves_the_sandbox_and_the_other_waiters_alone(vmm: Vmm, tmp_path: Path) -> None:
    async with vmm.booted(request_for(tmp_path)) as sandbox:
        cancelled = asyncio.ensure_future(sandbox.wait_ended())
        other = asyncio.ensure_future(sandbox.wait_ended())
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.wait([cancelled])
        assert not other.done()
        assert await sandbox.stop(5) == await other


async def test_sandboxes_of_one_pod_id_have_ids_of_their_own(vmm: Vmm, tmp_path: Path) -> None:
    async with vmm.booted(request_for(tmp_path)) as first, vmm.booted(request_for(tmp_path)) as second:
        assert first.id != second.id
        assert first.socket_directory != second.socket_directory


async def test_the_store_is_mounted_at_its_place(vmm: Vmm, tmp_path: Path) -> None:
    async with vmm.booted(request_for(tmp_path)) as sandbox:
        assert sandbox.store_mount.destination == POD_STORE_MOUNT


async def test_a_body_that_fails_ends_the_sandbox_too(vmm: Vmm, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with vmm.booted(request_for(tmp_path)) as sandbox:
            raise ZeroDivisionError
    await sandbox.wait_ended()
    assert leftovers(tmp_path) == []


def test_every_promise_has_a_name_of_its_own_and_a_reason_when_it_is_not_kept(vmm: Vmm) -> None:
    promises = vmm.capabilities().promises
    assert len({promise.name for promise in promises}) == len(promises)
    assert all(promise.reason for promise in promises if promise.promise != "enforced")
    names = {promise.name for promise in promises}
    assert names >= {"memory limit", "cpu limit", "pids limit", "kernel isolation", "network isolation"}
