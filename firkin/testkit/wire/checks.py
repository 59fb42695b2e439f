"""What any agent of SandboxContext has to do, looked at from outside: by calls alone."""

from __future__ import annotations

import asyncio
import contextlib
import io
import stat
import tarfile
from collections.abc import Awaitable, Callable

import msgspec
from grpc.aio import AioRpcError, Channel

from firkin.wire import sandbox_context_pb2 as wire
from firkin.wire.sandbox_context_pb2_grpc import SandboxContextStub

from .process_checks import PROCESS_CHECKS
from .visit import REFUSALS, Visit, expect

CHECK_SECONDS = 60.0
"""An agent that has not done by then hangs."""

_CONTENT = b"content"


class Finding(msgspec.Struct, frozen=True):
    """What one check found: `problem` is "" when the agent does as it should, None when it was not tried."""

    check: str
    problem: str | None


async def _directories(visit: Visit) -> None:
    for _ in range(2):
        await visit.stub.Mkdir(wire.MkdirRequest(path=f"{visit.scratch}/a/b", all=True, perms=0o750))
    answer = await visit.stub.Stat(wire.StatRequest(path=f"{visit.scratch}/a/b"))
    expect(stat.S_ISDIR(answer.stat.mode), f"what Mkdir made has mode {answer.stat.mode:o}")


async def _files(visit: Visit) -> None:
    flags = wire.WriteFileRequest.WriteFileFlags(create_parent_dirs=True, create_if_missing=True)
    path = f"{visit.scratch}/files/one"
    for data in (b"a longer text", b"short"):
        await visit.stub.WriteFile(wire.WriteFileRequest(path=path, data=data, mode=0o640, flags=flags))
    found = (await visit.stub.Stat(wire.StatRequest(path=path))).stat
    expect(found.size == 5, f"a file that was written again with 5 bytes has {found.size}")
    expect(stat.S_IMODE(found.mode) == 0o640, f"its mode is {stat.S_IMODE(found.mode):o}, not 640")


async def _missing_files(visit: Visit) -> None:
    try:
        answer = await visit.stub.Stat(wire.StatRequest(path=f"{visit.scratch}/nothing"))
    except AioRpcError as error:
        expect(error.code() in REFUSALS, f"Stat of nothing failed with {error.code().name}")
    else:
        expect(bool(answer.error), "Stat of nothing succeeded")


async def _removal(visit: Visit) -> None:
    await visit.stub.Mkdir(wire.MkdirRequest(path=f"{visit.scratch}/gone/deep", all=True, perms=0o755))
    request = wire.RemovePathRequest(path=f"{visit.scratch}/gone", recursive=True, allow_missing=True)
    for _ in range(2):
        await visit.stub.RemovePath(request)
    await _missing_after(visit, f"{visit.scratch}/gone")


async def _missing_after(visit: Visit, path: str) -> None:
    try:
        answer = await visit.stub.Stat(wire.StatRequest(path=path))
    except AioRpcError:
        return
    expect(bool(answer.error), f"{path} is still there")


async def _environment(visit: Visit) -> None:
    await visit.stub.Setenv(wire.SetenvRequest(key="FIRKIN_WIRE_CHECK", value="a b"))
    answer = await visit.stub.Getenv(wire.GetenvRequest(key="FIRKIN_WIRE_CHECK"))
    expect(answer.value == "a b", f"a variable that was set to 'a b' is {answer.value!r}")


async def _usage(visit: Visit) -> None:
    answer = await visit.stub.FilesystemUsage(wire.FilesystemUsageRequest(path="/"))
    expect(answer.block_size > 0, "FilesystemUsage tells no block size")
    expect(answer.total_blocks >= answer.free_blocks >= answer.available_blocks, "more is free than there is")


async def _synced(visit: Visit) -> None:
    await visit.stub.Sync(wire.SyncRequest())


async def _mounts(visit: Visit) -> None:
    place = f"{visit.scratch}/mounted"
    await visit.stub.Mkdir(wire.MkdirRequest(path=place, all=True, perms=0o755))
    await visit.stub.Mount(wire.MountRequest(type="tmpfs", source="tmpfs", destination=place))
    try:
        flags = wire.WriteFileRequest.WriteFileFlags(create_if_missing=True)
        await visit.stub.WriteFile(wire.WriteFileRequest(path=f"{place}/file", data=b"x", mode=0o644, flags=flags))
    finally:
        await visit.stub.Umount(wire.UmountRequest(path=place))
    await _missing_after(visit, f"{place}/file")


