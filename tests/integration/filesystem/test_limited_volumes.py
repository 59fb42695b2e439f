"""emptyDirs on disk with a size limit: a filesystem of their own, which holds that much and no more."""

from __future__ import annotations

import os
import secrets
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from firkin.domain.errors import AgentError, MissingTool, StoreFull
from firkin.domain.guest_path import GuestPath
from firkin.domain.ids import PodId
from firkin.domain.mounts import Mount
from firkin.domain.volumes import EmptyDirVolume
from firkin.vminitd.filesystem.files import write_file
from firkin.vminitd.filesystem.limited_volumes import BLOCK_BYTES, geometry
from firkin.vminitd.filesystem.mounts import mount, mount_points
from firkin.vminitd.filesystem.store import prepare_pod, tear_down_pod, usage
from tests.machine_state import backing_files

from .private_mounts import in_private_mounts
from .programs import run_program

POD = PodId("pod-1")
MIB = 2**20
DEADLINE_SECONDS = 60.0


@pytest.fixture
def store_mount(tmp_path: Path) -> Mount:
    """A directory of the host as the store."""
    (tmp_path / "host").mkdir()
    return Mount(str(tmp_path / "guest" / "store"), "bind", str(tmp_path / "host"), ("rbind", "rw"))


def volume_path(store: Mount, name: str) -> GuestPath:
    return GuestPath(f"{store.destination}/pods/{POD}/emptydir/{name}")


def loop_devices_of(pod_id: str) -> list[str]:
    """The files behind loop devices that are limited volumes of this pod."""
    return [file for file in backing_files().values() if f"/pods/{pod_id}/emptydir-images/v" in file]


def wait_until_no_loop_device_is_left(pod_id: str) -> None:
    """The kernel gives one back when the last who has opened it, be it only to look, has closed it."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while left := loop_devices_of(pod_id):
        assert time.monotonic() < deadline, left
        os.sched_yield()


@pytest.mark.parametrize("mib", [1, 2, 3, 7, 64, 117, 118, 128, 1000, 70_000, 8 * MIB])
def test_a_volume_has_at_least_its_limit_and_hardly_more(mib: int) -> None:
    usable = geometry(mib * MIB).usable_blocks * BLOCK_BYTES
    assert mib * MIB < usable < mib * MIB * 1.03


@in_private_mounts
def test_what_is_reckoned_of_a_filesystem_is_what_the_kernel_says(store_mount: Mount) -> None:
    volumes = [EmptyDirVolume.disk(f"v{mib}", mib * MIB) for mib in (1, 2, 100, 118, 129, 5000)]
    prepare_pod(POD, store_mount, volumes, run_program)
    for volume in volumes:
        assert volume.size_limit is not None
        path = volume_path(store_mount, volume.name)
        status = os.statvfs(path)
        assert status.f_bavail == geometry(volume.size_limit).usable_blocks
        # One file for each block, but for the few that the filesystem itself has.
        assert status.f_favail > status.f_bavail
        assert os.listdir(path) == []
        assert os.stat(path).st_mode & 0o7777 == 0o777
    assert tear_down_pod(POD, GuestPath(store_mount.destination), []) == []


@in_private_mounts
def test_a_file_of_exactly_the_limit_fits_and_a_few_percent_more_do_not(store_mount: Mount) -> None:
    limit = 3 * MIB
    prepare_pod(POD, store_mount, [EmptyDirVolume.disk("work", limit), EmptyDirVolume.disk("other", MIB)], run_program)
    work, other = volume_path(store_mount, "work"), volume_path(store_mount, "other")
    write_file(work, "whole", [bytes(limit)], 0o644)
    with pytest.raises(StoreFull):
        write_file(work, "more", [bytes(limit // 32)], 0o644)
    assert usage(work).available_bytes < limit // 32
    write_file(other, "neighbour", [bytes(MIB)], 0o644)
    os.unlink(work.below("whole"))
    write_file(work, "again", [bytes(limit)], 0o644)
    with open(work.below("again"), "ab") as file, pytest.raises(OSError, match="No space left"):
        file.write(bytes(limit))
    assert tear_down_pod(POD, GuestPath(store_mount.destination), ["work", "other"]) == []


@in_private_mounts
def test_a_volume_takes_no_space_of_the_store_before_it_is_used_and_gives_back_what_is_removed(
    store_mount: Mount, tmp_path: Path
) -> None:
    prepare_pod(POD, store_mount, [EmptyDirVolume.disk("work", 1000 * MIB)], run_program)
    image, work = tmp_path / "host/pods/pod-1/emptydir-images/work", volume_path(store_mount, "work")
    assert image.stat().st_blocks * 512 < MIB
    write_file(work, "file", [b"x" * 32 * MIB], 0o644)
    os.sync()
    assert image.stat().st_blocks * 512 > 32 * MIB
    os.unlink(work.below("file"))
    descriptor = os.open(work, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
    os.sync()
    assert image.stat().st_blocks * 512 < 4 * MIB
    assert tear_down_pod(POD, GuestPath(store_mount.destination), ["work"]) == []


@in_private_mounts
def test_ten_limited_volumes_leave_no_mount_no_device_and_no_file(store_mount: Mount, tmp_path: Path) -> None:
    mounted = mount_points()
    volumes = [EmptyDirVolume.disk(f"v{number}", (number + 1) * MIB) for number in range(10)]
    # A name that no other pod of this machine has, nor has had.
    pod = PodId(f"ten-{secrets.token_hex(8)}")
    prepare_pod(pod, store_mount, volumes, run_program)
    assert len(loop_devices_of(pod)) == 10
    assert tear_down_pod(pod, GuestPath(store_mount.destination), [volume.name for volume in volumes]) == []
    assert mount_points() == mounted
    wait_until_no_loop_device_is_left(pod)
    assert os.listdir(tmp_path / "host" / "pods") == []


@in_private_mounts
def test_a_volume_that_cannot_be_made_undoes_the_others(store_mount: Mount, tmp_path: Path) -> None:
    mounted = mount_points()
    volumes = [EmptyDirVolume.disk("one", MIB), EmptyDirVolume.disk("two", MIB)]

    def run(command: Sequence[str]) -> tuple[int, str]:
        return run_program(command) if "one" in command[-1] else (1, "mke2fs: it does not want to")

    with pytest.raises(AgentError, match="it does not want to"):
        prepare_pod(POD, store_mount, volumes, run)
    assert mount_points() == mounted
    assert os.listdir(tmp_path / "host" / "pods") == []


@in_private_mounts
def test_a_sandbox_without_mke2fs_refuses_and_names_the_package(store_mount: Mount) -> None:
    os.environ["PATH"] = "/nowhere"
    with pytest.raises(MissingTool, match="apt-get install e2fsprogs"):
        prepare_pod(POD, store_mount, [EmptyDirVolume.disk("work", MIB)], run_program)


@in_private_mounts
def test_a_store_that_is_too_full_for_a_volume_is_told_as_full(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as directory:
        mount("tmpfs", "tmpfs", directory, ["size=24k"])
        store = Mount(str(tmp_path / "store"), "bind", directory, ())
        with pytest.raises(StoreFull):
            prepare_pod(POD, store, [EmptyDirVolume.disk("work", MIB)], run_program)
        os.chdir("/")
        run_program(["umount", "--lazy", directory])
