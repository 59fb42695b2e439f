"""Copies into a container."""

from __future__ import annotations

import errno
import functools
import os
import stat

import msgspec

from firkin.domain.copying import CopyReport, CopySource, Destination, is_placed_inside
from firkin.domain.errors import CopyFailed
from firkin.domain.tar_archive import Limits, TarReader
from firkin.domain.users import resolved_user
from firkin.file_trees.ownership import Owner
from firkin.file_trees.pieces import BATCH_BYTES, gunzipped
from firkin.file_trees.writing import TreeWriter

from ..filesystem.beneath import Resolution, open_beneath, refusing
from ..filesystem.failures import translating
from ..filesystem.files import ByteSource, opened_parent, read_beneath
from .view import Init, opened_view

_DATABASE_BYTES = 4 * 2**20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
_LIMITS = Limits(tar_bytes=2**50)


class IncomingCopy(msgspec.Struct, frozen=True):
    """What is to be copied, and where to.

    Attributes:
        root: the container's rootfs, for when it does not run.
        user: `user[:group]` whose everything is to be; None: the numbers of the archive.
        create_parents: whether missing directories above the destination are made.
        is_gzip: whether the archive is compressed.
    """

    root: str
    source: CopySource
    destination: str
    user: str | None = None
    create_parents: bool = False
    is_gzip: bool = False


def copy_in(copy: IncomingCopy, init: Init | None, stream: ByteSource) -> CopyReport:
    """Write the archive that `stream` brings to its place; `init` is the container's, if it has one.

    Raises:
        CopyFailed: it cannot go there, or the archive is broken.
        PathRefused: the destination leads through /proc's links, or too many symlinks.
        UserUnknown: the container has no such user.
        StoreFull, AgentError: the kernel refused.
    """
    with translating("copy", copy.destination), refusing(copy.destination), opened_view(copy.root, init) as root:
        writer = TreeWriter(_owner(copy.user, root))
        next_bytes = functools.partial(stream.read, BATCH_BYTES)
        next_piece = gunzipped(next_bytes) if copy.is_gzip else next_bytes
        path = _write(copy, root, writer, TarReader(next_piece, _LIMITS))
    return CopyReport(path, writer.count, tuple(writer.left_out))


def _owner(user: str | None, root: int) -> Owner | None:
    if user is None:
        return None
    here = f"/proc/self/fd/{root}"
    passwd = read_beneath(here, "/etc/passwd", _DATABASE_BYTES) or b""
    group = read_beneath(here, "/etc/group", _DATABASE_BYTES) or b""
    resolved = resolved_user(user, passwd.decode("utf-8", "replace"), group.decode("utf-8", "replace"))
    return Owner(resolved.uid, resolved.gid)


def _write(copy: IncomingCopy, root: int, writer: TreeWriter, archive: TarReader) -> str:
    """Write to where the rules put the source; returns the path of what it became."""
    destination = "/" + copy.destination.lstrip("/")
    status = _status(root, destination)
    is_directory = status is not None and stat.S_ISDIR(status.st_mode)
    place = Destination(destination, status is not None, is_directory)
    if is_placed_inside(copy.source, place):
        destination = f"{destination.rstrip('/')}/{copy.source.name}"
        status = _status(root, destination)
    elif is_directory:
        _write_tree(root, destination, writer, archive)
        return destination
    destination = destination.removesuffix("/.").rstrip("/") or "/"
    parent_path, name = os.path.split(destination)
    if name in ("", ".", ".."):
        raise CopyFailed(destination, "it does not exist", errno=errno.ENOENT)
    try:
        parent = opened_parent(root, parent_path.lstrip("/"), copy.create_parents)
    except (FileNotFoundError, NotADirectoryError) as error:
        reason = f"there is no directory {parent_path}"
        raise CopyFailed(destination, reason, errno=error.errno or errno.ENOENT) from None
    try:
        if not copy.source.is_directory:
            writer.write_file(parent, name, archive)
        elif status is not None and stat.S_ISDIR(status.st_mode):
            _write_tree(root, destination, writer, archive)
        else:
            _write_new_tree(parent, name, destination, writer, archive)
    finally:
        os.close(parent)
    return destination


def _status(root: int, path: str) -> os.stat_result | None:
    """What is at a path of the container, symlinks followed inside it; None when nothing is."""
    try:
        found = open_beneath(root, path.strip("/") or ".", os.O_PATH, Resolution.IN_ROOT)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return os.fstat(found)
    finally:
        os.close(found)


def _write_tree(root: int, path: str, writer: TreeWriter, archive: TarReader) -> None:
    top = open_beneath(root, path.strip("/") or ".", _DIRECTORY, Resolution.IN_ROOT)
    try:
        writer.write_tree(top, archive, is_new=False)
    finally:
        os.close(top)


def _write_new_tree(parent: int, name: str, path: str, writer: TreeWriter, archive: TarReader) -> None:
    try:
        os.mkdir(name, 0o755, dir_fd=parent)
    except FileExistsError:
        raise CopyFailed(path, "a directory cannot replace a file", errno=errno.EEXIST) from None
    top = os.open(name, _DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        writer.write_tree(top, archive, is_new=True)
    finally:
        os.close(top)
