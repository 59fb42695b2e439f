"""What a layer makes of a rootfs (OCI image-spec v1.1, layer.md)."""

from __future__ import annotations

import os
import stat
import tarfile
from pathlib import Path

import pytest

from tests.descriptors import open_descriptors, opened_since

from .archives import MTIME, Member, apply, archive, directory, file, hard_link, picture, symlink


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    (tmp_path / "rootfs").mkdir(mode=0o755)
    return tmp_path / "rootfs"


def names(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_kind_of_entry_arrives_with_all_its_attributes(rootfs: Path, tar_format: int) -> None:
    tar = archive(
        directory("./", 0o751),
        directory("bin", 0o2775),
        Member("bin/tool", data=b"x" * 70000, mode=0o4755, uid=1000, gid=1001),
        symlink("bin/link", "../absent"),
        hard_link("bin/same", "bin/tool"),
        Member("null", tarfile.CHRTYPE, mode=0o666, device=(1, 3)),
        Member("disk", tarfile.BLKTYPE, mode=0o660, gid=6, device=(259, 70000)),
        Member("pipe", tarfile.FIFOTYPE, mode=0o622, uid=2),
        file("empty", b"", 0o400),
        tar_format=tar_format,
    )
    assert apply(rootfs, tar).entries == 9
    seen = picture(rootfs)
    time = str(MTIME * 10**9)
    assert seen["."][0:3] == ("0o40751", "0:0", time)
    assert seen["bin"][0:3] == ("0o42775", "0:0", time)
    assert seen["bin/tool"][0:3] == ("0o104755", "1000:1001", time)
    assert seen["bin/tool"][4] == "bin/same,bin/tool"
    assert seen["bin/link"][2:4] == (time, "../absent")
    assert seen["null"][0:4] == ("0o20666", "0:0", time, "1:3")
    assert seen["disk"][0:4] == ("0o60660", "0:6", time, "259:70000")
    assert seen["pipe"][0:3] == ("0o10622", "2:0", time)
    assert seen["empty"][0] == "0o100400"
    assert (rootfs / "bin" / "tool").read_bytes() == b"x" * 70000


def test_long_and_odd_names_arrive_as_they_are(rootfs: Path) -> None:
    long = "/".join(["d" * 100] * 8)
    odd = "caf\u00e9 \n \udcff"
    for tar_format in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        apply(rootfs, archive(file(f"{long}/file"), symlink(f"{long}/link", "t" * 300), tar_format=tar_format))
    apply(rootfs, archive(file(odd), tar_format=tarfile.GNU_FORMAT))
    assert (rootfs / long / "file").read_bytes() == b"content"
    assert os.readlink(rootfs / long / "link") == "t" * 300
    assert odd in os.listdir(rootfs)


def test_extended_attributes_and_exact_times_arrive(rootfs: Path) -> None:
    capability = bytes.fromhex("0100000200040000000000000000000000000000").decode("latin-1")
    pax = {
        "SCHILY.xattr.user.note": "hello\nworld",
        "SCHILY.xattr.security.capability": capability,
        "SCHILY.xattr.trusted.overlay.opaque": "y",
        "mtime": "1600000000.123456789",
    }
    apply(
        rootfs,
        archive(
            Member("ping", mode=0o755, uid=5, pax=pax),
            Member("dir", tarfile.DIRTYPE, pax={**pax, "mtime": "-1.5"}),
            file("dir/child"),
        ),
    )
    assert os.getxattr(rootfs / "ping", "user.note") == b"hello\nworld"
    assert os.getxattr(rootfs / "ping", "security.capability") == capability.encode("latin-1")
    assert (rootfs / "ping").stat().st_mtime_ns == 1600000000123456789
    assert (rootfs / "dir").stat().st_mtime_ns == -1500000000
    assert "trusted.overlay.opaque" not in os.listxattr(rootfs / "dir")


def test_missing_parents_are_made_and_belong_to_root(rootfs: Path) -> None:
    os.chmod(rootfs, 0o2755)
    os.chown(rootfs, 3, 4)
    apply(rootfs, archive(file("a/b/c")))
    status = (rootfs / "a").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o755, 0, 0)


