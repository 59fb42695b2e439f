"""Stores whose project quotas are taken off, for kernels of which nobody knows whether they keep them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from firkin.adapters.vmm_qemu.quotas import without_project_quotas
from firkin.domain.ids import PodId
from firkin.domain.vm_config import VmConfig
from firkin.ports.store import StoreMedium
from firkin.ports.vmm import SandboxRequest

pytestmark = pytest.mark.real_time

DEADLINE_SECONDS = 60.0


def slow_tool(directory: Path) -> tuple[int, int]:
    """A tune2fs that says when it has begun, and ends when it is told to; both by pipes."""
    ends = []
    for name in ("begun", "gate"):
        os.mkfifo(directory / name)
        ends.append(os.open(directory / name, os.O_RDWR | os.O_NONBLOCK))
    tool = directory / "tune2fs"
    tool.write_text(f"#!/bin/sh\ncd {directory}\necho > begun\nread line < gate\necho > changed\n")
    tool.chmod(0o755)
    return ends[0], ends[1]


async def readable(file: int) -> None:
    arrived = asyncio.Event()
    asyncio.get_running_loop().add_reader(file, arrived.set)
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            await arrived.wait()
    finally:
        asyncio.get_running_loop().remove_reader(file)


async def test_a_filesystem_that_is_being_changed_when_it_is_called_off_is_changed_whole(tmp_path: Path) -> None:
    begun, gate = slow_tool(tmp_path)
    medium = StoreMedium(tmp_path / "store.ext4", "ext4", "ext4:x", True)
    request = SandboxRequest(PodId("pod-1"), VmConfig(), medium, "guest-name")
    changing = asyncio.ensure_future(without_project_quotas(request, str(tmp_path)))
    await readable(begun)
    changing.cancel()
    await asyncio.wait({changing}, timeout=0.1)
    assert not changing.done()
    os.write(gate, b"\n")
    await asyncio.wait({changing}, timeout=DEADLINE_SECONDS)
    assert changing.cancelled()
    assert (tmp_path / "changed").exists()
    os.close(begun)
    os.close(gate)
