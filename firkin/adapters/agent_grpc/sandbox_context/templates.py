"""Making templates over SandboxContext."""

from __future__ import annotations

import contextlib
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping

import msgspec

from firkin.application.stages import Stages
from firkin.domain.errors import FirkinError, ImageError, Outcome, UnsupportedFeature
from firkin.domain.guest_path import GuestPath
from firkin.domain.image import ImageBundle, Layer, layer_compression
from firkin.domain.layout import StoreLayout
from firkin.ports.agent_templates import ProgressCallback, TemplateProgress, TemplateResult
from firkin.wire import sandbox_context_pb2 as wire

from ..features import LAYER_LIMITS
from ..file_thread import connection_thread
from ..stall_deadline import StallDeadline
from .calls import SandboxContextPart
from .layer_additions import limits_metadata, told_layer_stages, told_replacements
from .layer_check import sent_and_checked

_BLOB = "layer"
_COMMIT = "sync pod template materialization"
_FILE_MODE = 0o644
_SLOWEST_BYTES_PER_SECOND = 2 * 2**20


class SandboxContextTemplates(SandboxContextPart):
    """Turning images into templates.

    This service has no rename, so a template cannot be written aside: it is whole when its directory holds the
    file `.complete`, which is written last, after a sync. Templates made over firkin.agent.v1 hold it as well.
    A layer's bytes are checked on their way: decompressed and hashed here as well. What that takes counts as `inflate`
    and `hash`, beside what the agent tells of its own part; of one that tells nothing, `write` is the whole call.
    """

    async def ensure_template(
        self, bundle: ImageBundle, layout: StoreLayout, progress: ProgressCallback | None = None
    ) -> TemplateResult:
        """Make the template of `bundle.chain_id`, unless it is complete already."""
        begun = time.perf_counter()
        calls = self._calls
        if calls.session.layer_limits and LAYER_LIMITS not in calls.features:
            refused = UnsupportedFeature("limiting layers", "this guest agent has limits of its own, or none")
            raise refused.during("materialize pod rootfs", outcome=Outcome.DID_NOT)
        for layer in bundle.layers:
            layer_compression(layer.media_type)
        if await calls.stat(layout.template_mark(bundle.chain_id), "look for pod template") is not None:
            return TemplateResult(created=False, seconds=time.perf_counter() - begun)
        leftovers = await self._leftovers(bundle, layout)

        async def remove() -> None:
            for path in leftovers:
                await calls.remove_path(path, "remove existing pod template")

        await remove()
        async with calls.session.undoing(remove, unless_refused=False):
            await calls.mkdir(layout.template_rootfs(bundle.chain_id), "mkdir pod template rootfs")
            stages = Stages()
            entries, replaced = await self._apply_layers(bundle, layout, progress, stages)
            with stages.stage("commit"):
                if replaced:
                    await self._write(layout.template_replacements(bundle.chain_id), msgspec.json.encode(replaced))
                await self._mark_complete(layout.template_mark(bundle.chain_id))
        return TemplateResult(True, entries, time.perf_counter() - begun, stages.seconds, replaced)

    async def _leftovers(self, bundle: ImageBundle, layout: StoreLayout) -> tuple[GuestPath, ...]:
        """What a template without its mark may have left; a layer alone, made over firkin.agent.v1, may be in use."""
        stack = layout.template_stack(bundle.chain_id)
        if await self._calls.stat(stack, "look for pod template") is None:
            return (layout.template(bundle.chain_id),)
        return layout.template_rootfs(bundle.chain_id), layout.template(bundle.chain_id).below(_BLOB)

    async def _apply_layers(
        self, bundle: ImageBundle, layout: StoreLayout, progress: ProgressCallback | None, stages: Stages
    ) -> tuple[int, Mapping[str, int]]:
        rootfs, blob = layout.template_rootfs(bundle.chain_id), layout.template(bundle.chain_id).below(_BLOB)
        total_bytes = sum(layer.size_bytes for layer in bundle.layers)
        done_bytes = entries = 0
        replaced: Counter[str] = Counter()
        for index, layer in enumerate(bundle.layers):
            checking, applying = dict[str, float](), dict[str, float]()
            with stages.stage("pull", checking):
                await self._copy_layer(layer, bundle.reference, blob, checking)
            with stages.stage("write", applying):
                entries += await self._apply_layer(layer, blob, rootfs, replaced, applying)
            await self._calls.remove_path(blob, "remove pod template layer")
            done_bytes += layer.size_bytes
            if progress is not None:
                is_last = layer is bundle.layers[-1]
                counts = (index, len(bundle.layers), done_bytes, total_bytes)
                progress(TemplateProgress(*counts, bundle.reference, dict(replaced) if is_last else {}))
        return entries, dict(replaced)

    async def _copy_layer(self, layer: Layer, reference: str, blob: GuestPath, seconds: dict[str, float]) -> None:
        async def send(connection: socket.socket, stall: StallDeadline) -> FirkinError | None:
            return await _sent(layer, reference, connection, stall, seconds)

        request = wire.CopyRequest(
            direction=wire.CopyRequest.COPY_IN, root="/", path=blob, mode=_FILE_MODE, create_parents=True
        )
        await self._calls.copy_in(request, send, "copy pod rootfs layer")

    async def _apply_layer(
        self, layer: Layer, blob: GuestPath, rootfs: GuestPath, replaced: Counter[str], seconds: dict[str, float]
    ) -> int:
        session, stub = self._calls.session, self._calls.stub
        extra_seconds = session.stall_seconds + layer.size_bytes / _SLOWEST_BYTES_PER_SECOND
        kind = session.call_kind("apply pod template layer", extra_seconds=extra_seconds)
        request = wire.ApplyOciLayerRequest(archive_path=blob, destination=rootfs)
        async with _counting(seconds), session.guarded(kind):
            metadata = limits_metadata(session.layer_limits)
            call = stub.ApplyOciLayer(request, timeout=kind.deadline_seconds, metadata=metadata)
            try:
                answer = await call
                told = await call.trailing_metadata()
            finally:
                del call  # An error that is raised here must not keep it.
        replaced.update(told_replacements(told))
        seconds.update(told_layer_stages(told))
        return answer.entries_applied

    async def _mark_complete(self, mark: GuestPath) -> None:
        await self._calls.session.answer(self._calls.stub.Sync, wire.SyncRequest(), _COMMIT)
        await self._write(mark)

    async def _write(self, path: GuestPath, content: bytes = b"") -> None:
        flags = wire.WriteFileRequest.WriteFileFlags(create_if_missing=True)
        request = wire.WriteFileRequest(path=path, data=content, mode=_FILE_MODE, flags=flags)
        await self._calls.session.answer(self._calls.stub.WriteFile, request, _COMMIT)


@contextlib.asynccontextmanager
async def _counting(seconds: dict[str, float]) -> AsyncIterator[None]:
    """Take what a failure tells of the stages of one layer, to be counted with those of the others."""
    try:
        yield
    except FirkinError as error:
        seconds.update(error.stage_seconds)
        error.stage_seconds = {}
        raise


async def _sent(
    layer: Layer, reference: str, connection: socket.socket, stall: StallDeadline, seconds: dict[str, float]
) -> ImageError | None:
    """Send in a thread, which a cancellation ends by taking its connection away."""

    def send(own: socket.socket) -> ImageError | None:
        return sent_and_checked(layer, reference, own, stall.progressed_in_thread, seconds)

    try:
        problem = await connection_thread(send, connection).result()
        connection.shutdown(socket.SHUT_WR)
    except OSError:
        return None  # the guest was quicker to close; its answer says why
    return problem
