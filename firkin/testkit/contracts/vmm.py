"""What every VMM promises (ports/vmm.py, ports/sandbox.py)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import pytest

from firkin.domain.layout import POD_STORE_MOUNT
from firkin.ports.vmm import SandboxRequest, Vmm

Leftovers = Callable[[], list[str]]

SOCKET_PATH_BYTES = 107
"""What an address of a unix socket holds, unix(7)."""


async def test_a_sandbox_runs_until_it_is_left(
    firkin_vmm: Vmm, firkin_sandbox_request: SandboxRequest, firkin_leftovers: Leftovers
) -> None:
    async with firkin_vmm.booted(firkin_sandbox_request) as sandbox:
        waiting = asyncio.ensure_future(sandbox.wait_ended())
        await asyncio.sleep(0)
        assert not waiting.done()
    assert (await waiting).reason
    assert firkin_leftovers() == []


async def test_stopping_tells_why_it_ended_and_twice_is_fine(
    firkin_vmm: Vmm, firkin_sandbox_request: SandboxRequest
) -> None:
    async with firkin_vmm.booted(firkin_sandbox_request) as sandbox:
        first = await sandbox.stop(5)
        assert first.reason
        assert await sandbox.stop(5) == first


async def test_many_may_wait_for_the_end_also_after_it(firkin_vmm: Vmm, firkin_sandbox_request: SandboxRequest) -> None:
    async with firkin_vmm.booted(firkin_sandbox_request) as sandbox:
        async with asyncio.TaskGroup() as group:
            waiters = [group.create_task(sandbox.wait_ended()) for _ in range(3)]
            await sandbox.stop(5)
        assert {waiter.result() for waiter in waiters} == {await sandbox.wait_ended()}


async def test_a_cancelled_waiter_leaves_the_sandbox_and_the_other_waiters_alone(
    firkin_vmm: Vmm, firkin_sandbox_request: SandboxRequest
) -> None:
    async with firkin_vmm.booted(firkin_sandbox_request) as sandbox:
        cancelled = asyncio.ensure_future(sandbox.wait_ended())
        other = asyncio.ensure_future(sandbox.wait_ended())
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.wait([cancelled])
        assert not other.done()
        assert await sandbox.stop(5) == await other


async def test_sandboxes_of_one_pod_id_have_ids_of_their_own(
    firkin_vmm: Vmm, firkin_sandbox_request: SandboxRequest
) -> None:
    async with firkin_vmm.booted(firkin_sandbox_request) as first, firkin_vmm.booted(firkin_sandbox_request) as second:
        assert first.id != second.id
        assert first.socket_directory != second.socket_directory


async def test_the_store_is_mounted_at_its_place(firkin_vmm: Vmm, firkin_sandbox_request: SandboxRequest) -> None:
    async with firkin_vmm.booted(firkin_sandbox_request) as sandbox:
        assert sandbox.store_mount.destination == POD_STORE_MOUNT


async def test_a_body_that_fails_ends_the_sandbox_too(
    firkin_vmm: Vmm, firkin_sandbox_request: SandboxRequest, firkin_leftovers: Leftovers
) -> None:
    with pytest.raises(ZeroDivisionError):
        async with firkin_vmm.booted(firkin_sandbox_request) as sandbox:
            raise ZeroDivisionError
    await sandbox.wait_ended()
    assert firkin_leftovers() == []


def test_every_promise_has_a_name_of_its_own_and_a_reason_when_it_is_not_kept(firkin_vmm: Vmm) -> None:
    promises = firkin_vmm.capabilities().promises
    assert len({promise.name for promise in promises}) == len(promises)
    assert all(promise.reason for promise in promises if promise.promise != "enforced")
    names = {promise.name for promise in promises}
    assert names >= {"memory limit", "cpu limit", "pids limit", "kernel isolation", "network isolation"}


async def test_waiting_for_the_end_twice_tells_the_same(
    firkin_vmm: Vmm, firkin_sandbox_request: SandboxRequest
) -> None:
    async with firkin_vmm.booted(firkin_sandbox_request) as sandbox:
        await sandbox.stop(5)
        assert await sandbox.wait_ended() == await sandbox.wait_ended()


async def test_its_sockets_are_in_a_directory_that_only_the_owner_may_enter(
    firkin_vmm: Vmm, firkin_sandbox_request: SandboxRequest
) -> None:
    async with firkin_vmm.booted(firkin_sandbox_request) as sandbox:
        directory = sandbox.socket_directory
        assert directory.is_absolute()
        if directory.exists():
            assert directory.stat().st_mode & 0o777 == 0o700
            assert len(os.fsencode(directory / "host-4294967295.sock")) <= SOCKET_PATH_BYTES
        for port in (5000, 5001, 5000):
            await sandbox.expose_guest_port(port)
    assert not directory.exists()


async def test_cancelling_a_boot_at_any_moment_leaves_nothing(
    firkin_vmm: Vmm, firkin_sandbox_request: SandboxRequest, firkin_leftovers: Leftovers
) -> None:
    for turns in range(12):
        booting = asyncio.ensure_future(_boot_and_wait(firkin_vmm, firkin_sandbox_request))
        for _ in range(turns):
            await asyncio.sleep(0.001 if turns > 6 else 0)
        booting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await booting
        assert firkin_leftovers() == []
    async with firkin_vmm.booted(firkin_sandbox_request):
        pass


async def _boot_and_wait(vmm: Vmm, request: SandboxRequest) -> None:
    async with vmm.booted(request) as sandbox:
        await sandbox.wait_ended()
