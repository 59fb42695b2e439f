"""Files below a directory that a container writes to as well."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import firkin
from firkin.domain.errors import AgentError, PathRefused, StoreFull
from firkin.vminitd.filesystem.beneath import Resolution, open_beneath, walk_beneath
from firkin.vminitd.filesystem.files import copy_in, make_directory, read_beneath, remove_path, write_file
from firkin.vminitd.filesystem.mounts import mount

from .private_mounts import in_private_mounts


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """An emptyDir with an outside that must stay as it is."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "canary").write_text("untouched")
    (tmp_path / "volume").mkdir()
    return tmp_path / "volume"


def outside_is_untouched(volume: Path) -> bool:
    outside = volume.parent / "outside"
    return os.listdir(outside) == ["canary"] and (outside / "canary").read_text() == "untouched"


def test_a_file_is_written_with_its_parents_and_mode(volume: Path) -> None:
    write_file(str(volume), "requests/2024/slot-1", [b"one ", b"two"], 0o640)
    written = volume / "requests" / "2024" / "slot-1"
    assert written.read_bytes() == b"one two"
    assert written.stat().st_mode & 0o7777 == 0o640
    assert (volume / "requests").stat().st_mode & 0o7777 == 0o755


def test_a_reader_of_the_old_file_keeps_the_old_bytes(volume: Path) -> None:
    write_file(str(volume), "file", [b"old"], 0o644)
    with open(volume / "file", "rb") as reader:
        write_file(str(volume), "file", [b"newer bytes"], 0o644)
        assert reader.read() == b"old"
    assert (volume / "file").read_bytes() == b"newer bytes"


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(volume: Path) -> None:
    def breaking() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionResetError(errno.ECONNRESET, "gone")

    write_file(str(volume), "file", [b"old"], 0o644)
    with pytest.raises(AgentError):
        write_file(str(volume), "file", breaking(), 0o644)
    assert os.listdir(volume) == ["file"]
    assert (volume / "file").read_bytes() == b"old"


@pytest.mark.parametrize("path", ["", "/absolute", "../outside/canary", "a/../../outside/x", "a//b", "./a", "a\0b"])
def test_a_path_that_is_not_normalised_is_refused(volume: Path, path: str) -> None:
    with pytest.raises(PathRefused):
        write_file(str(volume), path, [b"x"], 0o644)
    assert outside_is_untouched(volume)


@pytest.mark.parametrize("target", ["../outside", "{outside}", "inner"])
@pytest.mark.parametrize("path", ["link", "link/canary", "link/new/deeper"])
def test_a_symlink_that_a_container_planted_is_never_followed(volume: Path, target: str, path: str) -> None:
    (volume / "inner").mkdir()
    (volume / "link").symlink_to(target.format(outside=volume.parent / "outside"))
    with pytest.raises(PathRefused):
        write_file(str(volume), path, [b"x"], 0o644)
    assert outside_is_untouched(volume)
    assert os.listdir(volume / "inner") == []


def test_a_fifo_or_directory_in_the_way_is_refused(volume: Path) -> None:
    os.mkfifo(volume / "fifo")
    (volume / "directory").mkdir()
    for name in ("fifo", "directory"):
        with pytest.raises(PathRefused):
            write_file(str(volume), name, [b"x"], 0o644)


@in_private_mounts
def test_a_full_volume_is_store_full_and_keeps_the_old_file(volume: Path) -> None:
    mount("tmpfs", "tmpfs", str(volume), ["size=64k"])
    write_file(str(volume), "file", [b"old"], 0o644)
    with pytest.raises(StoreFull):
        write_file(str(volume), "file", [bytes(40000)] * 3, 0o644)
    assert os.listdir(volume) == ["file"]
    assert (volume / "file").read_bytes() == b"old"


def test_a_missing_directory_is_an_agent_error(tmp_path: Path) -> None:
    with pytest.raises(AgentError) as caught:
        write_file(str(tmp_path / "missing"), "file", [b"x"], 0o644)
    assert caught.value.errno == errno.ENOENT


def test_reading_resolves_symlinks_inside_the_root(volume: Path) -> None:
    (volume / "etc").mkdir()
    (volume / "etc" / "real").write_bytes(b"root:x:0:0")
    (volume / "etc" / "passwd").symlink_to("/etc/real")
    (volume / "climbing").symlink_to("../../../etc/real")
    (volume / "escaping").symlink_to(volume.parent / "outside" / "canary")
    assert read_beneath(str(volume), "/etc/passwd", 100) == b"root:x:0:0"
    assert read_beneath(str(volume), "climbing", 100) == b"root:x:0:0"
    assert read_beneath(str(volume), "escaping", 100) is None
    assert read_beneath(str(volume), "etc/missing", 100) is None
    assert read_beneath(str(volume), "etc/real/not-a-directory", 100) is None


def test_reading_is_bounded_and_refuses_what_may_block(volume: Path) -> None:
    (volume / "large").write_bytes(bytes(101))
    os.mkfifo(volume / "fifo")
    with pytest.raises(AgentError) as caught:
        read_beneath(str(volume), "large", 100)
    assert caught.value.errno == errno.EFBIG
    with pytest.raises(PathRefused):
        read_beneath(str(volume), "fifo", 100)


