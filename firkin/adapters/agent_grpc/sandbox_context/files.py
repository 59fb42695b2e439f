"""Copies over SandboxContext: pax archives in gzip for whatever goes in and for directories, plain bytes of a file
that comes out.

This service leaves the rules of where things go to the host, which asks by Stat. The agent's own count is in its last
message, when it has one.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import os
import posixpath
import stat
from collections.abc import Iterator, Sequence

import msgspec

from firkin.domain import tar_header
from firkin.domain.context_additions import LEFT_OUT_KEY
from firkin.domain.copying import CopyReport, CopySource, Destination, is_placed_inside
from firkin.domain.errors import AgentError, CopyFailed, Outcome, PathRefused, UnsupportedFeature
from firkin.domain.guest_path import GuestPath
from firkin.domain.tar_archive import Entry
from firkin.domain.users import resolved_user
from firkin.file_trees.ownership import Owner
from firkin.file_trees.pieces import NextPiece, gunzipped
from firkin.file_trees.places import callers_own, opened_source, placed
from firkin.file_trees.tar_writing import END_OF_ARCHIVE, header, padding
from firkin.ports.agent_files import CopyIn, CopyOut
from firkin.wire import sandbox_context_pb2 as wire

from ..firkin_agent_files import wire_text
from ..host_trees import SocketEnd, Transferred, receive_tree, send_tree
from ..stall_deadline import StallDeadline
from ..streamed_call import StreamedCall
from .calls import SandboxContextPart
from .told_metadata import told

_INTO = "copy into container"
_OUT_OF = "copy out of container"
_DATABASE_BYTES = 4 * 2**20
_UNSIZED_BYTES = 16 * 2**20
_IMPLICIT_MODE = 0o644


class _Completion(msgspec.Struct, frozen=True):
    """The agent's last word: the bytes that travelled (0: it does not say), and what it left out."""

    stream_bytes: int
    left_out: Sequence[str]


