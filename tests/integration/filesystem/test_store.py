"""Preparing a pod on its store, and ending it."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from firkin.domain.errors import AgentError, StoreDamaged, StoreFull
from firkin.domain.guest_path import GuestPath
from firkin.domain.ids import PodId
from firkin.domain.mounts import Mount
from firkin.domain.volumes import EmptyDirVolume
from firkin.vminitd.filesystem.files import write_file
from firkin.vminitd.filesystem.mounts import is_mount_point, mount, mount_points
from firkin.vminitd.filesystem.overlays import prepare_overlay
from firkin.vminitd.filesystem.store import STAGING_PREFIX, prepare_pod, sync, tear_down_pod, trim, usage

from .private_mounts import in_private_mounts
from .programs import run_program

POD = PodId("pod-1")
VOLUMES = (EmptyDirVolume.disk("work"), EmptyDirVolume.memory("fast", 65536))


@pytest.fixture
def store_mount(tmp_path: Path) -> Mount:
    """A directory of the host as the store."""
    (tmp_path / "host").mkdir()
    return Mount(str(tmp_path / "guest" / "store"), "bind", str(tmp_path / "host"), ("rbind", "rw"))


@in_private_mounts
def test_a_pod_has_its_directories_and_volumes(store_mount: Mount) -> None:
    prepare_pod(POD, store_mount, VOLUMES, run_program)
    store = Path(store_mount.destination)
    pod = store / "pods" / "pod-1"
    assert is_mount_point(str(store))
    assert (store / "templates").is_dir()
    assert sorted(os.listdir(pod)) == ["containers", "emptydir"]
    for name in ("work", "fast"):
        assert (pod / "emptydir" / name).stat().st_mode & 0o7777 == 0o777
    assert not is_mount_point(str(pod / "emptydir" / "work"))
    assert is_mount_point(str(pod / "emptydir" / "fast"))
    assert usage(str(pod / "emptydir" / "fast")).available_bytes == 65536


@in_private_mounts
def test_ending_a_pod_leaves_its_templates_and_nothing_else(store_mount: Mount, tmp_path: Path) -> None:
    before = mount_points()
    prepare_pod(POD, store_mount, VOLUMES, run_program)
    store = Path(store_mount.destination)
    lower = store / "templates" / "sha256-x" / "rootfs"
    lower.mkdir(parents=True)
    mount("bind", str(lower), str(lower), ["bind", "ro"])
    prepare_overlay(GuestPath(str(store / "pods" / "pod-1" / "containers" / "one")), GuestPath(str(lower)))
    assert tear_down_pod(POD, GuestPath(str(store)), ["work", "fast"]) == []
    assert mount_points() == before
    assert os.listdir(tmp_path / "host" / "pods") == []
    assert os.listdir(tmp_path / "host" / "templates") == ["sha256-x"]
    assert tear_down_pod(POD, GuestPath(str(store)), ["work", "fast"]) == []


@in_private_mounts
def test_what_an_earlier_pod_of_the_same_id_left_is_gone_and_other_pods_stay(
    store_mount: Mount, tmp_path: Path
) -> None:
    pods = tmp_path / "host" / "pods"
    (pods / "pod-1" / "emptydir" / "work").mkdir(parents=True)
    (pods / "pod-1" / "emptydir" / "work" / "stale").write_text("old")
    (pods / ".trash-0123").mkdir()
    (pods / "pod-2").mkdir()
    prepare_pod(POD, store_mount, VOLUMES, run_program)
    assert os.listdir(pods / "pod-1" / "emptydir" / "work") == []
    assert sorted(os.listdir(pods)) == ["pod-1", "pod-2"]


@in_private_mounts
def test_only_templates_whose_builder_is_gone_are_removed(store_mount: Mount, tmp_path: Path) -> None:
    templates = tmp_path / "host" / "templates"
    for name in ("dead", "alive"):
        (templates / f"{STAGING_PREFIX}{name}" / "rootfs").mkdir(parents=True)
    (templates / "sha256-whole").mkdir()
    alive = os.open(templates / f"{STAGING_PREFIX}alive", os.O_RDONLY)
    fcntl.flock(alive, fcntl.LOCK_EX)
    prepare_pod(POD, store_mount, (), run_program)
    assert sorted(os.listdir(templates)) == [f"{STAGING_PREFIX}alive", "sha256-whole"]
    os.close(alive)


@in_private_mounts
def test_a_store_that_is_mounted_already_is_used_as_it_is(store_mount: Mount) -> None:
    prepare_pod(POD, store_mount, (), run_program)
    before = mount_points()
    prepare_pod(PodId("pod-2"), store_mount, (), run_program)
    assert mount_points() == before


@in_private_mounts
def test_a_failure_undoes_every_step(store_mount: Mount, tmp_path: Path) -> None:
    before = mount_points()
    broken = (EmptyDirVolume.memory("fast", 65536), EmptyDirVolume.disk("twice"), EmptyDirVolume.disk("twice"))
    with pytest.raises(AgentError):
        prepare_pod(POD, store_mount, broken, run_program)
    assert mount_points() == before
    assert os.listdir(tmp_path / "host" / "pods") == []


@in_private_mounts
def test_a_missing_store_says_so(store_mount: Mount, tmp_path: Path) -> None:
    missing = Mount(store_mount.destination, "bind", str(tmp_path / "missing"), ("bind",))
    with pytest.raises(AgentError) as caught:
        prepare_pod(POD, missing, (), run_program)
    assert caught.value.path == store_mount.destination
    assert not (tmp_path / "guest").exists()


@in_private_mounts
def test_a_store_without_inodes_is_store_full(tmp_path: Path) -> None:
    store = Mount(str(tmp_path / "store"), "tmpfs", "tmpfs", ("nr_inodes=4",))
    with pytest.raises(StoreFull):
        prepare_pod(POD, store, VOLUMES, run_program)
    assert not (tmp_path / "store").exists() or not is_mount_point(store.destination)


def test_a_directory_that_cannot_be_trimmed_trims_nothing(tmp_path: Path) -> None:
    assert trim("/dev/shm") == 0
    sync(str(tmp_path))
    with pytest.raises(AgentError):
        usage(str(tmp_path / "missing"))


@pytest.fixture
def loop_device(tmp_path: Path) -> Iterator[str]:
    """A loop device with an ext4 filesystem of 32 MiB on it."""
    image = tmp_path / "store.ext4"
    with open(image, "wb") as file:
        file.truncate(32 * 2**20)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", str(image)], check=True)
    command = ["losetup", "--find", "--show", str(image)]
    device = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    yield device
    subprocess.run(["losetup", "--detach", device], check=True)


@in_private_mounts
def test_an_ext4_store_is_mounted_trimmed_and_unmounted(loop_device: str, tmp_path: Path) -> None:
    store = Mount(str(tmp_path / "store"), "ext4", loop_device, ("noatime",))
    prepare_pod(POD, store, (), run_program)
    file = tmp_path / "store" / "pods" / "pod-1" / "data"
    file.write_bytes(os.urandom(8 * 2**20))
    sync(store.destination)
    used = usage(store.destination).used_bytes
    file.unlink()
    sync(store.destination)
    assert usage(store.destination).used_bytes <= used - 8 * 2**20
    assert trim(store.destination) >= 8 * 2**20
    with pytest.raises(StoreFull):
        write_file(str(file.parent), "large", (bytes(2**20) for _ in range(64)), 0o644)
    assert tear_down_pod(POD, GuestPath(store.destination), []) == []


@in_private_mounts
def test_a_device_without_a_filesystem_is_a_damaged_store(loop_device: str, tmp_path: Path) -> None:
    with open(loop_device, "r+b") as device:
        device.write(bytes(65536))
    with pytest.raises(StoreDamaged):
        prepare_pod(POD, Mount(str(tmp_path / "store"), "ext4", loop_device, ()), (), run_program)
    assert not (tmp_path / "store").exists()
