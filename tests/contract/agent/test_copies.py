"""Copies between the host and a container, over memory and both services of vminitd."""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
from pathlib import Path

import pytest

from firkin.domain.errors import CopyFailed, FirkinError, UserUnknown
from firkin.domain.ids import ContainerId
from firkin.ports.agent_files import CopyIn, CopyOut

from .roads import AGENT_V1, MEMORY, SANDBOX_CONTEXT, OpenAgent, Road

pytestmark = pytest.mark.real_time

MTIME = 1_600_000_000_123_456_789


@pytest.fixture(params=[MEMORY, AGENT_V1, SANDBOX_CONTEXT])
def road(request: pytest.FixtureRequest, tmp_path: Path) -> Road:
    return Road(str(request.param), tmp_path)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "host").mkdir()
    return tmp_path / "host"


def into(it: OpenAgent, source: Path | str, destination: str, user: str | None = "", parents: bool = False) -> CopyIn:
    return CopyIn(ContainerId("c"), it.overlay("c").merged, str(source), destination, user, parents)


def out_of(it: OpenAgent, source: str, destination: Path, keep: bool = False) -> CopyOut:
    return CopyOut(ContainerId("c"), it.overlay("c").merged, source, str(destination), keep)


async def started(it: OpenAgent) -> None:
    await it.started("c", "/bin/sleep", "3600")


async def test_a_file_comes_back_as_it_went(road: Road, here: Path) -> None:
    (here / "file").write_bytes(bytes(range(256)))
    (here / "file").chmod(0o640)
    os.utime(here / "file", ns=(MTIME, MTIME))
    (here / "none").touch()
    async with road.opened() as it:
        await started(it)
        report = await it.agent.copy_in(into(it, here / "file", "/tmp/copy"))
        assert (report.path, report.count.entries, report.count.content_bytes) == ("/tmp/copy", 1, 256)
        report = await it.agent.copy_out(out_of(it, "/tmp/copy", here / "back"))
        assert (report.path, report.count.entries, report.left_out) == (str(here / "back"), 1, ())
        await it.agent.copy_in(into(it, here / "none", "/tmp"))
        await it.agent.copy_out(out_of(it, "/tmp/none", here / "none-back"))
    status = (here / "back").stat()
    assert (here / "back").read_bytes() == bytes(range(256))
    assert (stat.S_IMODE(status.st_mode), status.st_mtime_ns) == (0o640, MTIME)
    assert (status.st_uid, status.st_gid) == (os.geteuid(), os.getegid())
    assert (here / "none-back").read_bytes() == b""


async def test_where_a_file_goes_is_decided_by_what_is_there(road: Road, here: Path) -> None:
    (here / "file").write_text("x")
    (here / "directory").mkdir()
    async with road.opened() as it:
        await started(it)
        for destination in ("/tmp", "/tmp/"):
            assert (await it.agent.copy_in(into(it, here / "file", destination))).path == "/tmp/file"
        assert (await it.agent.copy_out(out_of(it, "/tmp/file", here))).path == str(here / "file")
        for destination in ("/missing/file", "/missing/", "/tmp/missing/", "/tmp/file/", "/tmp/file/below"):
            with pytest.raises(CopyFailed):
                await it.agent.copy_in(into(it, here / "file", destination))
        await it.agent.copy_in(into(it, here / "file", "/made/for/it", parents=True))
        await it.agent.copy_out(out_of(it, "/made", here))
        assert stat.S_IMODE((here / "made" / "for").stat().st_mode) == 0o755
        # Neither takes the other's place.
        with pytest.raises(CopyFailed):
            await it.agent.copy_in(into(it, here / "directory", "/tmp/file"))
        await it.agent.copy_in(into(it, here / "directory", "/tmp"))
        (here / "directory").rmdir()
        (here / "directory").write_text("x")
        with pytest.raises(CopyFailed):
            await it.agent.copy_in(into(it, here / "directory", "/tmp"))
        with pytest.raises(CopyFailed):
            await it.agent.copy_out(out_of(it, "/tmp/directory", here / "file"))
    assert (here / "file").read_text() == (here / "made" / "for" / "it").read_text() == "x"


def made_tree(top: Path) -> None:
    (top / "deep" / "deeper").mkdir(parents=True)
    (top / "empty").mkdir()
    (top / "deep" / "file").write_bytes(b"in it")
    (top / "deep" / "deeper" / "none").touch()
    os.link(top / "deep" / "file", top / "same")
    os.symlink("/etc/passwd", top / "absolute")
    os.symlink("deep/file", top / "relative")
    (top / "deep").chmod(0o1750)
    os.utime(top / "deep", ns=(MTIME, MTIME))


def picture(top: Path) -> dict[str, tuple[int, int, object]]:
    def content(path: Path) -> object:
        return os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None

    paths = [top, *sorted(top.rglob("*"))]
    return {
        str(path.relative_to(top)): (path.lstat().st_mode, path.lstat().st_mtime_ns, content(path)) for path in paths
    }


