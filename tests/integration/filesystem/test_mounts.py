"""Mounting and unmounting, for real."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from firkin.domain.errors import AgentError, PathRefused
from firkin.vminitd.filesystem import mounts
from firkin.vminitd.filesystem.mounts import MountOptions, is_mount_point, mount, mounts_below, unmount

from .private_mounts import in_private_mounts


def refused_errno(path: Path) -> int:
    try:
        path.write_bytes(b"x")
    except OSError as error:
        return error.errno or 0
    return 0


def test_defaults_and_unknown_words_are_sorted_rightly() -> None:
    parsed = MountOptions.parse(["defaults", "ro", "rw", "nosuid,nodev", "size=4k", "rslave", "x-initrd.mount"])
    assert parsed.flags == mounts.MS_NOSUID | mounts.MS_NODEV
    assert parsed.data == "size=4k"
    assert parsed.propagation == (mounts.MS_SLAVE | mounts.MS_REC,)


@in_private_mounts
def test_a_tmpfs_is_mounted_with_its_options_and_unmounted(tmp_path: Path) -> None:
    target = tmp_path / "made" / "here"
    mount("tmpfs", "tmpfs", str(target), ["defaults", "size=64k", "mode=0711"])
    assert is_mount_point(str(target))
    assert target.stat().st_mode & 0o7777 == 0o711
    assert os.statvfs(target).f_blocks * os.statvfs(target).f_frsize == 65536
    unmount(str(target))
    assert not is_mount_point(str(target))


@in_private_mounts
def test_a_read_only_bind_cannot_be_written_while_its_source_can(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    mount("bind", str(tmp_path / "source"), str(tmp_path / "target"), ["rbind", "ro"])
    assert refused_errno(tmp_path / "target" / "file") == errno.EROFS
    assert refused_errno(tmp_path / "source" / "file") == 0


@in_private_mounts
def test_the_bind_of_a_file_makes_a_file(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"content")
    mount("", str(tmp_path / "source"), str(tmp_path / "a" / "target"), ["bind"])
    assert (tmp_path / "a" / "target").read_bytes() == b"content"


@in_private_mounts
def test_rro_makes_what_is_mounted_below_read_only_too(tmp_path: Path) -> None:
    source = tmp_path / "source"
    mount("tmpfs", "tmpfs", str(source / "below"), [])
    mount("bind", str(source), str(tmp_path / "shallow"), ["rbind", "ro"])
    mount("bind", str(source), str(tmp_path / "deep"), ["rbind", "ro", "rro"])
    assert refused_errno(tmp_path / "shallow" / "below" / "file") == 0
    assert refused_errno(tmp_path / "deep" / "below" / "file") == errno.EROFS


@in_private_mounts
def test_propagation_words_take_effect(tmp_path: Path) -> None:
    mount("tmpfs", "tmpfs", str(tmp_path), ["shared"])
    (tmp_path / "a").mkdir()
    mount("bind", str(tmp_path / "a"), str(tmp_path / "b"), ["rbind", "rslave"])
    table = Path("/proc/self/mountinfo").read_text().splitlines()
    assert any(f" {tmp_path} " in line and "shared:" in line for line in table)
    assert any(f" {tmp_path}/b " in line and "master:" in line for line in table)


@in_private_mounts
def test_a_remount_to_read_only_needs_no_data(tmp_path: Path) -> None:
    mount("tmpfs", "tmpfs", str(tmp_path / "t"), [])
    mount("", "", str(tmp_path / "t"), ["remount", "ro"])
    assert refused_errno(tmp_path / "t" / "file") == errno.EROFS


@in_private_mounts
def test_a_failed_mount_leaves_nothing_and_says_why(tmp_path: Path) -> None:
    with pytest.raises(AgentError) as caught:
        mount("no-such-filesystem", "none", str(tmp_path / "a" / "b"), [])
    assert (caught.value.errno, caught.value.operation) == (errno.ENODEV, "mount")
    assert list(tmp_path.iterdir()) == []


@in_private_mounts
def test_too_long_options_are_refused_before_the_kernel_cuts_them(tmp_path: Path) -> None:
    with pytest.raises(AgentError) as caught:
        mount("tmpfs", "tmpfs", str(tmp_path / "t"), ["size=1" + "0" * 5000])
    assert caught.value.errno == errno.E2BIG


@in_private_mounts
def test_unmounting_what_is_in_use_says_so_and_leaves_it_mounted(tmp_path: Path) -> None:
    mount("tmpfs", "tmpfs", str(tmp_path / "t"), [])
    with open(tmp_path / "t" / "held", "wb"):
        with pytest.raises(AgentError) as caught:
            unmount(str(tmp_path / "t"))
        assert caught.value.errno == errno.EBUSY
        assert is_mount_point(str(tmp_path / "t"))
    unmount(str(tmp_path / "t"))


@in_private_mounts
def test_unmounting_what_is_not_mounted_can_be_told_apart(tmp_path: Path) -> None:
    with pytest.raises(AgentError) as caught:
        unmount(str(tmp_path))
    assert caught.value.errno == errno.EINVAL
    with pytest.raises(AgentError) as caught:
        unmount(str(tmp_path / "missing"))
    assert caught.value.errno == errno.ENOENT


@in_private_mounts
def test_the_bind_of_a_directory_is_told_from_a_whole_filesystem(tmp_path: Path) -> None:
    mount("tmpfs", "tmpfs", str(tmp_path / "whole"), [])
    (tmp_path / "whole" / "part").mkdir()
    mount("bind", str(tmp_path / "whole" / "part"), str(tmp_path / "bound"), ["bind"])
    assert not mounts.shows_subdirectory(str(tmp_path / "whole"))
    assert mounts.shows_subdirectory(str(tmp_path / "bound"))


@in_private_mounts
def test_mounts_below_are_listed_innermost_first_with_spaces_in_their_names(tmp_path: Path) -> None:
    outer = tmp_path / "with space"
    mount("tmpfs", "tmpfs", str(outer), [])
    mount("tmpfs", "tmpfs", str(outer / "inner"), [])
    assert mounts_below(str(tmp_path)) == [str(outer / "inner"), str(outer)]
    assert mounts_below(str(outer)) == [str(outer / "inner")]
    assert not is_mount_point(str(tmp_path / "missing"))


@pytest.mark.parametrize(
    "path", ["", ".", "..", "relative", "a\0b", "/", "/run/firkin/host", "/dev", "/usr", sys.prefix]
)
def test_nothing_is_mounted_over_what_the_agent_needs_or_relative_to_where_it_is(path: str) -> None:
    for destination in (path, str(Path(sys.prefix).parent)):
        with pytest.raises(PathRefused):
            mount("tmpfs", "tmpfs", destination, [])
        with pytest.raises(PathRefused):
            unmount(destination)