def test_a_directory_keeps_its_time_when_a_layer_only_adds_to_it(rootfs: Path) -> None:
    apply(rootfs, archive(directory("etc"), file("etc/a"), file("etc/gone")))
    apply(rootfs, archive(file("etc/b"), file("etc/.wh.gone", b"")))
    assert (rootfs / "etc").stat().st_mtime == MTIME
    assert names(rootfs) == ["etc", "etc/a", "etc/b"]


def test_a_whiteout_removes_what_lower_layers_brought(rootfs: Path) -> None:
    apply(rootfs, archive(file("etc/keep"), file("etc/file"), file("etc/dir/deep/file"), symlink("etc/link", "keep")))
    apply(
        rootfs,
        archive(*(file(f"etc/.wh.{name}", b"") for name in ("file", "dir", "link", "never-was")), file("x/.wh.y", b"")),
    )
    assert names(rootfs) == ["etc", "etc/keep"]


@pytest.mark.parametrize("whiteout_first", [True, False])
def test_a_whiteout_spares_what_its_own_layer_brought(rootfs: Path, whiteout_first: bool) -> None:
    apply(rootfs, archive(file("d/old"), file("f", b"old")))
    own = [file("d/new"), file("f", b"new")]
    whiteouts = [file(".wh.d", b""), file(".wh.f", b"")]
    apply(rootfs, archive(*(whiteouts + own if whiteout_first else own + whiteouts)))
    assert names(rootfs) == ["d", "d/new", "f"]
    assert (rootfs / "f").read_bytes() == b"new"


@pytest.mark.parametrize("opaque_first", [True, False])
def test_an_opaque_directory_shows_only_what_its_own_layer_brought(rootfs: Path, opaque_first: bool) -> None:
    apply(rootfs, archive(file("d/old"), file("d/sub/old"), file("d/sub/kept/old"), file("outside")))
    own = [file("d/new"), file("d/sub/kept/new")]
    opaque = [file("d/.wh..wh..opq", b"")]
    apply(rootfs, archive(*(opaque + own if opaque_first else own + opaque)))
    assert names(rootfs) == ["d", "d/new", "d/sub", "d/sub/kept", "d/sub/kept/new", "outside"]


def test_an_opaque_root_and_a_regular_whiteout_in_one_layer(rootfs: Path) -> None:
    apply(rootfs, archive(file("a/x"), file("b")))
    apply(rootfs, archive(file(".wh..wh..opq", b""), file("a/.wh.x", b""), file("c")))
    assert names(rootfs) == ["c"]


def test_an_opaque_whiteout_of_a_missing_directory_makes_nothing(rootfs: Path) -> None:
    apply(rootfs, archive(file("missing/.wh..wh..opq", b"")))
    assert names(rootfs) == []


def test_other_aufs_files_are_ignored(rootfs: Path) -> None:
    apply(rootfs, archive(file(".wh..wh.aufs"), directory(".wh..wh.plnk"), file(".wh..wh.plnk/1.2"), file("kept")))
    assert names(rootfs) == ["kept"]


@pytest.mark.parametrize("old", [file("x"), directory("x"), symlink("x", "elsewhere"), file("x/deep/er")])
@pytest.mark.parametrize("new", [file("x", b"new"), directory("x"), symlink("x", "other")])
def test_an_entry_replaces_what_lies_in_its_place(rootfs: Path, old: Member, new: Member) -> None:
    apply(rootfs, archive(file("elsewhere/canary"), old))
    apply(rootfs, archive(new))
    kind = stat.S_IFMT((rootfs / "x").lstat().st_mode)
    expected = {tarfile.REGTYPE: stat.S_IFREG, tarfile.DIRTYPE: stat.S_IFDIR, tarfile.SYMTYPE: stat.S_IFLNK}
    assert kind == expected[new.kind]
    assert (rootfs / "elsewhere" / "canary").exists()
    if new.kind == tarfile.DIRTYPE and old.name == "x/deep/er":
        assert (rootfs / "x" / "deep" / "er").exists()