async def _layers(visit: Visit) -> None:
    rootfs = f"{visit.scratch}/rootfs"
    await visit.stub.Mkdir(wire.MkdirRequest(path=rootfs, all=True, perms=0o755))
    for layer in (_archive("d/kept", "d/hidden"), _archive("d/.wh.hidden")):
        await _layer_applied(visit, layer, rootfs)
    kept = (await visit.stub.Stat(wire.StatRequest(path=f"{rootfs}/d/kept"))).stat
    expect(kept.size == len(_CONTENT), f"a file of a layer has {kept.size} bytes, not {len(_CONTENT)}")
    await _missing_after(visit, f"{rootfs}/d/hidden")


async def _bad_layers(visit: Visit) -> None:
    rootfs = f"{visit.scratch}/bad/rootfs"
    await visit.stub.Mkdir(wire.MkdirRequest(path=rootfs, all=True, perms=0o755))
    # A way out of the rootfs may be refused, or lead nowhere.
    with contextlib.suppress(AioRpcError):
        await _layer_applied(visit, _archive("../outside"), rootfs)
    await _missing_after(visit, f"{visit.scratch}/bad/outside")
    try:
        await _layer_applied(visit, b"no archive at all" * 64, rootfs)
    except AioRpcError:
        return
    raise AssertionError("what is no archive is applied as a layer")


async def _layer_applied(visit: Visit, layer: bytes, rootfs: str) -> None:
    path = f"{visit.scratch}/layer"
    flags = wire.WriteFileRequest.WriteFileFlags(create_if_missing=True)
    await visit.stub.WriteFile(wire.WriteFileRequest(path=path, data=layer, mode=0o600, flags=flags))
    await visit.stub.ApplyOciLayer(wire.ApplyOciLayerRequest(archive_path=path, destination=rootfs))


def _archive(*names: str) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(_CONTENT)
            tar.addfile(member, io.BytesIO(_CONTENT))
    return written.getvalue()


async def _unknown_process(visit: Visit) -> None:
    for call in (
        visit.stub.WaitProcess(wire.WaitProcessRequest(id="never-was", containerID="never-was")),
        visit.stub.StartProcess(wire.StartProcessRequest(id="never-was", containerID="never-was")),
    ):
        try:
            await call
        except AioRpcError as error:
            expect(error.code() in REFUSALS, f"a process that never was fails with {error.code().name}")
        else:
            raise AssertionError("a process that never was is waited for or started")


CHECKS: dict[str, Callable[[Visit], Awaitable[None]]] = {
    "directories are made with their parents, and twice is fine": _directories,
    "a file is written whole, with its mode": _files,
    "what is not there is told": _missing_files,
    "a tree is removed, and twice is fine": _removal,
    "the environment keeps what is set": _environment,
    "the usage of a filesystem adds up": _usage,
    "everything can be synced": _synced,
    "a filesystem is mounted and unmounted": _mounts,
    "layers are applied one on the other": _layers,
    "a bad layer is refused or does no harm": _bad_layers,
    "a process that never was is refused": _unknown_process,
}


async def findings(
    channel: Channel, scratch: str, rootfs: str = "", check_seconds: float = CHECK_SECONDS
) -> list[Finding]:
    """Try everything; nothing is left in the guest. A check that takes longer than `check_seconds` has failed."""
    visit = Visit(SandboxContextStub(channel), scratch, rootfs)
    found = [Finding(name, await _problem(check, visit, check_seconds)) for name, check in CHECKS.items()]
    for name, check in PROCESS_CHECKS.items():
        found.append(Finding(name, await _problem(check, visit, check_seconds) if rootfs else None))
    cleared = wire.RemovePathRequest(path=scratch, recursive=True, allow_missing=True)
    try:
        await visit.stub.RemovePath(cleared, timeout=check_seconds)
    except AioRpcError as error:
        found.append(Finding("the checks' own directory can be removed", _told(error)))
    return found


async def _problem(check: Callable[[Visit], Awaitable[None]], visit: Visit, seconds: float) -> str:
    try:
        async with asyncio.timeout(seconds):
            await check(visit)
    except TimeoutError:
        return f"no answer within {seconds:g} s"
    except AioRpcError as error:
        return _told(error)
    except AssertionError as error:
        return str(error)
    return ""


def _told(error: AioRpcError) -> str:
    return f"{error.code().name}: {error.details()}"
