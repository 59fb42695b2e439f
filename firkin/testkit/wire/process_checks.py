"""What any agent of SandboxContext has to do with the processes of a container."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable

from grpc.aio import AioRpcError

from firkin.wire import sandbox_context_pb2 as wire

from .visit import REFUSALS, Visit, expect

_UNDO_SECONDS = 10.0


async def _process(visit: Visit) -> None:
    for command, code in ((("sh", "-c", "exit 7"), 7), (("true",), 0)):
        async with _started(visit, f"wire-check-{code}", *command) as pid:
            expect(pid > 0, "a process was started without a pid")
            found = await _exit_code(visit, f"wire-check-{code}")
            expect(found == code, f"{' '.join(command)} ended with {found}, not {code}")


async def _killed(visit: Visit) -> None:
    name = "wire-check-sleep"
    async with _started(visit, name, "sleep", "3600"):
        await visit.stub.KillProcess(wire.KillProcessRequest(id=name, containerID=name, signal=9))
        found = await _exit_code(visit, name)
        expect(found == 137, f"a process that SIGKILL ended has exit code {found}, not 137")


async def _second_process(visit: Visit) -> None:
    name = "wire-check-exec"
    async with _started(visit, name, "sleep", "3600"), _started(visit, "second", "sh", "-c", "exit 3", container=name):
        found = await _exit_code(visit, "second", name)
        expect(found == 3, f"a second process that ended with 3 is said to have ended with {found}")


async def _forgotten(visit: Visit) -> None:
    name = "wire-check-again"
    for _ in range(2):
        async with _started(visit, name, "true"):
            await _exit_code(visit, name)
    try:
        await visit.stub.StartProcess(wire.StartProcessRequest(id=name, containerID=name))
    except AioRpcError as error:
        expect(error.code() in REFUSALS, f"a process that was deleted fails with {error.code().name}")
    else:
        raise AssertionError("a process that was deleted is started")


@contextlib.asynccontextmanager
async def _started(visit: Visit, name: str, *command: str, container: str = "") -> AsyncIterator[int]:
    """A process, by its pid; leaving deletes it, also one that a failed check left running."""
    of = container or name
    spec = _runtime_spec(visit.rootfs, command)
    try:
        await visit.stub.CreateProcess(wire.CreateProcessRequest(id=name, containerID=of, configuration=spec))
        yield (await visit.stub.StartProcess(wire.StartProcessRequest(id=name, containerID=of))).pid
    except BaseException:
        kill = wire.KillProcessRequest(id=name, containerID=of, signal=9)
        with contextlib.suppress(AioRpcError):
            await visit.stub.KillProcess(kill, timeout=_UNDO_SECONDS)
        with contextlib.suppress(AioRpcError):
            await visit.stub.DeleteProcess(wire.DeleteProcessRequest(id=name, containerID=of), timeout=_UNDO_SECONDS)
        raise
    if not container:
        # One that has ended need not be known to KillProcess any more.
        with contextlib.suppress(AioRpcError):
            await visit.stub.KillProcess(wire.KillProcessRequest(id=name, containerID=of, signal=9))
            await _exit_code(visit, name)
    await visit.stub.DeleteProcess(wire.DeleteProcessRequest(id=name, containerID=of))


async def _exit_code(visit: Visit, name: str, container: str = "") -> int:
    return (await visit.stub.WaitProcess(wire.WaitProcessRequest(id=name, containerID=container or name))).exitCode


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


PROCESS_CHECKS: dict[str, Callable[[Visit], Awaitable[None]]] = {
    "a container runs and its exit code is told": _process,
    "a container that is killed ends with 137": _killed,
    "a second process runs in a container": _second_process,
    "the id of a process that was deleted can be used again": _forgotten,
}