def test_copying_in_resolves_symlinks_inside_the_root(volume: Path) -> None:
    (volume / "usr").mkdir()
    (volume / "bin").symlink_to("/usr")
    (volume / "usr" / "alias").symlink_to("../usr/file")
    (volume / "away").symlink_to(volume.parent / "outside")
    assert copy_in(str(volume), "/bin/alias", io.BytesIO(b"content"), 0o755, False) == 7
    assert (volume / "usr" / "file").read_bytes() == b"content"
    assert (volume / "usr" / "alias").is_symlink()
    with pytest.raises(AgentError):
        copy_in(str(volume), "/away/canary", io.BytesIO(b"content"), 0o755, False)
    copy_in(str(volume), "/new/parents/file", io.BytesIO(b"content"), 0o600, True)
    assert (volume / "new" / "parents" / "file").stat().st_mode & 0o7777 == 0o600
    assert outside_is_untouched(volume)


def test_copying_onto_a_directory_or_a_loop_is_refused(volume: Path) -> None:
    (volume / "loop").symlink_to("loop")
    for path in ("/", "directory/..", "loop"):
        with pytest.raises(PathRefused):
            copy_in(str(volume), path, io.BytesIO(b""), 0o600, False)


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/proc", "/proc/1", "/sys", "/dev", "relative", "/tmp/../etc", "/tmp/", "", "a\0b"),
        *(
            "/run/firkin",
            "/run/firkin/host/guest-1024.sock",
            os.path.dirname(firkin.__file__),
            firkin.__file__,
            sys.prefix,
        ),
    ],
)
def test_what_the_sandbox_needs_is_never_removed(path: str) -> None:
    with pytest.raises(PathRefused):
        remove_path(path, True, True)


def test_what_the_sandbox_needs_is_not_removed_through_a_symlink(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/")
    with pytest.raises(PathRefused):
        remove_path(str(tmp_path / "link" / "proc"), True, True)


def test_removing_follows_no_symlink_and_needs_recursion_for_a_full_directory(volume: Path) -> None:
    (volume / "tree" / "deep").mkdir(parents=True)
    (volume / "tree" / "deep" / "away").symlink_to(volume.parent / "outside")
    (volume / "link").symlink_to(volume.parent / "outside")
    with pytest.raises(AgentError) as caught:
        remove_path(str(volume / "tree"), False, False)
    assert caught.value.errno == errno.ENOTEMPTY
    remove_path(str(volume / "tree"), True, False)
    remove_path(str(volume / "link"), True, False)
    assert os.listdir(volume) == []
    assert outside_is_untouched(volume)


def test_removing_what_is_missing_is_fine_only_when_allowed(tmp_path: Path) -> None:
    remove_path(str(tmp_path / "missing" / "file"), True, True)
    with pytest.raises(AgentError) as caught:
        remove_path(str(tmp_path / "missing"), True, False)
    assert caught.value.errno == errno.ENOENT


def test_a_tree_deeper_than_descriptors_and_recursion_reach_is_removed(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=descriptor)
        below = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)
    remove_path(str(tmp_path / "d"), True, False)
    assert os.listdir(tmp_path) == []


@in_private_mounts
def test_removing_stops_at_a_mount_point(volume: Path) -> None:
    mount("bind", str(volume.parent / "outside"), str(volume / "tree" / "mounted"), ["bind"])
    with pytest.raises(AgentError) as caught:
        remove_path(str(volume / "tree"), True, False)
    assert caught.value.errno in (errno.EXDEV, errno.EBUSY)
    assert outside_is_untouched(volume)


def test_a_directory_gets_exactly_its_mode(tmp_path: Path) -> None:
    make_directory(str(tmp_path / "a" / "b"), True, 0o1777)
    assert (tmp_path / "a" / "b").stat().st_mode & 0o7777 == 0o1777
    make_directory(str(tmp_path / "a" / "b"), True, 0o700)
    with pytest.raises(AgentError) as caught:
        make_directory(str(tmp_path / "a" / "b"), False, 0o700)
    assert caught.value.errno == errno.EEXIST


@pytest.mark.parametrize("opened", [open_beneath, walk_beneath])
def test_both_ways_of_opening_beneath_agree(volume: Path, opened: Callable[[int, str, int, Resolution], int]) -> None:
    (volume / "a").mkdir()
    (volume / "a" / "file").write_bytes(b"content")
    (volume / "link").symlink_to("a")
    root = os.open(volume, os.O_RDONLY)
    try:
        found = opened(root, "a/file", os.O_RDONLY, Resolution.NO_SYMLINKS)
        assert os.read(found, 10) == b"content"
        os.close(found)
        for path in ("link/file", "../outside/canary", "a/../a/file/../../..", "link"):
            with pytest.raises(OSError, match=r"symbolic links|cross-device|Not a directory|'\.\.'"):
                opened(root, path, os.O_PATH, Resolution.NO_SYMLINKS)
    finally:
        os.close(root)
