"""Copies over a bulk stream, the same for both services."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator

from firkin.domain.copying import CopyReport

from ..agent import GuestAgent
from ..bulk_reader import BulkReader
from ..bulk_writer import BulkWriter
from ..copying.incoming import IncomingCopy, copy_in
from ..copying.outgoing import OpenSource, opened_source
from ..process_stdio import StreamRequest
from ..processes import GuestProcess


async def received(
    agent: GuestAgent, copy: IncomingCopy, init: GuestProcess | None, stream: StreamRequest
) -> tuple[CopyReport, int]:
    """Connect to the host and write what it sends; tells also how many bytes came."""
    peer = await agent.host.connect(stream.port, stream.token)
    peer.setblocking(True)
    with BulkReader(peer) as reader:
        report = await agent.copy_workers.run_cancellable(reader.cancel, copy_in, copy, init, reader)
        # The archive has ended; what follows it is nothing, but the host may still be about to say so.
        while await agent.copy_workers.run_cancellable(reader.cancel, reader.read, 1 << 18):
            pass
    return report, reader.done_bytes


@contextlib.asynccontextmanager
async def source_of(agent: GuestAgent, root: str, path: str, init: GuestProcess | None) -> AsyncIterator[OpenSource]:
    """What is to be copied out, open for the block."""
    source = await agent.copy_workers.run(opened_source, root, path, init)
    try:
        yield source
    finally:
        os.close(source.descriptor)


@contextlib.asynccontextmanager
async def writer_to(agent: GuestAgent, stream: StreamRequest) -> AsyncIterator[BulkWriter]:
    """A stream to the host, for the block."""
    peer = await agent.host.connect(stream.port, stream.token)
    peer.setblocking(True)
    with BulkWriter(peer) as writer:
        yield writer
