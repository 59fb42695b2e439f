"""Copies between the host and a container."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest

from firkin.domain.errors import CopyFailed, FirkinError, UserUnknown
from firkin.domain.ids import ContainerId
from firkin.ports.agent_files import CopyIn, CopyOut

from ..agent_place import AgentPlace
from ..opened_agent import OpenAgent, same_bytes

MTIME = 1_600_000_000_123_456_789


def into(it: OpenAgent, source: Path | str, destination: str, user: str | None = "", parents: bool = False) -> CopyIn:
    return CopyIn(ContainerId("c"), it.overlay("c").merged, str(source), destination, user, parents)


def out_of(it: OpenAgent, source: str, destination: Path, keep: bool = False) -> CopyOut:
    return CopyOut(ContainerId("c"), it.overlay("c").merged, source, str(destination), keep)


async def started(it: OpenAgent) -> None:
    await it.started("c", "/bin/sleep", "3600")


async def test_a_file_comes_back_as_it_went(agent_place: AgentPlace, host_directory: Path) -> None:
    (host_directory / "file").write_bytes(bytes(range(256)))
    (host_directory / "file").chmod(0o640)
    os.utime(host_directory / "file", ns=(MTIME, MTIME))
    (host_directory / "none").touch()
    async with agent_place.opened() as it:
        await started(it)
        report = await it.agent.copy_in(into(it, host_directory / "file", "/tmp/copy"))
        assert (report.path, report.count.entries, report.count.content_bytes) == ("/tmp/copy", 1, 256)
        report = await it.agent.copy_out(out_of(it, "/tmp/copy", host_directory / "back"))
        assert (report.path, report.count.entries, report.left_out) == (str(host_directory / "back"), 1, ())
        await it.agent.copy_in(into(it, host_directory / "none", "/tmp"))
        await it.agent.copy_out(out_of(it, "/tmp/none", host_directory / "none-back"))
    status = (host_directory / "back").stat()
    assert (host_directory / "back").read_bytes() == bytes(range(256))
    assert (stat.S_IMODE(status.st_mode), status.st_mtime_ns) == (0o640, MTIME)
    assert (status.st_uid, status.st_gid) == (os.geteuid(), os.getegid())
    assert (host_directory / "none-back").read_bytes() == b""


async def test_where_a_file_goes_is_decided_by_what_is_there(agent_place: AgentPlace, host_directory: Path) -> None:
    (host_directory / "file").write_text("x")
    (host_directory / "directory").mkdir()
    async with agent_place.opened() as it:
        await started(it)
        for destination in ("/tmp", "/tmp/"):
            assert (await it.agent.copy_in(into(it, host_directory / "file", destination))).path == "/tmp/file"
        assert (await it.agent.copy_out(out_of(it, "/tmp/file", host_directory))).path == str(host_directory / "file")
        for destination in ("/missing/file", "/missing/", "/tmp/missing/", "/tmp/file/", "/tmp/file/below"):
            with pytest.raises(CopyFailed):
                await it.agent.copy_in(into(it, host_directory / "file", destination))
        await it.agent.copy_in(into(it, host_directory / "file", "/made/for/it", parents=True))
        await it.agent.copy_out(out_of(it, "/made", host_directory))
        assert stat.S_IMODE((host_directory / "made" / "for").stat().st_mode) == 0o755
        # Neither takes the other's place.
        with pytest.raises(CopyFailed):
            await it.agent.copy_in(into(it, host_directory / "directory", "/tmp/file"))
        await it.agent.copy_in(into(it, host_directory / "directory", "/tmp"))
        (host_directory / "directory").rmdir()
        (host_directory / "directory").write_text("x")
        with pytest.raises(CopyFailed):
            await it.agent.copy_in(into(it, host_directory / "directory", "/tmp"))
        with pytest.raises(CopyFailed):
            await it.agent.copy_out(out_of(it, "/tmp/directory", host_directory / "file"))
    assert (host_directory / "file").read_text() == (host_directory / "made" / "for" / "it").read_text() == "x"


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


async def test_a_tree_comes_back_as_it_went(agent_place: AgentPlace, host_directory: Path) -> None:
    made_tree(host_directory / "tree")
    (host_directory / "into").mkdir()
    (host_directory / "nothing").mkdir()
    async with agent_place.opened() as it:
        await started(it)
        report = await it.agent.copy_in(into(it, host_directory / "tree", "/tmp/copy"))
        assert (report.count.entries, report.count.content_bytes) == (9, 5)
        back = await it.agent.copy_out(out_of(it, "/tmp/copy", host_directory / "back"))
        assert back.count == report.count
        # A directory that exists takes the tree in, or only what is in it; twice is fine.
        for _ in range(2):
            assert (await it.agent.copy_in(into(it, host_directory / "tree", "/tmp"))).path == "/tmp/tree"
        assert (await it.agent.copy_in(into(it, f"{host_directory}/tree/.", "/home"))).path == "/home"
        assert (await it.agent.copy_out(out_of(it, "/tmp/copy", host_directory / "into"))).path == str(
            host_directory / "into" / "copy"
        )
        assert (await it.agent.copy_out(out_of(it, "/home/.", host_directory / "into"))).path == str(
            host_directory / "into"
        )
        await it.agent.copy_in(into(it, host_directory / "nothing", "/tmp"))
        await it.agent.copy_out(out_of(it, "/tmp/nothing", host_directory / "nothing-back"))
    assert (
        picture(host_directory / "back")
        == picture(host_directory / "into" / "copy")
        == picture(host_directory / "tree")
    )
    assert (host_directory / "back" / "same").stat().st_ino == (host_directory / "back" / "deep" / "file").stat().st_ino
    assert {path.name for path in (host_directory / "into").iterdir()} >= {"copy", "deep", "empty", "same"}
    assert list((host_directory / "nothing-back").iterdir()) == []


async def test_what_stands_in_the_way_is_named(agent_place: AgentPlace, host_directory: Path) -> None:
    (host_directory / "file").write_bytes(bytes(4 * 2**20))
    async with agent_place.opened() as it:
        await started(it)
        with pytest.raises(CopyFailed) as raised:
            await it.agent.copy_in(into(it, host_directory / "missing", "/tmp"))
        assert raised.value.path == str(host_directory / "missing")
        with pytest.raises(CopyFailed) as raised:
            await it.agent.copy_out(out_of(it, "/no/such/file", host_directory))
        assert raised.value.path == "/no/such/file"
        elsewhere = CopyIn(ContainerId("other"), it.overlay("other").merged, str(host_directory), "/tmp")
        with pytest.raises(FirkinError):
            await it.agent.copy_in(elsewhere)
        with pytest.raises(UserUnknown):
            await it.agent.copy_in(into(it, host_directory / "file", "/tmp", user="nobody-here"))
        with pytest.raises(CopyFailed):
            await it.agent.copy_out(out_of(it, "/tmp/file", host_directory / "back"))
        await it.agent.copy_in(into(it, host_directory / "file", "/tmp"))
        with pytest.raises(CopyFailed) as raised:
            await it.agent.copy_out(out_of(it, "/tmp/file", host_directory / "missing" / "file"))
        assert str(host_directory / "missing") in str(raised.value)
        await it.agent.copy_out(out_of(it, "/tmp/file", host_directory / "fine"))


async def test_whose_the_copy_is_can_be_chosen(agent_place: AgentPlace, host_directory: Path) -> None:
    (host_directory / "tool").write_text("#!")
    os.chown(host_directory / "tool", 1234, 4321)
    (host_directory / "tool").chmod(0o6755)
    async with agent_place.opened() as it:
        await started(it)
        await it.agent.copy_in(into(it, host_directory / "tool", "/tmp/kept", user=None))
        await it.agent.copy_in(into(it, host_directory / "tool", "/tmp/given", user="55:66"))
        await it.agent.copy_in(into(it, host_directory / "tool", "/tmp/named", user="root"))
        for name in ("kept", "given", "named"):
            await it.agent.copy_out(out_of(it, f"/tmp/{name}", host_directory / name, keep=True))
        await it.agent.copy_out(out_of(it, "/tmp/kept", host_directory / "own"))

    def seen(name: str) -> tuple[int, int, int]:
        status = (host_directory / name).stat()
        return status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)

    assert seen("kept") == (1234, 4321, 0o6755)
    assert seen("given") == (55, 66, 0o755)
    assert seen("named") == (0, 0, 0o755)
    assert seen("own") == (os.geteuid(), os.getegid(), 0o755)


async def test_ten_mebibytes_and_hundreds_of_files_make_the_round_trip(
    agent_place: AgentPlace, host_directory: Path
) -> None:
    (host_directory / "tree").mkdir()
    large = os.urandom(10 * 2**20)
    (host_directory / "tree" / "large").write_bytes(large)
    for number in range(300):
        (host_directory / "tree" / f"{number}").write_text(f"{number}")
    async with agent_place.opened() as it:
        await started(it)
        await it.agent.copy_in(into(it, host_directory / "tree", "/tmp"))
        await it.agent.copy_out(out_of(it, "/tmp/tree", host_directory / "back"))
        await it.agent.copy_out(out_of(it, "/tmp/tree/large", host_directory / "large"))
    assert same_bytes((host_directory / "back" / "large").read_bytes(), large)
    assert same_bytes((host_directory / "large").read_bytes(), large)
    assert len(list((host_directory / "back").iterdir())) == 301


async def test_many_copies_at_once_do_not_disturb_each_other(agent_place: AgentPlace, host_directory: Path) -> None:
    for number in range(20):
        (host_directory / f"{number}").write_text(f"{number}" * 100_000)
    async with agent_place.opened() as it:
        await started(it)
        await asyncio.gather(
            *(it.agent.copy_in(into(it, host_directory / f"{number}", "/tmp")) for number in range(20))
        )
        await asyncio.gather(
            *(
                it.agent.copy_out(out_of(it, f"/tmp/{number}", host_directory / f"back-{number}"))
                for number in range(20)
            )
        )
    for number in range(20):
        assert (host_directory / f"back-{number}").read_text() == f"{number}" * 100_000
