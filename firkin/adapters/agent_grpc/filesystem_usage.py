"""How full a filesystem of the sandbox is: the same call on both roads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firkin.domain.guest_path import GuestPath
from firkin.domain.reports import StoreUsage
from firkin.wire.sandbox_context_pb2 import FilesystemUsageRequest

from .session import AgentSession

if TYPE_CHECKING:
    from firkin.wire.sandbox_context_pb2_grpc import SandboxContextAsyncStub


async def filesystem_usage(session: AgentSession, stub: SandboxContextAsyncStub, path: GuestPath) -> StoreUsage:
    """Ask for statvfs(3) of `path`."""
    operation = "read pod-store filesystem usage"
    answer = await session.answer(stub.FilesystemUsage, FilesystemUsageRequest(path=path), operation, changes=False)
    return StoreUsage(answer.block_size, answer.total_blocks, answer.free_blocks, answer.available_blocks)
