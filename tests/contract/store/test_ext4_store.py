"""Stores that are an ext4 filesystem in a file."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from firkin.adapters.store_ext4 import Ext4PodStore
from firkin.adapters.store_ext4.kernel_quotas import kernel_keeps_project_quotas
from firkin.config import ADMINISTRATION_PATH
from firkin.domain.errors import (
    AgentError,
    ConfigurationError,
    MissingTool,
    PermissionMissing,
    StoreDamaged,
    StoreInUse,
    StoreTooSmall,
)
from firkin.domain.ids import PodId
from firkin.domain.size import Size
from firkin.domain.store_spec import PodStoreSpec
from firkin.ports.store import StoreMedium
from firkin.testkit.opened_agent import same_bytes

pytestmark = pytest.mark.real_time

_POD = PodId("pod-1")


def _output_of(*command: str) -> str:
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


async def _run(*command: str) -> str:
    return await asyncio.to_thread(_output_of, *command)


async def _open_and_leave(state_dir: Path, spec: PodStoreSpec) -> StoreMedium:
    async with Ext4PodStore(state_dir).opened(spec, _POD) as medium:
        return medium


def _kept(tmp_path: Path) -> PodStoreSpec:
    return PodStoreSpec.at(tmp_path / "kept.ext4", Size.mib(64))


async def test_a_store_whose_disk_is_gone_hides_no_failure(tmp_path: Path) -> None:
    failure = AgentError("write", "Input/output error", errno=errno.EIO)
    opening = Ext4PodStore(tmp_path).opened(PodStoreSpec(), _POD)
    medium = await opening.__aenter__()
    shutil.rmtree(medium.path.parent)
    assert not await opening.__aexit__(AgentError, failure, None)


async def test_stores_of_machines_keep_project_quotas_and_others_as_the_hosts_kernel_does(tmp_path: Path) -> None:
    for_machines = Ext4PodStore(tmp_path, for_machines=True)
    async with for_machines.opened(PodStoreSpec(), _POD) as medium:
        assert medium.has_project_quotas
        assert medium.path.stat().st_blocks * 512 < Size.mib(1)
        features = await _run("dumpe2fs", "-h", str(medium.path))
        assert {"quota", "project"} <= set(features.partition("Filesystem features:")[2].splitlines()[0].split())
        await _run("e2fsck", "-fn", str(medium.path))
    # A store that is kept is mounted by machines and by this host, one after the other.
    async with for_machines.opened(_kept(tmp_path), _POD) as medium:
        assert medium.has_project_quotas is kernel_keeps_project_quotas()
    async with Ext4PodStore(tmp_path).opened(PodStoreSpec(), _POD) as medium:
        assert medium.has_project_quotas is kernel_keeps_project_quotas()


async def test_a_store_of_the_pods_own_is_sparse_sound_and_gone_afterwards(tmp_path: Path) -> None:
    async with Ext4PodStore(tmp_path).opened(PodStoreSpec(), _POD) as medium:
        assert medium.path.parent == tmp_path / "pod-stores"
        assert medium.path.name.startswith("pod-1-")
        assert medium.path.stat().st_size == Size.gib(8)
        assert medium.path.stat().st_blocks * 512 < Size.mib(1)
        assert medium.path.stat().st_mode & 0o777 == 0o600
        await _run("e2fsck", "-fn", str(medium.path))
    assert list((tmp_path / "pod-stores").iterdir()) == []


async def test_it_holds_many_small_files(tmp_path: Path) -> None:
    async with Ext4PodStore(tmp_path).opened(PodStoreSpec(), _POD) as medium:
        listing = await _run("dumpe2fs", "-h", str(medium.path))
    (inodes,) = [line.split(":")[1] for line in listing.splitlines() if line.startswith("Inode count")]
    assert int(inodes) >= 1_000_000


async def test_a_kept_store_stays_with_a_journal_and_is_made_whole_under_its_name(tmp_path: Path) -> None:
    medium = await _open_and_leave(tmp_path, _kept(tmp_path))
    assert medium.path == tmp_path / "kept.ext4"
    assert os.listdir(tmp_path) == ["kept.ext4"]
    assert "has_journal" in await _run("dumpe2fs", "-h", str(medium.path))
    await _run("e2fsck", "-fn", str(medium.path))


async def test_an_existing_store_keeps_its_size_and_content(tmp_path: Path) -> None:
    path = (await _open_and_leave(tmp_path, _kept(tmp_path))).path
    await _run("debugfs", "-w", "-R", "mkdir /templates", str(path))
    await _open_and_leave(tmp_path, PodStoreSpec.at(path, Size.gib(1)))
    assert path.stat().st_size == Size.mib(64)
    assert "Type: directory" in await _run("debugfs", "-R", "stat /templates", str(path))


async def test_what_a_machine_left_in_a_kept_store_is_for_the_next_machine_and_never_mounted_here(
    tmp_path: Path,
) -> None:
    path = (await _open_and_leave(tmp_path, _kept(tmp_path))).path
    for directory in ("pods", "pods/pod-1"):
        await _run("debugfs", "-w", "-R", f"mkdir {directory}", str(path))
    before = path.read_bytes()
    async with Ext4PodStore(tmp_path, for_machines=True).opened(_kept(tmp_path), _POD):
        pass
    assert same_bytes(path.read_bytes(), before)


async def test_what_pods_left_in_a_kept_store_is_removed_and_templates_stay(tmp_path: Path) -> None:
    path = (await _open_and_leave(tmp_path, _kept(tmp_path))).path
    for directory in ("templates", "templates/t", "pods", "pods/pod-1", "pods/pod-1/emptydir"):
        await _run("debugfs", "-w", "-R", f"mkdir {directory}", str(path))
    await _open_and_leave(tmp_path, _kept(tmp_path))
    assert "pod-1" not in await _run("debugfs", "-R", "ls -p /pods", str(path))
    assert "/t/" in await _run("debugfs", "-R", "ls -p /templates", str(path))
    await _run("e2fsck", "-fn", str(path))
    for _ in range(3000):
        if str(path) not in await _run("losetup", "--list", "--output", "BACK-FILE"):
            return
        await asyncio.sleep(0.02)  # the kernel gives a device back in its own time
    raise AssertionError(f"{path} is still behind a loop device")


async def test_keys_of_the_terminal_reach_no_program_that_makes_or_clears_a_store(tmp_path: Path) -> None:
    tools, sessions = tmp_path / "tools", tmp_path / "sessions"
    tools.mkdir()
    for name in ("mke2fs", "debugfs", "unshare"):
        real = shutil.which(name, path=f"{os.environ['PATH']}:{ADMINISTRATION_PATH}")
        (tools / name).write_text(f"#!/bin/sh\ncut -d' ' -f6 /proc/$$/stat >> {sessions}\nexec {real} \"$@\"\n")
        (tools / name).chmod(0o755)
    store = Ext4PodStore(tmp_path, search_path=f"{tools}:{os.environ['PATH']}:{ADMINISTRATION_PATH}")
    async with store.opened(_kept(tmp_path), _POD) as medium:
        for directory in ("pods", "pods/pod-1"):
            await _run("debugfs", "-w", "-R", f"mkdir {directory}", str(medium.path))
    found = sessions.read_text().split()
    assert len(found) >= 3
    assert str(os.getsid(0)) not in found


async def test_a_second_pod_is_refused_while_the_first_holds_it(tmp_path: Path) -> None:
    async with Ext4PodStore(tmp_path).opened(_kept(tmp_path), _POD):
        with pytest.raises(StoreInUse) as caught:
            await _open_and_leave(tmp_path, _kept(tmp_path))
    assert caught.value.path == str(tmp_path / "kept.ext4")
    assert caught.value.retryable


async def test_pods_with_stores_of_their_own_do_not_meet(tmp_path: Path) -> None:
    store = Ext4PodStore(tmp_path)
    async with store.opened(PodStoreSpec(), _POD) as first, store.opened(PodStoreSpec(), _POD) as second:
        assert first.path != second.path
        assert first.identity != second.identity


@pytest.mark.parametrize("size", [0, 1, Size.mib(16) - 1])
async def test_a_size_that_holds_no_filesystem_is_refused(tmp_path: Path, size: int) -> None:
    for spec in (PodStoreSpec(size=Size(size)), PodStoreSpec.at(tmp_path / "kept.ext4", size)):
        with pytest.raises(StoreTooSmall) as caught:
            await _open_and_leave(tmp_path, spec)
        assert caught.value.size_bytes == size
    assert not (tmp_path / "kept.ext4").exists()


@pytest.mark.parametrize("size", [Size.mib(16), Size.mib(16) + 1, Size.mib(100) + 12345, Size.gib(1)])
async def test_every_size_from_the_smallest_makes_a_sound_filesystem(tmp_path: Path, size: Size) -> None:
    for spec in (PodStoreSpec(size=size), PodStoreSpec.at(tmp_path / "kept.ext4", size)):
        async with Ext4PodStore(tmp_path).opened(spec, _POD) as medium:
            assert size - 4096 < medium.path.stat().st_size <= size
            await _run("e2fsck", "-fn", str(medium.path))


async def test_a_file_that_is_no_filesystem_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "kept.ext4"
    path.write_bytes(b"my thesis" * 2**21)
    with pytest.raises(StoreDamaged, match="no ext4 filesystem"):
        await _open_and_leave(tmp_path, PodStoreSpec.at(path))
    assert path.read_bytes() == b"my thesis" * 2**21


async def test_a_file_that_is_too_short_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kept.ext4").write_bytes(b"short")
    with pytest.raises(StoreTooSmall):
        await _open_and_leave(tmp_path, _kept(tmp_path))


async def test_a_store_that_was_cut_short_is_damaged_and_the_remedy_is_named(tmp_path: Path) -> None:
    path = (await _open_and_leave(tmp_path, _kept(tmp_path))).path
    os.truncate(path, Size.mib(32))
    with pytest.raises(StoreDamaged, match=r"e2fsck -f .*kept\.ext4"):
        await _open_and_leave(tmp_path, _kept(tmp_path))


async def test_a_store_that_has_recorded_errors_is_damaged(tmp_path: Path) -> None:
    path = (await _open_and_leave(tmp_path, _kept(tmp_path))).path
    await _run("debugfs", "-w", "-R", "set_super_value state 2", str(path))
    with pytest.raises(StoreDamaged, match="e2fsck"):
        await _open_and_leave(tmp_path, _kept(tmp_path))


async def test_a_path_that_is_a_directory_or_a_device_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, Path("/dev/null")):
        with pytest.raises(ConfigurationError):
            await _open_and_leave(tmp_path, PodStoreSpec.at(path))


async def test_a_path_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PermissionMissing):
        await _open_and_leave(tmp_path, PodStoreSpec.at("/proc/firkin/kept.ext4"))


async def test_a_missing_mke2fs_is_told_before_anything_is_made(tmp_path: Path) -> None:
    store = Ext4PodStore(tmp_path / "state", search_path=str(tmp_path))
    with pytest.raises(MissingTool) as caught:
        async with store.opened(PodStoreSpec(), _POD):
            pass
    assert caught.value.package == "e2fsprogs"
    assert not (tmp_path / "state").exists()


_CRASHING_OWNER = """
import asyncio, os, sys
from pathlib import Path
from firkin.adapters.store_ext4 import Ext4PodStore
from firkin.domain.ids import PodId
from firkin.domain.store_spec import PodStoreSpec

