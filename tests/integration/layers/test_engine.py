"""What the engine is besides right: told apart by stage, left without a trace, and able to do without privilege."""

from __future__ import annotations

import base64
import gzip
import json
import os
import stat
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import pytest

from firkin._fast.layer import APPLIED, EntryRefused, LayerWriter
from firkin.domain.errors import AgentError, BlobCorrupt, LayerRefused
from firkin.vminitd.layers.applier import LayerResult, Whiteouts, apply_layer
from tests.descriptors import open_descriptors, opened_since

from .archives import END, Member, Trickle, apply, archive, directory, file, hard_link, header, padded, sha256, symlink

SMALL = archive(file("f"))
LARGE = archive(*(file(f"d{number % 7}/f{number}", os.urandom(1000) * 300) for number in range(40)))


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    (tmp_path / "rootfs").mkdir()
    return tmp_path / "rootfs"


def test_the_result_tells_what_was_done_and_where_the_time_went(rootfs: Path) -> None:
    blob = gzip.compress(LARGE)
    result = apply_layer(str(rootfs), Trickle(blob, 100_000), layer_name="layer", digest=sha256(blob))
    assert (result.entries, result.blob_bytes, result.tar_bytes) == (40, len(blob), len(LARGE))
    assert (result.digest, result.diff_id) == (sha256(blob), sha256(LARGE))
    assert (result.implied_parents, result.replaced) == (7, {})
    seconds = result.seconds
    assert min(seconds.read, seconds.inflate, seconds.hash, seconds.write) > 0
    assert max(seconds.read, seconds.inflate, seconds.hash, seconds.write) < seconds.total


