"""What both roads do through SandboxContext: settings of the sandbox's kernel, and files of containers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from firkin.domain.surroundings import ContainerFile
from firkin.wire import sandbox_context_pb2 as wire

from .session import AgentSession

if TYPE_CHECKING:
    from firkin.wire.sandbox_context_pb2_grpc import SandboxContextAsyncStub


async def set_sysctls(session: AgentSession, stub: SandboxContextAsyncStub, settings: Mapping[str, str]) -> None:
    """Set kernel settings of the sandbox, when there are any."""
    if settings:
        await session.answer(stub.Sysctl, wire.SysctlRequest(settings=settings), "set pod sysctls")


async def write_container_files(
    session: AgentSession, stub: SandboxContextAsyncStub, files: Iterable[ContainerFile]
) -> None:
    """Write files one by one; the directory is made when absent."""
    flags = wire.WriteFileRequest.WriteFileFlags(create_parent_dirs=True, create_if_missing=True)
    for file in files:
        request = wire.WriteFileRequest(path=file.path, data=file.data, mode=file.mode, flags=flags)
        await session.answer(stub.WriteFile, request, "write pod container file")
