"""EnsureTemplate: one job in a thread, its progress as messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from firkin.domain.digest import Digest
from firkin.domain.errors import FirkinError
from firkin.domain.guest_path import GuestPath
from firkin.wire import agent_pb2 as wire

from ..agent import GuestAgent
from .agent_messages import stream_from
from .layer_limits import limits_from

_PROGRESS_SECONDS = 0.1


async def template_progress(
    agent: GuestAgent, message: wire.EnsureTemplateRequest
) -> AsyncIterator[wire.EnsureTemplateResponse]:
    """Make the template; at most ten messages a second, then the complete one.

    Leaving early (the client is gone) stops the job at its next read, and what it wrote is removed.
    """
    # The appliers are imported when the first template is wanted: the agent listens sooner.
    from ..layers.templates import TemplateLayer
    from ..templates import TemplateJob, TemplateRequest

    layers = [
        TemplateLayer(Digest(layer.digest), Digest(layer.diff_id), layer.media_type, layer.size_bytes)
        for layer in message.layers
    ]
    streams = [stream_from(layer.stream) for layer in message.layers]
    limits = limits_from(message.limits)
    request = TemplateRequest(GuestPath(message.store_path), Digest(message.chain_id), layers, streams, limits)
    # Images of the same lowest layer take turns, so that the layers that they share are applied once.
    async with agent.template_turns.turn(layers[0].diff_id if layers else request.chain_id):
        job = TemplateJob(agent.host, request)
        work = asyncio.ensure_future(agent.template_workers.run(job.run))
        try:
            sent = 0
            while not (await asyncio.wait({work}, timeout=_PROGRESS_SECONDS))[0]:
                if job.done_bytes != sent:
                    sent = job.done_bytes
                    yield wire.EnsureTemplateResponse(
                        layer_index=job.layer_index, done_bytes=sent, stage_seconds=job.stage_seconds
                    )
            created = await work
        except FirkinError as error:
            error.after(job.stage_seconds)
            raise
        finally:
            if not work.done():
                job.cancel()
                await asyncio.wait({work})
                work.exception()
        yield wire.EnsureTemplateResponse(
            layer_index=job.layer_index,
            done_bytes=job.done_bytes,
            complete=True,
            created=created,
            entries=job.entries,
            stage_seconds=job.stage_seconds,
            replaced=job.replaced,
        )