@pytest.mark.parametrize("length", [0, 700, len(LARGE) // 2])
def test_no_thread_and_no_file_is_left_after_a_failure(rootfs: Path, length: int) -> None:
    before, threads = open_descriptors(), set(threading.enumerate())
    with pytest.raises(LayerRefused):
        apply_layer(str(rootfs), Trickle(LARGE[:length]), layer_name="layer")
    with pytest.raises(BlobCorrupt):
        apply_layer(str(rootfs), Trickle(LARGE[:length]), layer_name="layer", digest=sha256(LARGE))
    assert not opened_since(before)
    assert set(threading.enumerate()) <= threads


def test_callbacks_are_called_by_the_callers_thread(rootfs: Path) -> None:
    threads: set[int] = set()

    def read(_count: int) -> None:
        threads.add(threading.get_ident())

    def cancelled() -> bool:
        threads.add(threading.get_ident())
        return False

    apply_layer(str(rootfs), Trickle(LARGE, 300_000), layer_name="layer", on_bytes=read, cancelled=cancelled)
    assert threads == {threading.get_ident()}


def test_a_refusal_ends_the_reading_of_a_stream_without_end(rootfs: Path) -> None:
    class Endless(Trickle):
        def read(self, size: int, /) -> bytes:
            return super().read(size) or bytes(size)

    with pytest.raises(LayerRefused, match="rootfs itself"):
        apply_layer(str(rootfs), Endless(header(b".", b"0", 2**40)), layer_name="layer")


@pytest.mark.parametrize("size", [1, 200_000])
@pytest.mark.parametrize("umask", [0, 0o027, 0o777])
def test_modes_are_the_layers_whatever_the_umask_and_the_size(rootfs: Path, umask: int, size: int) -> None:
    """Of a layer that comes in more than one piece the umask is looked at, so that fewer modes have to be given."""
    modes = (0o000, 0o600, 0o644, 0o666, 0o777, 0o4755)
    entries = [file(f"{mode:o}", os.urandom(size), mode=mode) for mode in modes]
    before = os.umask(umask)
    try:
        apply_layer(str(rootfs), Trickle(archive(*entries, directory("d", mode=0o1777))), layer_name="layer")
    finally:
        os.umask(before)
    assert all(stat.S_IMODE((rootfs / f"{mode:o}").stat().st_mode) == mode for mode in modes)
    assert stat.S_IMODE((rootfs / "d").stat().st_mode) == 0o1777


def test_a_writer_that_failed_or_was_closed_takes_nothing_more(rootfs: Path) -> None:
    root = os.open(rootfs, os.O_RDONLY)
    writer = LayerWriter(root, entries=9, name_bytes=99, header_bytes=99, depth=9, whiteouts=APPLIED, rootless=False)
    os.close(root)
    with pytest.raises(EntryRefused):
        writer.feed(b"x" * 512)
    with pytest.raises(ValueError, match="takes nothing more"):
        writer.feed(SMALL)
    writer.close()
    writer.close()
    with pytest.raises(ValueError, match="takes nothing more"):
        writer.finish()
    assert os.listdir(rootfs) == []


def test_thousands_of_small_gzip_members_are_one_stream(rootfs: Path) -> None:
    blob = b"".join(gzip.compress(LARGE[at : at + 3000], 1) for at in range(0, len(LARGE), 3000))
    assert apply_layer(str(rootfs), Trickle(blob, 10**6), layer_name="layer", diff_id=sha256(LARGE)).entries == 40


def test_attributes_in_the_form_of_libarchive_arrive(rootfs: Path) -> None:
    def record(key: str, value: str) -> bytes:
        text = f" {key}={value}\n".encode()
        size = len(text) + 2
        return b"%d%s" % (size + (len(str(size)) > 2), text)

    value = bytes(range(200))
    encoded = base64.b64encode(value).decode()
    records = (
        record("LIBARCHIVE.xattr.user.odd%20name%3D", encoded.rstrip("="))
        + record("LIBARCHIVE.xattr.user.both", encoded)
        + record("SCHILY.xattr.user.both", "plain")
    )
    tar = header(b"x", b"x", len(records)) + padded(records) + header(b"f") + END
    apply_layer(str(rootfs), Trickle(tar), layer_name="layer")
    assert os.getxattr(rootfs / "f", "user.odd name=") == value
    assert os.getxattr(rootfs / "f", "user.both") == b"plain"


def test_files_do_not_inherit_the_access_rules_of_a_directory(rootfs: Path) -> None:
    # Version 2; a default entry for each of owner, user 7, group, mask and others (acl(5)).
    entries = [(1, 7, 0xFFFFFFFF), (2, 7, 7), (4, 5, 0xFFFFFFFF), (16, 7, 0xFFFFFFFF), (32, 5, 0xFFFFFFFF)]
    rules = (2).to_bytes(4, "little") + b"".join(
        tag.to_bytes(2, "little") + permissions.to_bytes(2, "little") + name.to_bytes(4, "little")
        for tag, permissions, name in entries
    )
    pax = {"SCHILY.xattr.system.posix_acl_default": rules.decode("utf-8", "surrogateescape")}
    apply(rootfs, archive(Member("d", tarfile.DIRTYPE, mode=0o755, pax=pax), file("d/f", mode=0o640), directory("d/s")))
    apply(rootfs, archive(file("d/later", mode=0o604), file("d/implied/f")))
    assert os.listxattr(rootfs / "d") == ["system.posix_acl_default"]
    for name, mode in {"f": 0o640, "s": 0o755, "later": 0o604, "implied": 0o755, "implied/f": 0o644}.items():
        assert os.listxattr(rootfs / "d" / name) == []
        assert stat.S_IMODE((rootfs / "d" / name).stat().st_mode) == mode


def test_symlinks_climb_through_directories_that_were_closed_meanwhile(rootfs: Path) -> None:
    deep = "/".join(f"d{number}" for number in range(200))
    up = "/".join([".."] * 150)
    members = [symlink(f"{deep}/up", up), file(f"{deep}/up/here"), hard_link(f"{deep}/again", f"{deep}/up/here")]
    apply(rootfs, archive(directory(deep), *members))
    apply(rootfs, archive(file(f"{deep}/up/there"), file(f"{deep}/up/.wh.here", b"")))
    place = rootfs / "/".join(f"d{number}" for number in range(50))
    assert sorted(os.listdir(place)) == ["d50", "there"]
    assert (rootfs / deep / "again").read_bytes() == b"content"


def stacked(rootfs: Path, *members: Member, whiteouts: Whiteouts = Whiteouts.OVERLAY) -> LayerResult:
    return apply_layer(str(rootfs), Trickle(archive(*members)), layer_name="layer", whiteouts=whiteouts)


def is_whiteout(path: Path) -> bool:
    status = path.lstat()
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def test_whiteouts_for_overlayfs_are_devices_and_marks(rootfs: Path) -> None:
    stacked(
        rootfs,
        directory("d"),
        file("d/.wh.file", b""),
        file("opaque/.wh..wh..opq", b""),
        file("kept"),
        file(".wh.kept", b""),
        directory("renewed"),
        file(".wh.renewed", b""),
        file(".wh.first", b""),
        file("first/child"),
        file(".wh.turned", b""),
        directory("turned"),
        file(".wh.back", b""),
        file("back", b"new"),
    )
    assert is_whiteout(rootfs / "d" / "file")
    assert (rootfs / "kept").read_bytes() == b"content"
    assert (rootfs / "back").read_bytes() == b"new"
    marked = {path.name for path in rootfs.rglob("*") if "trusted.overlay.opaque" in os.listxattr(path)}
    assert marked == {"opaque", "renewed", "first", "turned"}


def test_whiteouts_for_an_unprivileged_overlay_are_marked_by_user_attributes(rootfs: Path) -> None:
    result = stacked(rootfs, file("a/b/.wh..wh..opq", b""), whiteouts=Whiteouts.USER_OVERLAY)
    assert os.getxattr(rootfs / "a" / "b", "user.overlay.opaque") == b"y"
    assert result.implied_parents == 2


_ROOTLESS = """
import json, sys
from firkin.vminitd.layers.applier import apply_layer
with open(sys.argv[2], "rb") as stream:
    result = apply_layer(sys.argv[1], stream, layer_name="layer", rootless=sys.argv[3] == "rootless")
print(json.dumps(dict(result.replaced)))
"""


def in_user_namespace(rootfs: Path, tar: Path, mode: str) -> subprocess.CompletedProcess[str]:
    """Root of a user namespace that knows one user only."""
    command = ["unshare", "--user", "--map-root-user", sys.executable, "-c", _ROOTLESS, str(rootfs), str(tar), mode]
    return subprocess.run(command, capture_output=True, text=True)


def test_what_a_user_namespace_forbids_is_replaced_and_counted(rootfs: Path, tmp_path: Path) -> None:
    tar = tmp_path / "layer.tar"
    tar.write_bytes(
        archive(
            Member("dev", tarfile.DIRTYPE, mode=0o755, gid=5),
            Member("dev/null", tarfile.CHRTYPE, mode=0o666, device=(1, 3)),
            Member("dev/sda", tarfile.BLKTYPE, mode=0o660, gid=6, device=(8, 0)),
            Member("etc/shadow", data=b"x", mode=0o640, uid=300, gid=42),
            Member("link", tarfile.SYMTYPE, link="etc", uid=9),
            Member("own", data=b"y", mode=0o4755, pax={"SCHILY.xattr.trusted.note": "1"}),
        )
    )
    done = in_user_namespace(rootfs, tar, "rootless")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"device": 2, "owner": 4, "attribute": 1}
    for name, mode in {"dev/null": 0o666, "dev/sda": 0o660}.items():
        status = (rootfs / name).stat()
        assert (stat.S_ISREG(status.st_mode), stat.S_IMODE(status.st_mode), status.st_size) == (True, mode, 0)
    assert os.getxattr(rootfs / "etc" / "shadow", "user.rootlesscontainers") == b"\x08\xac\x02\x10\x2a"
    assert stat.S_IMODE((rootfs / "own").stat().st_mode) == 0o4755


def test_without_leave_nothing_is_replaced(rootfs: Path, tmp_path: Path) -> None:
    tar = tmp_path / "layer.tar"
    tar.write_bytes(archive(Member("null", tarfile.CHRTYPE, device=(1, 3))))
    done = in_user_namespace(rootfs, tar, "as it is")
    assert AgentError.__name__ in done.stderr
    assert "Operation not permitted" in done.stderr
