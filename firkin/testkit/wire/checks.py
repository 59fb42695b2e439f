"""What any agent of SandboxContext has to do, looked at from outside: by calls alone."""

from __future__ import annotations

import json
import stat
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import grpc
import msgspec
from grpc.aio import AioRpcError, Channel

from firkin.wire import sandbox_context_pb2 as wire
from firkin.wire.sandbox_context_pb2_grpc import SandboxContextStub

if TYPE_CHECKING:
    from firkin.wire.sandbox_context_pb2_grpc import SandboxContextAsyncStub

CALL_SECONDS = 30.0
_GONE = (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INVALID_ARGUMENT)


class Visit(msgspec.Struct, frozen=True):
    """Where an agent is checked.

    Attributes:
        stub: the agent.
        scratch: a directory of the guest that the checks may make, fill and remove.
        rootfs: a root filesystem of the guest with `sh`, in which processes are run; "" when there is none.
    """

    stub: SandboxContextAsyncStub
    scratch: str
    rootfs: str = ""


class Finding(msgspec.Struct, frozen=True):
    """What one check found: `problem` is "" when the agent does as it should, None when it was not tried."""

    check: str
    problem: str | None


async def _directories(visit: Visit) -> None:
    for _ in range(2):
        await visit.stub.Mkdir(wire.MkdirRequest(path=f"{visit.scratch}/a/b", all=True, perms=0o750))
    answer = await visit.stub.Stat(wire.StatRequest(path=f"{visit.scratch}/a/b"))
    _expect(stat.S_ISDIR(answer.stat.mode), f"what Mkdir made has mode {answer.stat.mode:o}")


async def _files(visit: Visit) -> None:
    flags = wire.WriteFileRequest.WriteFileFlags(create_parent_dirs=True, create_if_missing=True)
    path = f"{visit.scratch}/files/one"
    for data in (b"a longer text", b"short"):
        await visit.stub.WriteFile(wire.WriteFileRequest(path=path, data=data, mode=0o640, flags=flags))
    found = (await visit.stub.Stat(wire.StatRequest(path=path))).stat
    _expect(found.size == 5, f"a file that was written again with 5 bytes has {found.size}")
    _expect(stat.S_IMODE(found.mode) == 0o640, f"its mode is {stat.S_IMODE(found.mode):o}, not 640")


async def _missing_files(visit: Visit) -> None:
    try:
        answer = await visit.stub.Stat(wire.StatRequest(path=f"{visit.scratch}/nothing"))
    except AioRpcError as error:
        _expect(error.code() in _GONE, f"Stat of nothing failed with {error.code().name}")
    else:
        _expect(bool(answer.error), "Stat of nothing succeeded")


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
    _expect(bool(answer.error), f"{path} is still there")


async def _environment(visit: Visit) -> None:
    await visit.stub.Setenv(wire.SetenvRequest(key="FIRKIN_WIRE_CHECK", value="a b"))
    answer = await visit.stub.Getenv(wire.GetenvRequest(key="FIRKIN_WIRE_CHECK"))
    _expect(answer.value == "a b", f"a variable that was set to 'a b' is {answer.value!r}")


async def _usage(visit: Visit) -> None:
    answer = await visit.stub.FilesystemUsage(wire.FilesystemUsageRequest(path="/"))
    _expect(answer.block_size > 0, "FilesystemUsage tells no block size")
    _expect(answer.total_blocks >= answer.free_blocks >= answer.available_blocks, "more is free than there is")


async def _synced(visit: Visit) -> None:
    await visit.stub.Sync(wire.SyncRequest())


async def _unknown_process(visit: Visit) -> None:
    for call in (
        visit.stub.WaitProcess(wire.WaitProcessRequest(id="never-was", containerID="never-was"), timeout=CALL_SECONDS),
        visit.stub.StartProcess(wire.StartProcessRequest(id="never-was", containerID="never-was")),
    ):
        try:
            await call
        except AioRpcError as error:
            _expect(error.code() in _GONE, f"a process that never was fails with {error.code().name}")
        else:
            raise AssertionError("a process that never was is waited for or started")


