"""The calls of SandboxContext that the road is built of."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from grpc import StatusCode
from grpc.aio import AioRpcError, UnaryUnaryMultiCallable

from firkin.domain.errors import AgentError, FirkinError, Outcome, UnsupportedFeature
from firkin.domain.mounts import Mount
from firkin.domain.process import ProcessRef
from firkin.domain.terminal import TerminalSize
from firkin.wire import sandbox_context_pb2 as wire
from firkin.wire.sandbox_context_pb2_grpc import SandboxContextStub

from ..errors import CallKind
from ..session import AgentSession
from ..stall_deadline import StallDeadline

Q = TypeVar("Q")
R = TypeVar("R")

_DIRECTORY_MODE = 0o755
_MNT_DETACH, _UMOUNT_NOFOLLOW = 2, 8
_NOT_MOUNTED = frozenset({errno.EINVAL, errno.ENOENT})

# What agents answer for a process or container that is not there.
_GONE = frozenset({StatusCode.NOT_FOUND, StatusCode.FAILED_PRECONDITION})

Send = Callable[[socket.socket, StallDeadline], Awaitable[FirkinError | None]]


class SandboxContextPart:
    """A part of the agent that is made of these calls."""

    def __init__(self, calls: SandboxContextCalls) -> None:
        self._calls = calls


class SandboxContextCalls:
    """One method per thing that is asked of the agent, with its operation label.

    Attributes:
        session: the connection.
        stub: the service.
        is_strict: whether the agent is not firkin's, so that its runtime specs need keys that the OCI specification
            lets out.
        features: what an agent of firkin's adds to the service.
        volume_parts: where parts of volumes are mounted, by container.
        oom_kills: how many were counted, by container.
    """

    def __init__(self, session: AgentSession, features: frozenset[str] | None) -> None:
        self.session = session
        self.stub = SandboxContextStub(session.channel)
        self.is_strict = features is None
        self.features = features or frozenset()
        self.volume_parts: dict[str, list[str]] = {}
        self.oom_kills: dict[str, int] = {}
        self._confines_paths: bool | None = None

    async def answer_unless(
        self,
        tolerated: frozenset[StatusCode],
        method: UnaryUnaryMultiCallable[Q, R],
        request: Q,
        operation: str,
        changes: bool = True,
    ) -> R | None:
        """Make a call; None when it fails with one of the `tolerated` codes."""
        kind = self.session.call_kind(operation, changes=changes)
        async with self.session.guarded(kind):
            try:
                return await method(request, timeout=kind.deadline_seconds)
            except AioRpcError as error:
                if error.code() in tolerated:
                    return None
                raise

    async def mkdir(self, path: str, operation: str, mode: int = _DIRECTORY_MODE) -> None:
        """Make a directory and its parents; one that is there is fine."""
        request = wire.MkdirRequest(path=path, all=True, perms=mode)
        await self.session.answer(self.stub.Mkdir, request, operation)

    async def mount(self, mount: Mount, operation: str) -> None:
        """Mount; twice stacks."""
        request = wire.MountRequest(
            type=mount.type, source=mount.source, destination=mount.destination, options=mount.options
        )
        await self.session.answer(self.stub.Mount, request, operation)

    async def stat(self, path: str, operation: str, root: str = "/") -> wire.Stat | None:
        """stat(2), or None when there is nothing."""
        not_found = frozenset({StatusCode.NOT_FOUND})
        request = wire.StatRequest(path=path, root=root)
        answer = await self.answer_unless(not_found, self.stub.Stat, request, operation, changes=False)
        # Errors other than ENOENT are an answer with a text and without a stat.
        return answer.stat if answer is not None and answer.HasField("stat") else None

    async def confines_paths(self, operation: str) -> bool:
        """Whether the agent knows `root`: an older one ignores it, and so sees two paths where there is one."""
        if self._confines_paths is None:
            confined = await self.stat("/", operation, root="/run")
            plain = await self.stat("/run", operation)
            self._confines_paths = (
                confined is not None and plain is not None and (confined.dev, confined.ino) == (plain.dev, plain.ino)
            )
        return self._confines_paths

    async def remove_path(self, path: str, operation: str) -> None:
        """Remove a file, or a directory with all in it; nothing there is fine."""
        request = wire.RemovePathRequest(path=path, recursive=True, allow_missing=True)
        await self.session.answer(self.stub.RemovePath, request, operation)

    async def is_mounted(self, path: str, operation: str) -> bool:
        """Whether a filesystem of its own begins at `path`."""
        here = await self.stat(path, operation)
        above = await self.stat(path.rpartition("/")[0] or "/", operation)
        return here is not None and above is not None and here.dev != above.dev

    async def unmounted(self, path: str, operation: str) -> Sequence[str]:
        """Unmount `path`; returns what could not be done, in sentences.

        For a mount that stays because it is busy one agent answers OK and another one fails, so the result is
        looked at. Detaching is the last resort: then something still uses the filesystem, and the caller is told.
        """
        if not await self.is_mounted(path, operation):
            return ()
        with contextlib.suppress(AgentError):
            await self.session.answer(self.stub.Umount, wire.UmountRequest(path=path), operation)
        if not await self.is_mounted(path, operation):
            return ()
        try:
            await self.session.answer(self.stub.Umount, wire.UmountRequest(path=path, flags=_MNT_DETACH), operation)
        except AgentError as error:
            return (f"{path} could not be unmounted: {error.reason}",)
        return (f"{path} was busy and could only be detached",)

    async def released(self, path: str, operation: str) -> Sequence[str]:
        """Unmount `path`, a part of a volume, if it is mounted, or detach it; returns what is wrong, in sentences.

        What is mounted there may be of the filesystem around it, so `is_mounted` would not tell.
        """
        for flags in (_UMOUNT_NOFOLLOW, _UMOUNT_NOFOLLOW | _MNT_DETACH):
            try:
                await self.session.answer(self.stub.Umount, wire.UmountRequest(path=path, flags=flags), operation)
            except AgentError as error:
                if error.errno in _NOT_MOUNTED:
                    return ()
                problem = f"{path} could not be unmounted: {error.reason}"
            else:
                return () if flags == _UMOUNT_NOFOLLOW else (f"{path} was busy and could only be detached",)
        return (problem,)

    async def delete_process(self, container_id: str, process_id: str, operation: str) -> None:
        """Forget a process; one that the agent does not know is forgotten already."""
        request = wire.DeleteProcessRequest(id=process_id, containerID=container_id)
        await self.answer_unless(_GONE, self.stub.DeleteProcess, request, operation)

    async def kill_if_there(self, container_id: str, process_id: str, signal: int, operation: str) -> None:
        """Send a signal to a process that may be gone."""
        request = wire.KillProcessRequest(id=process_id, containerID=container_id, signal=signal)
        await self.answer_unless(_GONE, self.stub.KillProcess, request, operation)

    async def resize_process(self, ref: ProcessRef, size: TerminalSize, operation: str) -> None:
        """Set the size of a process's terminal.

        Raises:
            UnsupportedFeature: the agent cannot, or not for this process.
        """
        request = wire.ResizeProcessRequest(
            id=ref.process_id, containerID=ref.container_id, rows=size.rows, columns=size.columns
        )
        unimplemented = frozenset({StatusCode.UNIMPLEMENTED})
        if await self.answer_unless(unimplemented, self.stub.ResizeProcess, request, operation) is None:
            raise UnsupportedFeature("resizing a terminal", "the agent cannot do it for this process")

    async def copy_in(self, request: wire.CopyRequest, send: Send, operation: str) -> None:
        """Copy bytes into the sandbox: the guest connects, and `send` writes them.

        The connection is never waited for alone: when the call fails first, its error is raised. `send` returns
        what is wrong with the bytes, which is raised once the agent has taken note of the end. No progress for
        the stall time is an error too; `send` reports its progress to the deadline that it gets.
        """
        kind = CallKind(operation, self.session.stall_seconds)
        listener = self.session.listen(with_token=False)
        request.vsock_port = listener.port
        stall = StallDeadline(self.session.stall_seconds)

        async def serve() -> FirkinError | None:
            with await listener.accepted(operation, timeout_seconds=None) as connection:
                stall.progressed()
                return await send(connection, stall)

        serving = self.session.scope.start(serve(), operation)
        try:
            async with stall, self.session.guarded(kind):
                await self._copy_completed(request, operation)
                failure = await serving
        except TimeoutError:
            raise await self.session.late(kind) from None
        finally:
            serving.cancel()
            await asyncio.wait([serving])
            listener.close()
        if failure is not None:
            raise failure.during(operation, outcome=Outcome.DID_NOT)

    async def _copy_completed(self, request: wire.CopyRequest, operation: str) -> None:
        call = self.stub.Copy(request)
        is_complete = False
        try:
            # To the end of the stream: a call that is left in the middle keeps the connection until it is collected.
            async for response in call:
                if response.error:
                    raise AgentError(operation, response.error, path=request.path)
                is_complete = response.status == wire.CopyResponse.COMPLETE
        finally:
            call.cancel()
            del call  # An error that is raised here must not keep it.
        if not is_complete:
            raise AgentError(operation, "the copy ended before it was complete", path=request.path)
