"""Pax global headers beside other readers, beside real writers, and beside the same archives without them."""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firkin.domain.tar_archive import Entry, Limits, TarReader
from firkin.domain.tar_header import TarError
from firkin.vminitd.layers.applier import apply_layer

from .archives import Trickle, sha256
from .golden.blocks import (
    directory,
    file,
    global_pax,
    global_pax_data,
    gnu_name,
    hard_link,
    layer,
    pax,
    symlink,
)
from .golden.trees import Tree, differences, read_tree
from .test_real_archives import below, read_by_python, run

_OWNER = {"uid": "5", "gid": "6", "mtime": "1500000000.5"}


def applied(rootfs: Path, tar: bytes) -> Tree:
    """The tree of a layer."""
    rootfs.mkdir(mode=0o755)
    apply_layer(str(rootfs), Trickle(tar), layer_name="layer", digest=sha256(tar), diff_id=sha256(tar))
    return below(read_tree(rootfs))


def read(tar: bytes) -> list[Entry]:
    """The entries as the reader of copied archives sees them."""
    pieces = iter([tar[at : at + 701] for at in range(0, len(tar), 701)])
    return list(TarReader(lambda: next(pieces, b""), Limits()).entries())


def unpacked_by_gnu_tar(tar: bytes, place: Path) -> Tree:
    """The tree that GNU tar makes of it."""
    place.mkdir()
    subprocess.run(["tar", "-xpf", "-", "-C", str(place), "--numeric-owner"], input=tar, check=True)
    return below(read_tree(place))


# Headers that GNU tar, which forgets all of the earlier ones at each new one, and POSIX agree on.
COMPARED = {
    "owners and times": layer(file("a", uid=1), global_pax(_OWNER), file("b"), directory("c"), symlink("d", "a")),
    "an entry's own": layer(global_pax(_OWNER), pax({"uid": "9"}), file("a"), file("b"), pax({"path": "d"}), file("c")),
    "a comment": layer(global_pax({"comment": "f" * 40}), file("a", uid=1), directory("b")),
    "a header that says all anew": layer(global_pax(_OWNER), file("a"), global_pax(_OWNER | {"uid": "7"}), file("b")),
    "a path": layer(file("a"), global_pax({"path": "all"}), file("b", b"1"), file("c", b"2")),
    "a target": layer(file("a"), global_pax({"linkpath": "a"}), hard_link("b", "c"), symlink("d", "e"), file("f")),
    "a path between a header and its entry": layer(pax({"path": "own"}), global_pax({"path": "all"}), file("a")),
}


@pytest.mark.parametrize("name", COMPARED)
def test_gnu_tar_makes_the_same_tree(tmp_path: Path, name: str) -> None:
    found = applied(tmp_path / "ours", COMPARED[name])
    assert differences(unpacked_by_gnu_tar(COMPARED[name], tmp_path / "theirs"), found) == {}


@pytest.mark.parametrize("name", COMPARED)
def test_the_standard_library_reads_the_same_tree(tmp_path: Path, name: str) -> None:
    (tmp_path / "archive.tar").write_bytes(COMPARED[name])
    found = applied(tmp_path / "ours", COMPARED[name])
    assert differences(below(read_by_python(tmp_path / "archive.tar")), found) == {}


def test_gnu_tar_gives_every_file_the_same_size(tmp_path: Path) -> None:
    """The standard library does not follow: it has looked for the next header already."""
    tar = layer(
        global_pax({"size": "3"}),
        file("a", b"123", size=0),
        directory("b"),
        pax({"size": "4"}),
        file("c", b"4567", size=0),
    )
    found = applied(tmp_path / "ours", tar)
    assert differences(unpacked_by_gnu_tar(tar, tmp_path / "theirs"), found) == {}


