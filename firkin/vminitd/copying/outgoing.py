"""Copies out of a container."""

from __future__ import annotations

import errno
import os
import stat

import msgspec

from firkin.domain.copying import CopyReport, copied_name
from firkin.domain.errors import CopyFailed
from firkin.file_trees.pieces import batched, gzipped
from firkin.file_trees.reading import TreeReader

from ..bulk_writer import BulkWriter
from ..filesystem import syscalls
from ..filesystem.beneath import Resolution, open_beneath, refusing
from ..filesystem.failures import translating
from .view import Init, opened_view

_PIECE_BYTES = 1 << 20
# linux/magic.h: proc, sysfs, cgroup, cgroup2, devpts, mqueue, debugfs, tracefs, securityfs, bpf.
_KERNEL_FILESYSTEMS = frozenset(
    {0x9FA0, 0x62656572, 0x27E0EB, 0x63677270, 0x1CD1, 0x19800202, 0x64626720, 0x74726163, 0x73636673, 0xCAFE4A11}
)


class OpenSource(msgspec.Struct, frozen=True):
    """What is copied, open.

    Attributes:
        size: of a file, in bytes; 0 for a directory.
    """

    descriptor: int
    path: str
    is_directory: bool
    size: int


def opened_source(root: str, path: str, init: Init | None) -> OpenSource:
    """Find what is to be copied, symlinks followed inside the container; `init` is the container's, if it has one.

    Raises:
        CopyFailed: it is missing, or neither a file nor a directory.
        PathRefused: it leads through /proc's links, or too many symlinks.
        AgentError: the kernel refused.
    """
    with translating("copy", path), refusing(path), opened_view(root, init) as view:
        try:
            found = open_beneath(view, path.strip("/") or ".", os.O_PATH, Resolution.IN_ROOT)
        except (FileNotFoundError, NotADirectoryError):
            raise CopyFailed(path, "it does not exist", errno=errno.ENOENT) from None
        try:
            status = os.fstat(found)
            if not (stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode)):
                raise CopyFailed(path, "it is neither a file nor a directory")
            is_directory = stat.S_ISDIR(status.st_mode)
            # Opened anew through /proc: the very thing that was looked at, whatever the name means by now.
            descriptor = os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_CLOEXEC)
            return OpenSource(descriptor, path, is_directory, 0 if is_directory else status.st_size)
        finally:
            os.close(found)


def send_archive(source: OpenSource, writer: BulkWriter, *, is_gzip: bool) -> CopyReport:
    """Write the archive of `source`, in a thread.

    Raises:
        CopyFailed: a file became shorter, or a directory is too deep.
        AgentError: something cannot be read, the host does not read, or the call was cancelled.
    """
    reader = TreeReader(is_excluded=_is_kernel_filesystem)
    pieces = batched(reader.archive(source.descriptor, copied_name(source.path) or "file"))
    with translating("copy", source.path):
        for piece in gzipped(pieces) if is_gzip else pieces:
            writer.write(piece)
        writer.end()
    return CopyReport(source.path, reader.count, tuple(reader.left_out))


def send_bytes(source: OpenSource, writer: BulkWriter) -> None:
    """Write the bytes of a file up to its end, in a thread.

    Raises:
        AgentError: it cannot be read, the host does not read, or the call was cancelled.
    """
    with translating("copy", source.path):
        while piece := os.read(source.descriptor, _PIECE_BYTES):
            writer.write(piece)
        writer.end()


def _is_kernel_filesystem(directory: int) -> bool:
    return syscalls.filesystem_magic(directory) in _KERNEL_FILESYSTEMS