class SandboxContextFiles(SandboxContextPart):
    """Copying files and directories."""

    async def copy_in(self, copy: CopyIn) -> CopyReport:
        """Copy a file or a directory into a container."""
        await self._require_confinement(_INTO)
        owner = None if copy.user is None else await self._owner(copy.user, copy.rootfs)
        # Not in a thread: what a thread opens for a call that was cancelled meanwhile is nobody's to close.
        opened = opened_source(copy.source)
        try:
            path = await self._placed(copy, opened.source)
            # A file travels in an archive as well, or it would lose its time.
            directory = path if opened.source.is_directory else posixpath.dirname(path)
            streamed = StreamedCall(self._calls.session, _INTO, with_token=False)
            request = wire.CopyRequest(
                direction=wire.CopyRequest.COPY_IN,
                root=copy.rootfs,
                path=directory,
                create_parents=copy.create_parents,
                is_archive=True,
                vsock_port=streamed.listener.port,
            )
            send = functools.partial(send_tree, opened, posixpath.basename(path), owner, is_gzip=True)
            completion, sent = await streamed.run(lambda stall: self._completed(request, stall, _INTO), send)
        finally:
            os.close(opened.descriptor)
        _check_bytes(copy.source, completion, sent)
        return CopyReport(path, sent.count, (*sent.left_out, *completion.left_out))

    async def copy_out(self, copy: CopyOut) -> CopyReport:
        """Copy a file or a directory out of a container."""
        await self._require_confinement(_OUT_OF)
        status = await self._stat(wire_text(copy.source), copy.rootfs, _OUT_OF)
        if status is None:
            missing = CopyFailed(copy.source, "it does not exist", errno=errno.ENOENT)
            raise missing.during(_OUT_OF, outcome=Outcome.DID_NOT)
        source = CopySource(copy.source, stat.S_ISDIR(status.mode))
        path = await asyncio.to_thread(placed, source, copy.destination)
        owner = callers_own(copy.keep_ownership)

        def receive(end: SocketEnd) -> Transferred:
            next_piece = gunzipped(end.receive) if source.is_directory else _archived(source, status, end)
            return receive_tree(path, source.is_directory, owner, next_piece, end)

        streamed = StreamedCall(self._calls.session, _OUT_OF, with_token=False)
        request = wire.CopyRequest(
            direction=wire.CopyRequest.COPY_OUT,
            root=copy.rootfs,
            path=copy.source,
            vsock_port=streamed.listener.port,
        )
        completion, received = await streamed.run(lambda stall: self._completed(request, stall, _OUT_OF), receive)
        _check_bytes(copy.source, completion, received)
        return CopyReport(path, received.count, (*completion.left_out, *received.left_out))

    async def _require_confinement(self, operation: str) -> None:
        if not await self._calls.confines_paths(operation):
            refused = UnsupportedFeature("copying", "this guest agent cannot confine a path to a container")
            raise refused.during(operation, outcome=Outcome.DID_NOT)

    async def _stat(self, path: str, rootfs: GuestPath, operation: str) -> wire.Stat | None:
        """What is at a path of the container; None when nothing is, or can be."""
        try:
            return await self._calls.stat(path, operation, root=rootfs)
        except AgentError as error:
            if error.errno == errno.ENOTDIR:
                return None
            if error.errno == errno.ELOOP:
                looped = PathRefused(path, "it leads through too many symlinks, or one of the kernel's own")
                raise looped.during(operation, outcome=Outcome.DID_NOT) from error
            raise

    async def _placed(self, copy: CopyIn, source: CopySource) -> str:
        """Where the source goes, by what is there already."""
        destination = wire_text("/" + copy.destination.lstrip("/"))
        status = await self._stat(destination, copy.rootfs, _INTO)
        place = Destination(destination, status is not None, status is not None and stat.S_ISDIR(status.mode))
        if is_placed_inside(source, place):
            path = f"{destination.rstrip('/')}/{wire_text(source.name)}"
            status = await self._stat(path, copy.rootfs, _INTO)
        elif place.is_directory:
            return destination
        else:
            path = destination.removesuffix("/.").rstrip("/")
        parent = posixpath.dirname(path)
        above = await self._stat(parent, copy.rootfs, _INTO)
        if not (copy.create_parents if above is None else stat.S_ISDIR(above.mode)):
            raise _did_not(CopyFailed(path, f"there is no directory {parent}"))
        if status is not None and stat.S_ISDIR(status.mode) is not source.is_directory:
            kinds = "a directory cannot replace a file" if source.is_directory else "a file cannot replace a directory"
            raise _did_not(CopyFailed(path, kinds))
        return path

    async def _owner(self, user: str, rootfs: GuestPath) -> Owner:
        """Who `user[:group]` is in the container; asks it only for what is not plain numbers."""
        numbers = user.split(":")
        if not user or (len(numbers) == 2 and all(part.isdigit() for part in numbers)):
            resolved = resolved_user(user)
        else:
            passwd, group = [await self._small_file(rootfs, path) for path in ("/etc/passwd", "/etc/group")]
            resolved = resolved_user(user, passwd, group)
        return Owner(resolved.uid, resolved.gid)

    async def _small_file(self, rootfs: GuestPath, path: str) -> str:
        """The text of a file of a container; "" when it has none."""
        status = await self._stat(path, rootfs, _INTO)
        if status is None or not stat.S_ISREG(status.mode):
            return ""
        if status.size > _DATABASE_BYTES:
            raise _did_not(CopyFailed(path, f"it is larger than {_DATABASE_BYTES} bytes"))
        streamed = StreamedCall(self._calls.session, _INTO, with_token=False)
        request = wire.CopyRequest(
            direction=wire.CopyRequest.COPY_OUT, root=rootfs, path=path, vsock_port=streamed.listener.port
        )
        _, data = await streamed.run(
            lambda stall: self._completed(request, stall, _INTO), lambda end: _read_all(end, path, _DATABASE_BYTES)
        )
        return data.decode("utf-8", "replace")

    async def _completed(self, request: wire.CopyRequest, stall: StallDeadline, operation: str) -> _Completion:
        call = self._calls.stub.Copy(request)
        try:
            last = wire.CopyResponse()
            async for last in call:
                stall.progressed()
                if last.error:
                    raise AgentError(operation, last.error, path=request.path)
            if last.status != wire.CopyResponse.COMPLETE:
                raise AgentError(operation, "the copy ended before it was complete", path=request.path)
            return _Completion(last.total_size, told(await call.trailing_metadata(), LEFT_OUT_KEY, list[str]) or ())
        finally:
            call.cancel()
            del call  # An error that is raised here must not keep it.


def _archived(source: CopySource, status: wire.Stat, end: SocketEnd) -> NextPiece:
    """The plain bytes of a file as the archive that it would be."""

    def pieces() -> Iterator[bytes]:
        # Files of the kernel (/proc) say that they are empty and are not.
        known = b"" if status.size else _read_all(end, source.path, _UNSIZED_BYTES)
        size = status.size or len(known)
        mode = stat.S_IMODE(status.mode) or _IMPLICIT_MODE
        mtime_ns = status.mtime.ToNanoseconds()
        yield header(
            Entry(b"file", tar_header.REGULAR, b"", mode, status.uid, status.gid, size, mtime_ns, 0, 0, None, {})
        )
        yield known
        left = size - len(known)
        while left and (piece := end.receive()):
            yield piece[:left]
            left -= min(left, len(piece))
        if left:
            raise CopyFailed(source.path, "it became shorter while it was read")
        # What it grew by meanwhile is not part of the copy.
        while end.receive():
            pass
        yield padding(size)
        yield END_OF_ARCHIVE

    remaining = filter(None, pieces())
    return lambda: next(remaining, b"")


def _read_all(end: SocketEnd, path: str, limit_bytes: int) -> bytes:
    data = bytearray()
    while piece := end.receive():
        data += piece
        if len(data) > limit_bytes:
            raise CopyFailed(path, f"it is larger than {limit_bytes} bytes")
    return bytes(data)


def _check_bytes(path: str, completion: _Completion, transferred: Transferred) -> None:
    if completion.stream_bytes and completion.stream_bytes != transferred.stream_bytes:
        reason = f"the guest counted {completion.stream_bytes} bytes, the host {transferred.stream_bytes}"
        raise CopyFailed(path, reason)


def _did_not(error: CopyFailed) -> CopyFailed:
    return error.during(_INTO, outcome=Outcome.DID_NOT)
