"""The filesystem RPCs of SandboxContext. Where the contract's reference lists a defect, these do what is right."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator

import msgspec
from google.protobuf.timestamp_pb2 import Timestamp
from grpc.aio import ServicerContext

from firkin.domain.context_additions import LEFT_OUT_KEY, NO_SYMLINKS, REPLACED_KEY, STAGES_KEY
from firkin.domain.copying import CopyReport, CopySource
from firkin.domain.errors import FirkinError, InvalidArgument, UnsupportedFeature
from firkin.domain.ids import ContainerId
from firkin.wire import sandbox_context_pb2 as wire

from ..agent import GuestAgent
from ..bulk_reader import BulkReader
from ..copying.incoming import IncomingCopy
from ..copying.outgoing import send_archive, send_bytes
from ..copying.trimming import trim_in_container
from ..copying.view import opened_view
from ..filesystem import files, mounts, store
from ..filesystem.beneath import Resolution, open_beneath
from ..filesystem.needed import check_absolute
from ..guest_files import opened_guest_file, write_guest_file
from ..kernel import owns_kernel
from ..process_stdio import StreamRequest
from ..processes import GuestProcess
from ..user_namespace import in_user_namespace
from .context_mounts import mounted_by_firkin
from .copy_streams import received, source_of, writer_to
from .error_details import shortened
from .errors import answering, refuse_impossible
from .layer_limits import limits_of_call

_Context = ServicerContext[object, object]
_DEFAULT_DIRECTORY_MODE = 0o755
_DEFAULT_FILE_MODE = 0o644
# An answer whose headers are too large does not arrive, and names in containers may be of any length.
_LONGEST_SENTENCE_BYTES = 512
_LEFT_OUT_BYTES = 4096
_COPY_BYTES = 1 << 20
# The kernel keeps a frozen filesystem for good when its last mount goes, and nothing can thaw it then.
_NO_FREEZING = (
    "this sandbox shares its host's kernel, which could never thaw the filesystem again if the sandbox were killed"
)
# Nothing of a machine needs it: its store is trimmed, synchronised and given back while it is in use.
_NO_FREEZING_IN_MACHINES = "the agent writes to the filesystem itself, and would wait for a host that may never thaw it"


class FilesystemCalls:
    """Mounts, files and filesystems, by paths of the agent's own view unless a root is given."""

    _agent: GuestAgent

    async def Mount(self, request: wire.MountRequest, context: _Context) -> wire.MountResponse:
        async with answering(context, "mount", request.destination):
            if await mounted_by_firkin(self._agent, request):
                return wire.MountResponse()
            options = list(request.options)
            await self._agent.workers.run(mounts.mount, request.type, request.source, request.destination, options)
        return wire.MountResponse()

    async def Umount(self, request: wire.UmountRequest, context: _Context) -> wire.UmountResponse:
        # Truthful: a mount that stays busy is an error.
        async with answering(context, "unmount", request.path):
            await self._agent.workers.run(mounts.unmount, request.path, request.flags)
        return wire.UmountResponse()

    async def Mkdir(self, request: wire.MkdirRequest, context: _Context) -> wire.MkdirResponse:
        # `perms` counts.
        async with _answering_at(context, "make directory", request.path):
            mode = request.perms or _DEFAULT_DIRECTORY_MODE
            await self._agent.workers.run(files.make_directory, request.path, request.all, mode)
        return wire.MkdirResponse()

    async def RemovePath(self, request: wire.RemovePathRequest, context: _Context) -> wire.RemovePathResponse:
        async with _answering_at(context, "remove path", request.path):
            await self._agent.workers.run(files.remove_path, request.path, request.recursive, request.allow_missing)
        return wire.RemovePathResponse()

    async def WriteFile(self, request: wire.WriteFileRequest, context: _Context) -> wire.WriteFileResponse:
        async with _answering_at(context, "write file", request.path):
            await self._agent.workers.run(
                write_guest_file,
                request.path,
                request.data,
                request.mode,
                create_parents=request.flags.create_parent_dirs,
                append=request.flags.append,
                create_if_missing=request.flags.create_if_missing,
            )
        return wire.WriteFileResponse()

    async def Stat(self, request: wire.StatRequest, context: _Context) -> wire.StatResponse:
        async with answering(context, "stat", request.path):
            init = self._agent.containers.init_at(request.root)
            status = await self._agent.workers.run(_status, request.root, request.path, init)
        return wire.StatResponse(stat=_stat_message(status))

    async def Copy(self, request: wire.CopyRequest, context: _Context) -> AsyncIterator[wire.CopyResponse]:
        # What was left out is told in the trailing metadata, for which the contract has no field.
        async with answering(context, "copy", request.path):
            root = request.root or "/"
            if request.direction == wire.CopyRequest.COPY_OUT:
                async for response in self._copy_out(request, root, context):
                    yield response
            elif request.is_archive:
                yield await self._copy_archive_in(request, root, context)
            else:
                yield await self._copy_file_in(request, root)

    async def _copy_file_in(self, request: wire.CopyRequest, root: str) -> wire.CopyResponse:
        peer = await self._agent.host.connect(request.vsock_port)
        peer.setblocking(True)
        with BulkReader(peer) as reader:
            init = self._agent.containers.init_at(root)
            run = self._agent.copy_workers.run_cancellable
            await run(reader.cancel, _copy_file_in, request, root, init, reader)
        return wire.CopyResponse(status=wire.CopyResponse.COMPLETE, total_size=reader.done_bytes)

    async def _copy_archive_in(self, request: wire.CopyRequest, root: str, context: _Context) -> wire.CopyResponse:
        copy = IncomingCopy(
            root, CopySource(".", True), request.path, create_parents=request.create_parents, is_gzip=True
        )
        stream = StreamRequest(request.vsock_port)
        report, archive_bytes = await received(self._agent, copy, self._agent.containers.init_at(root), stream)
        _tell_left_out(context, report)
        return wire.CopyResponse(status=wire.CopyResponse.COMPLETE, is_archive=True, total_size=archive_bytes)

    async def _copy_out(
        self, request: wire.CopyRequest, root: str, context: _Context
    ) -> AsyncIterator[wire.CopyResponse]:
        async with source_of(self._agent, root, request.path, self._agent.containers.init_at(root)) as source:
            is_archive = source.is_directory
            yield wire.CopyResponse(status=wire.CopyResponse.METADATA, is_archive=is_archive, total_size=source.size)
            async with writer_to(self._agent, StreamRequest(request.vsock_port)) as writer:
                run = self._agent.copy_workers.run_cancellable
                if is_archive:
                    _tell_left_out(context, await run(writer.cancel, send_archive, source, writer, is_gzip=True))
                else:
                    await run(writer.cancel, send_bytes, source, writer)
        yield wire.CopyResponse(status=wire.CopyResponse.COMPLETE, is_archive=is_archive, total_size=writer.done_bytes)

    async def ApplyOciLayer(self, request: wire.ApplyOciLayerRequest, context: _Context) -> wire.ApplyOciLayerResponse:
        async with answering(context, "apply layer", request.archive_path or request.destination):
            check_absolute(request.archive_path)
            refuse_impossible(request.destination)
            # The applier is imported when the first layer comes: the agent listens sooner.
            from ..layers.applier import LayerResult, apply_layer
            from ..layers.meter import LayerMeter

            meter, limits = LayerMeter(), limits_of_call(context)

            def applied() -> LayerResult:
                with opened_guest_file(request.archive_path) as archive:
                    return apply_layer(
                        request.destination,
                        archive,
                        layer_name=request.archive_path,
                        limits=limits,
                        rootless=in_user_namespace(),
                        meter=meter,
                    )

            try:
                result = await self._agent.template_workers.run(applied)
            except FirkinError as error:
                error.after(meter.stage_seconds)
                raise
            told = {STAGES_KEY: meter.stage_seconds, REPLACED_KEY: result.replaced}
            context.set_trailing_metadata(
                tuple((key, msgspec.json.encode(value)) for key, value in told.items() if value)
            )
        return wire.ApplyOciLayerResponse(entries_applied=result.entries)

    async def Sync(self, request: wire.SyncRequest, context: _Context) -> wire.SyncResponse:
        async with answering(context, "sync"):
            await self._agent.workers.run(os.sync)
        return wire.SyncResponse()

    async def Fstrim(self, request: wire.FstrimRequest, context: _Context) -> wire.FstrimResponse:
        async with _answering_at(context, "trim", request.path):
            trimmed = await self._agent.workers.run(store.trim, request.path, request.minimum_bytes)
        return wire.FstrimResponse(trimmed_bytes=trimmed)

    async def FilesystemUsage(
        self, request: wire.FilesystemUsageRequest, context: _Context
    ) -> wire.FilesystemUsageResponse:
        async with _answering_at(context, "read filesystem usage", request.path):
            usage = await self._agent.workers.run(store.usage, request.path)
        return wire.FilesystemUsageResponse(
            block_size=usage.block_size,
            total_blocks=usage.total_blocks,
            free_blocks=usage.free_blocks,
            available_blocks=usage.available_blocks,
        )

    async def FilesystemOperation(
        self, request: wire.FilesystemOperationRequest, context: _Context
    ) -> wire.FilesystemOperationResponse:
        # The bytes that were trimmed are told; a path that is missing, relative or nothing to be trimmed says so.
        async with answering(context, "filesystem operation", request.path, container_id=request.containerID):
            operation = request.WhichOneof("operation")
            if not request.path.startswith("/"):
                raise InvalidArgument(f"path {request.path!r} is not absolute")
            if operation is None:
                raise InvalidArgument("a filesystem operation is trim, freeze or thaw")
            if operation != "trim":
                reason = _NO_FREEZING_IN_MACHINES if owns_kernel() else _NO_FREEZING
                raise UnsupportedFeature(f"{operation} of a filesystem", reason)
            if request.containerID:
                init = self._agent.containers.init_of(ContainerId(request.containerID))
                root = self._agent.containers.root_of(request.containerID)
                trimmed = await self._agent.workers.run(trim_in_container, root, request.path, init)
            else:
                trimmed = await self._agent.workers.run(store.trim, request.path)
        return wire.FilesystemOperationResponse(trim=wire.FiTrimResult(trimmed_bytes=trimmed))


