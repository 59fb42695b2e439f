"""Parts of volumes, among links that a container has planted."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from firkin.domain.errors import AgentError, PathRefused
from firkin.domain.guest_path import GuestPath
from firkin.vminitd.filesystem.mounts import is_mount_point, mount
from firkin.vminitd.filesystem.overlays import remove_overlay
from firkin.vminitd.filesystem.volume_parts import VolumePart, mount_volume_part

from .private_mounts import in_private_mounts


def volume_and_base(tmp_path: Path) -> tuple[Path, Path]:
    """A volume with something beside it that nobody may see, and a container's overlay base."""
    mount("tmpfs", "tmpfs", str(tmp_path / "store"), [])
    volume, base = tmp_path / "store/emptydir/v", tmp_path / "store/containers/c"
    volume.mkdir(parents=True)
    base.mkdir(parents=True)
    volume.chmod(0o2777)
    (tmp_path / "store/emptydir/secret").mkdir()
    (tmp_path / "store/emptydir/secret/key").write_text("secret")
    return volume, base


def shown(volume: Path, relative_path: str, base: Path) -> Path:
    path = base / "volumes/0"
    mount_volume_part(VolumePart(GuestPath(str(volume)), relative_path, GuestPath(str(path))))
    return path


@in_private_mounts
def test_a_part_that_is_missing_becomes_a_directory_like_its_volume(tmp_path: Path) -> None:
    volume, base = volume_and_base(tmp_path)
    part = shown(volume, "a/b", base)
    (part / "file").write_text("x")
    assert (volume / "a/b/file").read_text() == "x"
    assert [oct((volume / name).stat().st_mode & 0o7777) for name in ("a", "a/b")] == ["0o2777"] * 2
    assert remove_overlay(GuestPath(str(base))) == []
    assert (volume / "a/b/file").read_text() == "x"
    assert not is_mount_point(str(part))


@in_private_mounts
def test_a_part_may_be_a_file_and_links_within_the_volume_are_followed(tmp_path: Path) -> None:
    volume, base = volume_and_base(tmp_path)
    (volume / "real").mkdir()
    (volume / "real/file").write_text("content")
    (volume / "link").symlink_to("real")
    (volume / "real/up").symlink_to("../real/file")
    assert shown(volume, "link/up", base).read_text() == "content"


@in_private_mounts
def test_the_next_start_finds_the_part_anew(tmp_path: Path) -> None:
    volume, base = volume_and_base(tmp_path)
    shown(volume, "part", base)
    (volume / "part").rmdir()
    (volume / "part").write_text("a file now")
    part = shown(volume, "part", base)
    assert part.read_text() == "a file now"
    (volume / "part").unlink()
    assert shown(volume, "part", base).is_dir()
    assert remove_overlay(GuestPath(str(base))) == []


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("../secret", "link"),
        ("../secret", "link/key"),
        ("/etc", "link"),
        ("/etc", "link/new"),
        ("..", "link/secret"),
        ("/proc/self/root", "link/etc"),
        ("link", "link"),
        ("nothing", "link"),
        ("../nothing", "link/new"),
    ],
)
@in_private_mounts
def test_a_link_that_leaves_the_volume_is_refused(tmp_path: Path, target: str, path: str) -> None:
    volume, base = volume_and_base(tmp_path)
    (volume / "link").symlink_to(target)
    with pytest.raises(PathRefused):
        shown(volume, path, base)
    assert not (base / "volumes/0").exists()
    assert sorted(os.listdir(volume.parent)) == ["secret", "v"]
    assert os.listdir(volume.parent / "secret") == ["key"]


@in_private_mounts
def test_what_is_no_file_and_no_directory_is_refused(tmp_path: Path) -> None:
    volume, base = volume_and_base(tmp_path)
    os.mkfifo(volume / "pipe")
    os.mknod(volume / "device", 0o666 | 0o020000, os.makedev(1, 3))
    (volume / "file").write_text("x")
    for path in ("pipe", "device", "file/below"):
        with pytest.raises(PathRefused):
            shown(volume, path, base)


@in_private_mounts
def test_a_volume_that_is_missing_is_an_error(tmp_path: Path) -> None:
    _, base = volume_and_base(tmp_path)
    with pytest.raises(AgentError):
        shown(tmp_path / "nothing", "part", base)


@in_private_mounts
def test_whoever_swaps_links_meanwhile_gains_nothing(tmp_path: Path) -> None:
    volume, base = volume_and_base(tmp_path)
    (volume / "real").mkdir()
    (volume / "bad").symlink_to("../secret")
    (volume / "good").symlink_to("real")
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            for name in ("bad", "good"):
                os.link(volume / name, volume / "next", follow_symlinks=False)
                os.rename(volume / "next", volume / "link")
                # A rename onto another name of the same file leaves both.
                (volume / "next").unlink(missing_ok=True)

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        outcomes = {_try_to_show(volume, base) for _ in range(300)}
    finally:
        over.set()
        swapping.join()
    assert outcomes <= {"real", "refused"}


def _try_to_show(volume: Path, base: Path) -> str:
    try:
        part = shown(volume, "link", base)
    except (PathRefused, AgentError):
        return "refused"
    return "secret" if (part / "key").exists() else "real"