async def _process(visit: Visit) -> None:
    for command, code in ((("sh", "-c", "exit 7"), 7), (("true",), 0)):
        name = f"wire-check-{code}"
        spec = _runtime_spec(visit.rootfs, command)
        await visit.stub.CreateProcess(wire.CreateProcessRequest(id=name, containerID=name, configuration=spec))
        started = await visit.stub.StartProcess(
            wire.StartProcessRequest(id=name, containerID=name), timeout=CALL_SECONDS
        )
        _expect(started.pid > 0, "a process was started without a pid")
        ended = await visit.stub.WaitProcess(wire.WaitProcessRequest(id=name, containerID=name), timeout=CALL_SECONDS)
        _expect(ended.exitCode == code, f"{' '.join(command)} ended with {ended.exitCode}, not {code}")
        await visit.stub.DeleteProcess(wire.DeleteProcessRequest(id=name, containerID=name), timeout=CALL_SECONDS)


async def _killed(visit: Visit) -> None:
    name = "wire-check-sleep"
    spec = _runtime_spec(visit.rootfs, ("sleep", "3600"))
    await visit.stub.CreateProcess(wire.CreateProcessRequest(id=name, containerID=name, configuration=spec))
    await visit.stub.StartProcess(wire.StartProcessRequest(id=name, containerID=name), timeout=CALL_SECONDS)
    await visit.stub.KillProcess(wire.KillProcessRequest(id=name, containerID=name, signal=9), timeout=CALL_SECONDS)
    ended = await visit.stub.WaitProcess(wire.WaitProcessRequest(id=name, containerID=name), timeout=CALL_SECONDS)
    _expect(ended.exitCode == 137, f"a process that SIGKILL ended has exit code {ended.exitCode}, not 137")
    await visit.stub.DeleteProcess(wire.DeleteProcessRequest(id=name, containerID=name), timeout=CALL_SECONDS)


CHECKS: dict[str, Callable[[Visit], Awaitable[None]]] = {
    "directories are made with their parents, and twice is fine": _directories,
    "a file is written whole, with its mode": _files,
    "what is not there is told": _missing_files,
    "a tree is removed, and twice is fine": _removal,
    "the environment keeps what is set": _environment,
    "the usage of a filesystem adds up": _usage,
    "everything can be synced": _synced,
    "a process that never was is refused": _unknown_process,
}
PROCESS_CHECKS: dict[str, Callable[[Visit], Awaitable[None]]] = {
    "a container runs and its exit code is told": _process,
    "a container that is killed ends with 137": _killed,
}


async def findings(channel: Channel, scratch: str, rootfs: str = "") -> list[Finding]:
    """Try everything; nothing is left in the guest."""
    visit = Visit(SandboxContextStub(channel), scratch, rootfs)
    found = [Finding(name, await _problem(check, visit)) for name, check in CHECKS.items()]
    for name, check in PROCESS_CHECKS.items():
        found.append(Finding(name, await _problem(check, visit) if rootfs else None))
    cleared = wire.RemovePathRequest(path=scratch, recursive=True, allow_missing=True)
    try:
        await visit.stub.RemovePath(cleared, timeout=CALL_SECONDS)
    except AioRpcError as error:
        found.append(Finding("the checks' own directory can be removed", _told(error)))
    return found


async def _problem(check: Callable[[Visit], Awaitable[None]], visit: Visit) -> str:
    try:
        await check(visit)
    except AioRpcError as error:
        return _told(error)
    except AssertionError as error:
        return str(error)
    return ""


def _told(error: AioRpcError) -> str:
    return f"{error.code().name}: {error.details()}"


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)


def _runtime_spec(rootfs: str, command: tuple[str, ...]) -> bytes:
    return json.dumps(
        {
            "ociVersion": "1.1.0",
            "process": {"args": command, "env": ["PATH=/bin:/usr/bin"], "cwd": "/", "user": {"uid": 0, "gid": 0}},
            "root": {"path": rootfs},
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
            "linux": {"namespaces": [{"type": kind} for kind in ("pid", "mount", "ipc", "uts")]},
        }
    ).encode()