async def main():
    async with Ext4PodStore(Path(sys.argv[1])).opened(PodStoreSpec(), PodId("crashed")):
        os.kill(os.getpid(), 9)

asyncio.run(main())
"""


def _crash(state_dir: Path) -> None:
    root = str(Path(__file__).parents[3])
    command = [sys.executable, "-c", _CRASHING_OWNER, str(state_dir)]
    finished = subprocess.run(command, env={"PYTHONPATH": root}, capture_output=True, text=True)
    assert finished.returncode == -9, finished.stderr


async def test_the_next_pod_removes_the_image_of_a_crashed_owner(tmp_path: Path) -> None:
    await asyncio.to_thread(_crash, tmp_path)
    async with Ext4PodStore(tmp_path).opened(PodStoreSpec(), _POD) as medium:
        assert list((tmp_path / "pod-stores").iterdir()) == [medium.path]


async def test_cancelling_while_the_image_is_made_leaves_no_file(tmp_path: Path) -> None:
    for milliseconds in range(0, 10, 2):
        task = asyncio.ensure_future(_open_and_leave(tmp_path, PodStoreSpec()))
        await asyncio.sleep(milliseconds / 1000)
        task.cancel()
        await asyncio.wait([task])
    assert os.listdir(tmp_path / "pod-stores") == []
