"""Trees that become archives and trees again, and archives that try to get out."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from pathlib import Path

import pytest

from firkin.domain.copying import CopyCount, CopySource
from firkin.domain.errors import CopyFailed
from firkin.domain.tar_archive import Limits, TarReader
from firkin.file_trees.ownership import Owner
from firkin.file_trees.places import placed
from firkin.file_trees.reading import TreeReader
from firkin.file_trees.writing import TreeWriter

OWN = Owner(os.geteuid(), os.getegid())


def packed(path: Path, owner: Owner | None = None) -> tuple[bytes, TreeReader]:
    reader = TreeReader(owner)
    top = os.open(path, os.O_RDONLY)
    try:
        return b"".join(reader.archive(top, path.name)), reader
    finally:
        os.close(top)


def unpacked(archive: bytes, directory: Path, owner: Owner | None = None, is_new: bool = False) -> TreeWriter:
    pieces = iter([archive[at : at + 7001] for at in range(0, len(archive), 7001)])
    writer = TreeWriter(owner)
    directory.mkdir(exist_ok=True)
    top = os.open(directory, os.O_RDONLY)
    try:
        writer.write_tree(top, TarReader(lambda: next(pieces, b""), Limits()), is_new)
    finally:
        os.close(top)
    return writer


def test_a_tree_keeps_everything(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "a" / "deep").mkdir(parents=True)
    (source / "empty").mkdir(mode=0o700)
    (source / "a" / "file").write_bytes(bytes(range(256)) * 5000)
    (source / "a" / "none").touch()
    (source / "a" / "tool").write_bytes(b"#!")
    (source / "a" / "tool").chmod(0o6755)
    os.link(source / "a" / "file", source / "same")
    os.symlink("/etc/passwd", source / "absolute")
    os.symlink("../nowhere", source / "a" / "dangling")
    (source / os.fsdecode(b"not \xff utf-8")).write_text("x")
    (source / ("long-" * 40)).write_text("y")
    os.setxattr(source / "a" / "file", "user.note", b"\x00\xff")
    os.chown(source / "a" / "none", 1234, 2_000_000_000)
    os.utime(source / "a" / "file", ns=(0, 1_600_000_000_123_456_789))
    os.utime(source / "a" / "none", ns=(0, -5_500_000_000))
    os.utime(source / "empty", ns=(0, 1_000_000_001))
    archive, reader = packed(source)
    target = tmp_path / "target"
    writer = unpacked(archive, target, is_new=True)
    assert reader.count == writer.count == CopyCount(12, 256 * 5000 + 2 + 1 + 1)
    assert reader.left_out == writer.left_out == []

    def picture(top: Path) -> dict[str, tuple[object, ...]]:
        seen: dict[str, tuple[object, ...]] = {}
        for path in [top, *top.rglob("*")]:
            status = path.lstat()
            times = () if path.is_symlink() and path.name == "x" else (status.st_mtime_ns,)
            content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
            seen[str(path.relative_to(top))] = (status.st_mode, status.st_uid, status.st_gid, *times, content)
        return seen

    assert picture(target) == picture(source)
    assert (target / "same").stat().st_ino == (target / "a" / "file").stat().st_ino
    assert os.getxattr(target / "a" / "file", "user.note") == b"\x00\xff"
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        assert "./a/file".removeprefix("./") in tar.getnames()


def test_another_owner_gets_no_rights_that_came_with_the_first_one(tmp_path: Path) -> None:
    (tmp_path / "tool").write_bytes(b"#!")
    (tmp_path / "tool").chmod(0o4755)
    os.chown(tmp_path / "tool", 77, 88)
    (tmp_path / "tool").chmod(0o4755)
    (tmp_path / "source").mkdir()
    os.rename(tmp_path / "tool", tmp_path / "source" / "tool")
    archive, _ = packed(tmp_path / "source")
    unpacked(archive, tmp_path / "target", Owner(5, 6))
    status = (tmp_path / "target" / "tool").stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (5, 6, 0o755)


def test_special_files_are_named_as_left_out(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    os.mkfifo(source / "pipe")
    os.mknod(source / "device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    archive, reader = packed(source)
    assert reader.left_out == ["device: it is a device", "pipe: it is a named pipe"]
    unpacked(archive, tmp_path / "target")
    assert list((tmp_path / "target").iterdir()) == []


def test_files_of_the_kernel_have_their_content(tmp_path: Path) -> None:
    archive, _ = packed(Path("/proc/sys/kernel/ostype"))
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        member = tar.extractfile("ostype")
        assert member is not None
        assert member.read() == b"Linux\n"


def test_directories_that_exist_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "source" / "shared").mkdir(parents=True, mode=0o700)
    (tmp_path / "source" / "shared" / "new").write_text("new")
    (tmp_path / "target" / "shared").mkdir(parents=True)
    (tmp_path / "target" / "shared").chmod(0o1777)
    (tmp_path / "target" / "shared" / "old").write_text("old")
    unpacked(packed(tmp_path / "source")[0], tmp_path / "target")
    assert stat.S_IMODE((tmp_path / "target" / "shared").stat().st_mode) == 0o1777
    assert {path.name for path in (tmp_path / "target" / "shared").iterdir()} == {"old", "new"}


def hostile(*members: tuple[str, bytes, str]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, link_name in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, link_name
            info.size = 4 if kind == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(b"evil") if kind == tarfile.REGTYPE else None)
    return archive.getvalue()


@pytest.mark.parametrize(
    "archive",
    [
        hostile(("../outside", tarfile.REGTYPE, "")),
        hostile(("a/../../outside", tarfile.REGTYPE, "")),
        hostile(("link", tarfile.SYMTYPE, ".."), ("link/outside", tarfile.REGTYPE, "")),
        hostile(("planted/outside", tarfile.REGTYPE, "")),
        hostile(("hard", tarfile.LNKTYPE, "../secret")),
        hostile(("hard", tarfile.LNKTYPE, "planted/secret")),
        hostile(("hard", tarfile.LNKTYPE, "planted-file"), ("hard", tarfile.REGTYPE, "")),
        hostile(("device", tarfile.CHRTYPE, "")),
        hostile(("pipe", tarfile.FIFOTYPE, "")),
        hostile((".", tarfile.SYMTYPE, "/etc")),
        hostile(("directory", tarfile.REGTYPE, "")),
        hostile(("file", tarfile.DIRTYPE, "")),
        hostile(("fine", tarfile.REGTYPE, ""))[:1024],
        hostile(("fine", tarfile.REGTYPE, ""))[:600],
        b"",
        b"x" * 10240,
    ],
)
def test_an_archive_cannot_reach_out_of_the_destination(tmp_path: Path, archive: bytes) -> None:
    (tmp_path / "secret").write_text("secret")
    target = tmp_path / "target"
    target.mkdir()
    os.symlink("..", target / "planted")
    os.symlink("../secret", target / "planted-file")
    (target / "directory").mkdir()
    (target / "file").write_text("file")
    with pytest.raises(CopyFailed):
        unpacked(archive, target, OWN)
    assert not (tmp_path / "outside").exists()
    assert (tmp_path / "secret").read_text() == "secret"
    assert (tmp_path / "secret").stat().st_nlink == 1
    assert (target / "file").read_text() == "file"
    assert not [name for name in os.listdir(target) if name.startswith(".firkin")]


def test_a_planted_symlink_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "target").mkdir()
    os.symlink("../secret", tmp_path / "target" / "name")
    unpacked(hostile(("name", tarfile.REGTYPE, "")), tmp_path / "target", OWN)
    assert (tmp_path / "secret").read_text() == "secret"
    assert (tmp_path / "target" / "name").read_text() == "evil"


def test_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    os.mkfifo(tmp_path / "target" / "name")
    with pytest.raises(CopyFailed, match="'name': a device, a pipe or a socket is in its place"):
        unpacked(hostile(("name", tarfile.REGTYPE, "")), tmp_path / "target", OWN)
    assert (tmp_path / "target" / "name").is_fifo()
    assert os.listdir(tmp_path / "target") == ["name"]


@pytest.mark.parametrize("leads_to", ["fifo", "/dev/null", "/proc/self/fd/0", "/proc/self/status"])
def test_what_is_no_file_is_no_place_for_one(tmp_path: Path, leads_to: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    os.symlink(leads_to, tmp_path / "link")
    for destination in ("fifo", "link"):
        with pytest.raises(CopyFailed, match="neither a file nor a directory"):
            placed(CopySource("/file", False), str(tmp_path / destination))
    for destination in ("new", "", "."):
        assert placed(CopySource("/file", False), str(tmp_path / destination)).startswith(str(tmp_path))


def test_a_tree_that_is_too_deep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CopyFailed, match="directories deep"):
        unpacked(hostile(("/".join("d" * 300), tarfile.DIRTYPE, "")), tmp_path / "target", OWN)
    here = os.open(tmp_path, os.O_RDONLY)
    os.mkdir("source", dir_fd=here)
    for name in ["source", *"d" * 299]:
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        os.mkdir("d", dir_fd=below)
        here = below
    os.close(here)
    with pytest.raises(CopyFailed, match="directories deep"):
        packed(tmp_path / "source")
