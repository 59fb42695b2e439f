from __future__ import annotations

from pathlib import Path

import pytest

from firkin import (
    ContainerId,
    EmptyDirMedium,
    EmptyDirVolume,
    GuestPath,
    Mount,
    PodBuilder,
    PodContainerSpec,
    PodId,
    PodSpec,
    PodStoreSpec,
    ResourceLimit,
    RootfsSource,
    Size,
    Stdio,
    VmConfig,
    VolumeName,
)
from firkin.domain.rootfs_source import GuestPathRootfs
from firkin.domain.volumes import EmptyDirMount
from firkin.errors import InvalidGuestPath, InvalidId, InvalidSize

from .values import bundle


def test_a_pod_is_written_as_one_chain() -> None:
    spec = (
        PodBuilder("pod-1", VmConfig(), PodStoreSpec())
        .empty_dir(EmptyDirVolume.memory("m", size_limit=Size.mib(1)))
        .container(
            PodContainerSpec("a", RootfsSource.oci_bundle(bundle()))
            .command("sh", "-c", "id")
            .envs({"A": "1"})
            .mount(Mount.tmpfs("/t"))
            .empty_dir_mount("m", "/m", read_only=True)
            .stdout(Stdio.PIPED)
        )
        .build()
    )
    (one,) = spec.containers
    assert (spec.id, one.id, one.process.args) == ("pod-1", "a", ("sh", "-c", "id"))
    assert one.process.environment == (("A", "1"),)
    assert one.empty_dir_mounts == (EmptyDirMount("m", "/m", True),)
    assert (one.stdio.stdin, one.stdio.stdout, one.stdio.stderr) == (Stdio.NULL, Stdio.PIPED, Stdio.NULL)
    assert spec.empty_dirs == (EmptyDirVolume("m", EmptyDirMedium.MEMORY, Size.mib(1)),)


def test_every_setter_of_a_container_returns_a_new_one() -> None:
    start = PodContainerSpec("a", RootfsSource.guest_path("/srv/root"))
    later = (
        start.env("A", "1")
        .envs([("B", "2")])
        .working_dir("/srv")
        .user(1000)
        .capabilities(add=["KILL"], drop=["CHOWN"])
        .rlimits(ResourceLimit("RLIMIT_CORE", 0, 0))
        .tty()
        .new_privileges()
        .stdin(Stdio.PIPED)
        .stderr(Stdio.INHERIT)
        .hostname("h")
        .limits(memory=Size.mib(64), cpus=0.5, pids=9)
        .read_only_rootfs()
        .stop_grace(2.5)
    )
    assert start == PodContainerSpec("a", RootfsSource.guest_path("/srv/root"))
    assert later.process.environment == (("A", "1"), ("B", "2"))
    assert (later.process.working_dir, later.process.user) == ("/srv", "1000")
    assert (later.process.capabilities_add, later.process.capabilities_drop) == (("KILL",), ("CHOWN",))
    assert (later.process.terminal, later.process.no_new_privileges) == (True, False)
    assert (later.stdio.stdin, later.stdio.stderr) == (Stdio.PIPED, Stdio.INHERIT)
    assert (later.host_name, later.root_read_only, later.grace_seconds) == ("h", True, 2.5)
    assert (later.resources.memory_bytes, later.resources.cpus, later.resources.pids) == (2**26, 0.5, 9)


def test_a_builder_can_be_used_twice() -> None:
    start = PodBuilder("pod-1")
    first, second = start.empty_dir(EmptyDirVolume.disk("a")), start.empty_dir(EmptyDirVolume.disk("b"))
    assert [volume.name for volume in (*first.empty_dirs, *second.empty_dirs)] == ["a", "b"]
    assert start.empty_dirs == ()
    assert (start.id, start.containers, start.pod_store) == ("pod-1", (), PodStoreSpec())


def test_plain_values_become_checked_ones() -> None:
    pod = PodSpec("pod-1", containers=[PodContainerSpec("a", GuestPathRootfs("/srv"), mounts=[Mount.tmpfs("/t")])])
    assert type(pod.id) is PodId
    assert type(pod.containers) is tuple
    assert type(pod.containers[0].id) is ContainerId
    assert pod.containers[0].mounts == (Mount.tmpfs("/t"),)
    volume = EmptyDirVolume("v", "memory", 5)
    assert (type(volume.name), type(volume.size_limit)) == (VolumeName, Size)
    assert volume.medium is EmptyDirMedium.MEMORY
    assert type(EmptyDirMount("v", "/v").container_path) is GuestPath
    assert PodStoreSpec("/var/pods.ext4", 5) == PodStoreSpec.at(Path("/var/pods.ext4"), Size(5))
    assert type(PodStoreSpec("/x").path) is type(Path())
    config = VmConfig(memory=2**28, kernel="/boot/vmlinuz", command_line_extra=["quiet"])
    assert (type(config.memory), config.kernel, config.command_line_extra) == (Size, Path("/boot/vmlinuz"), ("quiet",))
    assert RootfsSource.ext4_image("/a.ext4").path == Path("/a.ext4")


def test_plain_values_that_break_a_rule_are_refused_at_once() -> None:
    with pytest.raises(InvalidId):
        PodContainerSpec("..", GuestPathRootfs("/srv"))
    with pytest.raises(InvalidId):
        PodSpec("a/b")
    with pytest.raises(InvalidId):
        EmptyDirVolume.disk("")
    with pytest.raises(InvalidGuestPath):
        GuestPathRootfs("srv")
    with pytest.raises(InvalidSize):
        EmptyDirVolume.memory("m", size_limit=-1)
    with pytest.raises(InvalidGuestPath):
        PodContainerSpec("a", GuestPathRootfs("/srv")).empty_dir_mount("m", "/../m")
