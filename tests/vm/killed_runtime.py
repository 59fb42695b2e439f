"""A container runtime in a machine that is killed at a point of its work that is always the same."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import grpc
import grpc.aio

from firkin.adapters.guest_image_host.interpreter import INTERPRETER
from firkin.wire import sandbox_context_pb2 as wire

if TYPE_CHECKING:
    from firkin.wire.sandbox_context_pb2_grpc import SandboxContextAsyncStub

STAGES = ("before it did anything", "amid its work", "after it did everything")
_MNT_DETACH = 2
_CRUN = "/usr/bin/crun"
_REAL = "/run/killed-runtime/real"
_PROGRAM = "/run/killed-runtime/crun"
_ARMED = "/run/killed-runtime/armed"
# Amid its work the runtime waits for a hook (Runtime Specification, "POSIX-platform Hooks"), which kills it: there are
# namespaces, mounts and a process by then, and the container has not started.
_TEXT = f"""#!/{INTERPRETER} -ISXutf8
import os, signal, sys

def arm():
    with open({_ARMED!r}) as file:
        stage = file.read()
    os.unlink({_ARMED!r})
    return stage

def add_hook(path):
    hook = '{{"hooks":{{"createRuntime":[{{"path":"{_CRUN}","args":["crun","--kill-my-parent"]}}]}},'
    with open(path, "r+") as file:
        spec = file.read()
        file.seek(0)
        file.write(spec.replace("{{", hook, 1))

arguments = sys.argv[1:]
if arguments == ["--kill-my-parent"]:
    os.kill(os.getppid(), signal.SIGKILL)
    sys.exit()
stage = arm() if "run" in arguments and os.path.exists({_ARMED!r}) else ""
if stage == {STAGES[1]!r}:
    add_hook(arguments[arguments.index("--bundle") + 1] + "/config.json")
if stage == {STAGES[2]!r}:
    os.spawnv(os.P_WAIT, {_REAL!r}, ["crun", *arguments])
if stage in {(STAGES[0], STAGES[2])!r}:
    os.kill(os.getpid(), signal.SIGKILL)
os.execv({_REAL!r}, ["crun", *arguments])
"""


@contextlib.asynccontextmanager
async def runtime_that_can_be_killed(kernel: SandboxContextAsyncStub) -> AsyncIterator[None]:
    """Put it in the place of the machine's own."""
    await _written(kernel, _PROGRAM, _TEXT, 0o755)
    async with _bound(kernel, _CRUN, _REAL), _bound(kernel, _PROGRAM, _CRUN):
        yield


@contextlib.asynccontextmanager
async def _bound(kernel: SandboxContextAsyncStub, source: str, destination: str) -> AsyncIterator[None]:
    await kernel.Mount(wire.MountRequest(type="bind", source=source, destination=destination))
    try:
        yield
    finally:
        await kernel.Umount(wire.UmountRequest(path=destination, flags=_MNT_DETACH))


async def arm(kernel: SandboxContextAsyncStub, stage: str) -> None:
    """Let the next container that is started meet its end at this stage."""
    await _written(kernel, _ARMED, stage, 0o600)


async def has_met_its_end(kernel: SandboxContextAsyncStub) -> bool:
    """Whether it has been killed since it was armed."""
    try:
        await kernel.Stat(wire.StatRequest(path=_ARMED))
    except grpc.aio.AioRpcError as error:
        return error.code() is grpc.StatusCode.NOT_FOUND
    return False


async def _written(kernel: SandboxContextAsyncStub, path: str, text: str, mode: int) -> None:
    flags = wire.WriteFileRequest.WriteFileFlags(create_parent_dirs=True, create_if_missing=True)
    await kernel.WriteFile(wire.WriteFileRequest(path=path, data=text.encode(), mode=mode, flags=flags))