def test_a_directory_entry_gives_a_lower_directory_its_attributes(rootfs: Path) -> None:
    apply(rootfs, archive(Member("d", tarfile.DIRTYPE, pax={"SCHILY.xattr.user.old": "1"}), file("d/file")))
    apply(rootfs, archive(Member("d", tarfile.DIRTYPE, mode=0o1700, uid=9, pax={"SCHILY.xattr.user.new": "2"})))
    status = (rootfs / "d").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o1700, 9)
    assert os.listxattr(rootfs / "d") == ["user.new"]
    assert names(rootfs) == ["d", "d/file"]


def test_the_last_of_duplicates_wins(rootfs: Path) -> None:
    apply(rootfs, archive(file("x", b"one"), directory("x"), file("x/y"), file("x", b"two"), file("x", b"three")))
    assert (rootfs / "x").read_bytes() == b"three"
    assert names(rootfs) == ["x"]


def test_replacing_a_file_leaves_its_other_names_alone(rootfs: Path) -> None:
    apply(rootfs, archive(file("a", b"old"), hard_link("b", "a")))
    apply(rootfs, archive(file("a", b"new")))
    assert ((rootfs / "a").read_bytes(), (rootfs / "b").read_bytes()) == (b"new", b"old")


def test_hard_links_reach_lower_layers_symlinks_and_themselves(rootfs: Path) -> None:
    apply(rootfs, archive(file("lower"), symlink("link", "lower")))
    apply(
        rootfs,
        archive(hard_link("d/upper", "lower"), hard_link("second", "link"), hard_link("/./lower", "lower")),
    )
    assert (rootfs / "d" / "upper").stat().st_ino == (rootfs / "lower").stat().st_ino
    assert os.readlink(rootfs / "second") == "lower"
    assert (rootfs / "second").lstat().st_nlink == 2


def test_entries_go_through_symlinks_of_lower_layers_inside_the_rootfs(rootfs: Path) -> None:
    apply(
        rootfs, archive(directory("usr/bin"), symlink("bin", "usr/bin"), symlink("sbin", "/bin"), symlink("v", "w/x"))
    )
    apply(rootfs, archive(file("bin/ls"), file("sbin/init"), file("v/made")))
    assert (rootfs / "usr/bin/ls").exists()
    assert (rootfs / "usr/bin/init").exists()
    assert (rootfs / "w/x/made").exists()
    assert (rootfs / "bin").is_symlink()
    apply(rootfs, archive(file("bin/.wh.ls", b""), hard_link("sbin/again", "bin/init")))
    assert names(rootfs / "usr/bin") == ["again", "init"]


def test_a_symlink_that_is_replaced_midway_is_not_remembered(rootfs: Path) -> None:
    apply(
        rootfs,
        archive(
            directory("one"),
            directory("two"),
            symlink("way", "one"),
            file("way/first"),
            symlink("way", "two"),
            file("way/second"),
            directory("way"),
            file("way/third"),
        ),
    )
    assert names(rootfs) == ["one", "one/first", "two", "two/second", "way", "way/third"]


def test_more_directories_than_are_kept_open_at_once(rootfs: Path) -> None:
    deep = "/".join(f"d{number}" for number in range(400))
    members = [file(f"wide{number}/sub/file") for number in range(400)]
    before = open_descriptors()
    apply(rootfs, archive(*members, file(f"{deep}/file"), *(hard_link(f"{m.name}2", f"{deep}/file") for m in members)))
    assert (rootfs / deep / "file").stat().st_nlink == 401
    assert not opened_since(before)