def test_the_standard_library_keeps_what_a_later_header_does_not_name_and_gnu_tar_does_not(tmp_path: Path) -> None:
    tar = layer(global_pax(_OWNER), file("a"), global_pax({"uid": "7"}), file("b"))
    (tmp_path / "archive.tar").write_bytes(tar)
    found = applied(tmp_path / "ours", tar)
    assert differences(below(read_by_python(tmp_path / "archive.tar")), found) == {}
    theirs = unpacked_by_gnu_tar(tar, tmp_path / "theirs")
    assert (theirs[b"b"].uid, theirs[b"b"].gid) == (7, 0)
    assert (found[b"b"].uid, found[b"b"].gid) == (7, 6)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A tree to pack."""
    tree = tmp_path / "source"
    (tree / "dir").mkdir(parents=True)
    (tree / "dir" / "file").write_bytes(b"x" * 1000)
    (tree / "link").symlink_to("dir/file")
    os.link(tree / "dir" / "file", tree / "same")
    for path in [*tree.rglob("*"), tree]:
        os.utime(path, (1, 1_234_567_890), follow_symlinks=False)
    return tree


def written_by_gnu_tar(source: Path, tar: Path, *told: str) -> bytes:
    """An archive whose global header says this."""
    options = ",".join((*told, "globexthdr.name=global", "delete=atime", "delete=ctime"))
    run("tar", "--format=posix", f"--pax-option={options}", "-C", source, "-cf", tar, ".")
    written = tar.read_bytes()
    assert written[:6] == b"global"
    return written


def test_global_headers_written_by_gnu_tar(tmp_path: Path, source: Path) -> None:
    tar = written_by_gnu_tar(source, tmp_path / "written.tar", "uid=7", "gid=8", "mtime=1234.5")
    found = applied(tmp_path / "ours", tar)
    assert {(node.uid, node.gid, node.mtime_ns) for node in found.values()} == {(7, 8, 1_234_500_000_000)}
    assert len(found) == 4
    assert differences(unpacked_by_gnu_tar(tar, tmp_path / "theirs"), found) == {}


def test_global_attributes_written_by_gnu_tar(tmp_path: Path, source: Path) -> None:
    """Which does not read them itself: version 1.34 loses their names, and then reads beyond its memory."""
    tar = written_by_gnu_tar(source, tmp_path / "written.tar", "SCHILY.xattr.trusted.note=all")
    found = applied(tmp_path / "ours", tar)
    assert [dict(node.xattrs) for node in found.values()] == [{"trusted.note": b"all"}] * 4


def test_an_archive_of_git_is_what_git_packed(tmp_path: Path, source: Path) -> None:
    """Its global header has the commit's id, as a comment."""
    git = [
        "git",
        "-C",
        str(source),
        "-c",
        "user.name=n",
        "-c",
        "user.email=e@example.org",
        "-c",
        "commit.gpgsign=false",
    ]
    run(*git, "init", "-q")
    run(*git, "add", ".")
    run(*git, "commit", "-q", "-m", "all")
    run(*git, "archive", "--format=tar", "-o", tmp_path / "written.tar", "HEAD")
    tar = (tmp_path / "written.tar").read_bytes()
    assert tar[156:157] == b"g"
    assert b" comment=" in tar[512:1024]
    found = applied(tmp_path / "ours", tar)
    assert found.keys() == {b"dir", b"dir/file", b"link", b"same"}
    assert differences(unpacked_by_gnu_tar(tar, tmp_path / "theirs"), found) == {}
    assert differences(below(read_by_python(tmp_path / "written.tar")), found) == {}


class Step(NamedTuple):
    """A header, or with a name an entry: its own records."""

    records: dict[str, str]
    name: str | None


_values = st.sampled_from(["", "1", "7", "4000000000"])
_numbers = st.fixed_dictionaries({}, optional={"uid": _values, "gid": _values, "mtime": _values})
_attributes = st.fixed_dictionaries(
    {},
    optional={
        "SCHILY.xattr.trusted.a": st.sampled_from(["", "1", "2"]),
        "LIBARCHIVE.xattr.trusted.a": st.sampled_from(["", "Mw==", "NA=="]),
        "LIBARCHIVE.xattr.trusted.%62": st.sampled_from(["", "NQ=="]),
        "SCHILY.xattr.trusted.b": st.sampled_from(["", "6"]),
    },
)
_paths = st.fixed_dictionaries({}, optional={"path": st.sampled_from(["", "p", "q"])})
_records = st.builds(lambda one, two, three: {**one, **two, **three}, _numbers, _attributes, _paths)
_steps = st.lists(st.builds(Step, _records, st.one_of(st.none(), st.sampled_from("wxyz"))), min_size=2, max_size=10)