async def test_a_tree_comes_back_as_it_went(road: Road, here: Path) -> None:
    made_tree(here / "tree")
    (here / "into").mkdir()
    (here / "nothing").mkdir()
    async with road.opened() as it:
        await started(it)
        report = await it.agent.copy_in(into(it, here / "tree", "/tmp/copy"))
        assert (report.count.entries, report.count.content_bytes) == (9, 5)
        back = await it.agent.copy_out(out_of(it, "/tmp/copy", here / "back"))
        assert back.count == report.count
        # A directory that exists takes the tree in, or only what is in it; twice is fine.
        for _ in range(2):
            assert (await it.agent.copy_in(into(it, here / "tree", "/tmp"))).path == "/tmp/tree"
        assert (await it.agent.copy_in(into(it, f"{here}/tree/.", "/home"))).path == "/home"
        assert (await it.agent.copy_out(out_of(it, "/tmp/copy", here / "into"))).path == str(here / "into" / "copy")
        assert (await it.agent.copy_out(out_of(it, "/home/.", here / "into"))).path == str(here / "into")
        await it.agent.copy_in(into(it, here / "nothing", "/tmp"))
        await it.agent.copy_out(out_of(it, "/tmp/nothing", here / "nothing-back"))
    assert picture(here / "back") == picture(here / "into" / "copy") == picture(here / "tree")
    assert (here / "back" / "same").stat().st_ino == (here / "back" / "deep" / "file").stat().st_ino
    assert {path.name for path in (here / "into").iterdir()} >= {"copy", "deep", "empty", "same"}
    assert list((here / "nothing-back").iterdir()) == []


async def test_what_stands_in_the_way_is_named(road: Road, here: Path) -> None:
    (here / "file").write_bytes(bytes(4 * 2**20))
    async with road.opened() as it:
        await started(it)
        with pytest.raises(CopyFailed) as raised:
            await it.agent.copy_in(into(it, here / "missing", "/tmp"))
        assert raised.value.path == str(here / "missing")
        with pytest.raises(CopyFailed) as raised:
            await it.agent.copy_out(out_of(it, "/no/such/file", here))
        assert raised.value.path == "/no/such/file"
        elsewhere = CopyIn(ContainerId("other"), it.overlay("other").merged, str(here), "/tmp")
        with pytest.raises(FirkinError):
            await it.agent.copy_in(elsewhere)
        with pytest.raises(UserUnknown):
            await it.agent.copy_in(into(it, here / "file", "/tmp", user="nobody-here"))
        with pytest.raises(CopyFailed):
            await it.agent.copy_out(out_of(it, "/tmp/file", here / "back"))
        await it.agent.copy_in(into(it, here / "file", "/tmp"))
        with pytest.raises(CopyFailed) as raised:
            await it.agent.copy_out(out_of(it, "/tmp/file", here / "missing" / "file"))
        assert str(here / "missing") in str(raised.value)
        await it.agent.copy_out(out_of(it, "/tmp/file", here / "fine"))


async def test_whose_the_copy_is_can_be_chosen(road: Road, here: Path) -> None:
    (here / "tool").write_text("#!")
    os.chown(here / "tool", 1234, 4321)
    (here / "tool").chmod(0o6755)
    async with road.opened() as it:
        await started(it)
        await it.agent.copy_in(into(it, here / "tool", "/tmp/kept", user=None))
        await it.agent.copy_in(into(it, here / "tool", "/tmp/given", user="55:66"))
        await it.agent.copy_in(into(it, here / "tool", "/tmp/named", user="root"))
        for name in ("kept", "given", "named"):
            await it.agent.copy_out(out_of(it, f"/tmp/{name}", here / name, keep=True))
        await it.agent.copy_out(out_of(it, "/tmp/kept", here / "own"))

    def seen(name: str) -> tuple[int, int, int]:
        status = (here / name).stat()
        return status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)

    assert seen("kept") == (1234, 4321, 0o6755)
    assert seen("given") == (55, 66, 0o755)
    assert seen("named") == (0, 0, 0o755)
    assert seen("own") == (os.geteuid(), os.getegid(), 0o755)


async def test_ten_mebibytes_and_hundreds_of_files_make_the_round_trip(road: Road, here: Path) -> None:
    (here / "tree").mkdir()
    large = os.urandom(10 * 2**20)
    (here / "tree" / "large").write_bytes(large)
    for number in range(300):
        (here / "tree" / f"{number}").write_text(f"{number}")
    async with road.opened() as it:
        await started(it)
        await it.agent.copy_in(into(it, here / "tree", "/tmp"))
        await it.agent.copy_out(out_of(it, "/tmp/tree", here / "back"))
        await it.agent.copy_out(out_of(it, "/tmp/tree/large", here / "large"))
    assert hashlib.sha256((here / "back" / "large").read_bytes()).digest() == hashlib.sha256(large).digest()
    assert (here / "large").read_bytes() == large
    assert len(list((here / "back").iterdir())) == 301


async def test_many_copies_at_once_do_not_disturb_each_other(road: Road, here: Path) -> None:
    for number in range(20):
        (here / f"{number}").write_text(f"{number}" * 100_000)
    async with road.opened() as it:
        await started(it)
        await asyncio.gather(*(it.agent.copy_in(into(it, here / f"{number}", "/tmp")) for number in range(20)))
        await asyncio.gather(
            *(it.agent.copy_out(out_of(it, f"/tmp/{number}", here / f"back-{number}")) for number in range(20))
        )
    for number in range(20):
        assert (here / f"back-{number}").read_text() == f"{number}" * 100_000


async def test_a_copy_that_is_cancelled_leaves_whole_files_only(road: Road, here: Path) -> None:
    (here / "tree").mkdir()
    (here / "tree" / "small").write_text("small")
    with (here / "tree" / "zeros").open("wb") as file:
        file.truncate(2**30)
    if road.name == MEMORY:
        return
    async with road.opened() as it:
        await started(it)
        for _ in range(2):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await it.agent.copy_in(into(it, here / "tree", "/tmp"))
        await it.agent.copy_out(out_of(it, "/tmp", here / "first"))
        copied = [path.name for path in (here / "first").rglob("*")]
        assert "zeros" not in copied
        assert not [name for name in copied if name.startswith(".firkin")]
        (here / "tree" / "zeros").unlink()
        await it.agent.copy_in(into(it, here / "tree", "/tmp"))
        await it.agent.copy_out(out_of(it, "/tmp/tree/small", here))
    assert (here / "small").read_text() == "small"