@contextlib.asynccontextmanager
async def _answering_at(context: _Context, operation: str, path: str) -> AsyncIterator[None]:
    """As `answering`, for a path of the agent's own view, which says nothing when it is not absolute."""
    async with answering(context, operation, path):
        check_absolute(path)
        yield


def _tell_left_out(context: _Context, report: CopyReport) -> None:
    kept: list[str] = []
    for sentence in report.left_out:
        longer = [*kept, shortened(sentence, _LONGEST_SENTENCE_BYTES)]
        if len(msgspec.json.encode(longer)) > _LEFT_OUT_BYTES:
            break
        kept = longer
    if kept:
        context.set_trailing_metadata(((LEFT_OUT_KEY, msgspec.json.encode(kept)),))


def _status(root: str, path: str, init: GuestProcess | None) -> os.stat_result:
    if not root:
        return os.stat(path)
    with opened_view(root, init) as view:
        found = open_beneath(view, path.strip("/") or ".", os.O_PATH, Resolution.IN_ROOT)
        try:
            return os.fstat(found)
        finally:
            os.close(found)


def _copy_file_in(request: wire.CopyRequest, root: str, init: GuestProcess | None, reader: BulkReader) -> None:
    mode = request.mode or _DEFAULT_FILE_MODE
    if root.startswith(NO_SYMLINKS):
        pieces = iter(lambda: reader.read(_COPY_BYTES), b"")
        files.write_file(root.removeprefix(NO_SYMLINKS), request.path.removeprefix("/"), pieces, mode)
        return
    with opened_view(root, init) as view:
        files.copy_in(root, request.path, reader, mode, request.create_parents, view=view)


def _stat_message(status: os.stat_result) -> wire.Stat:
    message = wire.Stat(
        dev=status.st_dev,
        ino=status.st_ino,
        mode=status.st_mode,
        nlink=status.st_nlink,
        uid=status.st_uid,
        gid=status.st_gid,
        rdev=status.st_rdev,
        size=status.st_size,
        blksize=status.st_blksize,
        blocks=status.st_blocks,
    )
    for name in ("atime", "mtime", "ctime"):
        timestamp: Timestamp = getattr(message, name)
        timestamp.FromNanoseconds(getattr(status, f"st_{name}_ns"))
    return message