def as_global(steps: Sequence[Step]) -> bytes:
    """The archive with its global headers."""
    return layer(*_as_global(steps))


def _as_global(steps: Sequence[Step]) -> Iterator[bytes]:
    for step in steps:
        if step.name is None:
            yield global_pax(step.records)
        else:
            yield (pax(step.records) if step.records else b"") + file(step.name, uid=3)


def spelled_out(steps: Sequence[Step]) -> bytes:
    """The archive as it would be without them: every entry says all that holds of it."""
    return layer(*_spelled_out(steps))


def _spelled_out(steps: Sequence[Step]) -> Iterator[bytes]:
    held: dict[str, str] = {}
    for step in steps:
        if step.name is None:
            held = {keyword: value for keyword, value in (held | step.records).items() if value}
            continue
        own = {_attribute(keyword) for keyword in step.records if ".xattr." in keyword}
        records = {
            keyword: value
            for keyword, value in held.items()
            if keyword not in step.records and (".xattr." not in keyword or _attribute(keyword) not in own)
        }
        yield pax(records | step.records) + file(step.name, uid=3)


def _without_libarchive(records: Mapping[str, str]) -> dict[str, str]:
    return {keyword: value for keyword, value in records.items() if not keyword.startswith("LIBARCHIVE.")}


def _attribute(keyword: str) -> str:
    return keyword.partition(".xattr.")[2].replace("%62", "b")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_steps)
def test_what_global_headers_say_is_as_if_every_entry_said_it(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Step]
) -> None:
    place = tmp_path_factory.mktemp("trees")
    found = applied(place / "global", as_global(steps))
    assert differences(applied(place / "spelled", spelled_out(steps)), found) == {}
    # Which does not know the attributes of libarchive.
    known = [step._replace(records=_without_libarchive(step.records)) for step in steps]
    assert read(as_global(known)) == read(spelled_out(known))


REFUSED = {
    "a sparse map": layer(global_pax({"GNU.sparse.map": "0,1"}), file("x")),
    "a malformed record": layer(global_pax_data(b"9 path=xy\n"), file("x")),
    "too many attributes": layer(global_pax({f"SCHILY.xattr.user.{n}": "v" * 72 for n in range(60)}), file("x")),
    "more than a header may have": layer(global_pax({"path": "p" * 3 * 2**20}), global_pax({"linkpath": "l" * 2**21})),
    "more than a header may have with an entry's own": layer(
        global_pax({"path": "p" * 3 * 2**20}), pax({"linkpath": "l" * 2**21}), file("x")
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_reader_of_copied_archives_refuses_what_no_global_header_may_say(name: str) -> None:
    with pytest.raises(TarError, match=r"global|malformed|larger than"):
        read(REFUSED[name])


def test_the_reader_of_copied_archives_prefers_long_names_of_an_entry_to_those_of_all() -> None:
    tar = layer(global_pax({"path": "all", "linkpath": "target"}), gnu_name("long"), symlink("x", "y"), file("x"))
    assert [(entry.name, entry.link_name) for entry in read(tar)] == [(b"long", b"target"), (b"all", b"target")]


def test_the_standard_library_writes_what_it_reads(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "written.tar", "w", pax_headers={"uid": "7", "mtime": "12.5"}) as writer:
        writer.addfile(tarfile.TarInfo("x"))
    found = applied(tmp_path / "ours", (tmp_path / "written.tar").read_bytes())
    assert (found[b"x"].uid, found[b"x"].mtime_ns) == (7, 12_500_000_000)
    assert differences(below(read_by_python(tmp_path / "written.tar")), found) == {}
