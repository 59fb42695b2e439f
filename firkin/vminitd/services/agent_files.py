"""Copies and the store's usage, in firkin.agent.v1."""

from __future__ import annotations

from collections.abc import AsyncIterator

from grpc.aio import ServicerContext

from firkin.domain.copying import CopyReport, CopySource
from firkin.domain.guest_path import GuestPath
from firkin.domain.ids import ContainerId
from firkin.wire import agent_pb2 as wire

from ..agent import GuestAgent
from ..copying.incoming import IncomingCopy
from ..copying.outgoing import send_archive
from .agent_messages import stream_from
from .copy_streams import received, source_of, writer_to
from .error_details import shortened
from .errors import answering

_Context = ServicerContext[object, object]

# A hundred of them are told. An answer of more than 4 MiB does not arrive.
_LONGEST_SENTENCE_BYTES = 4096


class FileCalls:
    """What a host does with the files of containers."""

    _agent: GuestAgent

    async def CopyIn(self, request: wire.CopyInRequest, context: _Context) -> wire.CopyInResponse:
        async with answering(context, "copy into container", request.destination, container_id=request.container_id):
            init = self._agent.containers.init_of(ContainerId(request.container_id))
            copy = IncomingCopy(
                GuestPath(request.root),
                CopySource(request.source, request.is_directory),
                request.destination,
                request.user if request.HasField("user") else None,
                request.create_parents,
            )
            report, archive_bytes = await received(self._agent, copy, init, stream_from(request.stream))
        return wire.CopyInResponse(
            path=report.path, count=_count(report, archive_bytes), left_out=_texts(report.left_out)
        )

    async def CopyOut(self, request: wire.CopyOutRequest, context: _Context) -> AsyncIterator[wire.CopyOutResponse]:
        async with answering(context, "copy out of container", request.source, container_id=request.container_id):
            init = self._agent.containers.init_of(ContainerId(request.container_id))
            root = GuestPath(request.root)
            async with source_of(self._agent, root, request.source, init) as source:
                yield wire.CopyOutResponse(is_directory=source.is_directory)
                async with writer_to(self._agent, stream_from(request.stream)) as writer:
                    report = await self._agent.copy_workers.run_cancellable(
                        writer.cancel, send_archive, source, writer, is_gzip=False
                    )
            yield wire.CopyOutResponse(
                is_directory=source.is_directory,
                count=_count(report, writer.done_bytes),
                left_out=_texts(report.left_out),
            )


def _count(report: CopyReport, archive_bytes: int) -> wire.CopyCount:
    count = report.count
    return wire.CopyCount(entries=count.entries, content_bytes=count.content_bytes, archive_bytes=archive_bytes)


def _texts(sentences: tuple[str, ...]) -> list[str]:
    """Sentences for the wire, which takes UTF-8 alone, and no more than so much; names of files may be anything."""
    return [shortened(sentence, _LONGEST_SENTENCE_BYTES) for sentence in sentences]
