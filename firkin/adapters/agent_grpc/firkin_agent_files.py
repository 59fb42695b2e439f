"""Copies over firkin.agent.v1: both ends count, and the counts must agree."""

from __future__ import annotations

import asyncio
import functools
import os
from typing import TYPE_CHECKING

from firkin.domain.copying import CopyReport, CopySource
from firkin.domain.errors import CopyFailed
from firkin.domain.reports import AgentInfo
from firkin.file_trees.places import callers_own, opened_source, placed
from firkin.ports.agent_files import CopyIn, CopyOut
from firkin.wire import agent_pb2 as wire

from .features import COPIES, require_feature
from .host_trees import SocketEnd, Transferred, receive_tree, send_tree
from .messages import bulk_stream_to_proto
from .session import AgentSession
from .stall_deadline import StallDeadline
from .streamed_call import StreamedCall

if TYPE_CHECKING:
    from firkin.wire.agent_pb2_grpc import AgentAsyncStub


class FirkinAgentFiles:
    """Copying files and directories."""

    _session: AgentSession
    _agent: AgentAsyncStub
    _info: AgentInfo

    async def copy_in(self, copy: CopyIn) -> CopyReport:
        """Copy a file or a directory into a container."""
        require_feature(self._info, COPIES, "copying")
        source, destination = wire_text(copy.source), wire_text(copy.destination)
        # Not in a thread: what a thread opens for a call that was cancelled meanwhile is nobody's to close.
        opened = opened_source(copy.source)
        try:
            streamed = StreamedCall(self._session, "copy into container", with_token=True)
            request = wire.CopyInRequest(
                container_id=copy.container_id,
                root=copy.rootfs,
                destination=destination,
                source=source,
                is_directory=opened.source.is_directory,
                user=copy.user,
                create_parents=copy.create_parents,
                stream=bulk_stream_to_proto(streamed.listener),
            )

            async def call(stall: StallDeadline) -> wire.CopyInResponse:
                return await self._agent.CopyIn(request)

            # Whose everything is to be is decided by the container's own files, so the archive keeps the numbers.
            send = functools.partial(send_tree, opened, opened.source.name or "file", None, is_gzip=False)
            answer, sent = await streamed.run(call, send)
        finally:
            os.close(opened.descriptor)
        check_counts(copy.source, answer.count, sent)
        return CopyReport(answer.path, sent.count, (*sent.left_out, *answer.left_out))

    async def copy_out(self, copy: CopyOut) -> CopyReport:
        """Copy a file or a directory out of a container."""
        require_feature(self._info, COPIES, "copying")
        guest_source = wire_text(copy.source)
        streamed = StreamedCall(self._session, "copy out of container", with_token=True)
        request = wire.CopyOutRequest(
            container_id=copy.container_id,
            root=copy.rootfs,
            source=guest_source,
            stream=bulk_stream_to_proto(streamed.listener),
        )
        place: asyncio.Future[tuple[str, CopySource]] = asyncio.get_running_loop().create_future()
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def call(stall: StallDeadline) -> wire.CopyOutResponse:
            responses = self._agent.CopyOut(request)
            try:
                last = wire.CopyOutResponse()
                async for last in responses:
                    stall.progressed()
                    if not place.done():
                        source = CopySource(copy.source, last.is_directory)
                        path = await asyncio.to_thread(placed, source, copy.destination)
                        place.set_result((path, source))
                        ready.set_result(None)
            finally:
                responses.cancel()
                del responses  # An error that is raised here must not keep it.
            return last

        def receive(end: SocketEnd) -> Transferred:
            path, source = place.result()
            owner = callers_own(copy.keep_ownership)
            return receive_tree(path, source.is_directory, owner, end.receive, end)

        answer, received = await streamed.run(call, receive, ready)
        check_counts(copy.source, answer.count, received)
        return CopyReport(place.result()[0], received.count, (*answer.left_out, *received.left_out))


def check_counts(path: str, guest: wire.CopyCount, host: Transferred) -> None:
    """Compare what both ends counted.

    Raises:
        CopyFailed: they differ, so something was lost on the way.
    """
    told = (guest.entries, guest.content_bytes, guest.archive_bytes)
    own = (host.count.entries, host.count.content_bytes, host.stream_bytes)
    if told != own:
        raise CopyFailed(path, f"the guest counted {told} entries and bytes, the host {own}")


def wire_text(path: str) -> str:
    """A path as the wire takes it.

    Raises:
        CopyFailed: it is not UTF-8.
    """
    try:
        path.encode()
    except UnicodeEncodeError:
        raise CopyFailed(path, "its name cannot be written as UTF-8") from None
    return path
