"""A file, or a directory with everything below it, as a tar archive."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Mapping

from firkin.domain import tar_header
from firkin.domain.copying import LEFT_OUT_LIMIT, CopyCount
from firkin.domain.errors import CopyFailed
from firkin.domain.tar_archive import Entry

from .ownership import Owner, owned
from .tar_writing import END_OF_ARCHIVE, header, padding

PIECE_BYTES = 1 << 20
DEPTH_LIMIT = 256
_LINKS_LIMIT = 100_000
_UNSIZED_BYTES = 16 * 2**20
_KEPT_XATTRS = ("user.", "security.capability", "system.posix_acl_")
_OVERLAY_XATTRS = ("user.overlay.",)
_SPECIAL = {
    stat.S_IFIFO: "it is a named pipe",
    stat.S_IFSOCK: "it is a socket",
    stat.S_IFCHR: "it is a device",
    stat.S_IFBLK: "it is a device",
}
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: should a named pipe take the file's place, opening it must not wait for a writer.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class _Listing:
    """A directory that is being read: its descriptor, its path in the archive, and the names that are left."""

    def __init__(self, descriptor: int, path: bytes) -> None:
        self.descriptor = descriptor
        self.path = path
        self.device = os.fstat(descriptor).st_dev
        self.names = iter(sorted(os.listdir(descriptor)))


class TreeReader:
    """Reads once; symlinks stay symlinks, files of one inode stay one, special files are left out.

    Attributes:
        left_out: what was not read, in sentences; the first hundred.
    """

    def __init__(self, owner: Owner | None = None, is_excluded: Callable[[int], bool] | None = None) -> None:
        """Set what the archive says.

        Args:
            owner: whose everything is to be; None: whose it is.
            is_excluded: tells of an open directory on which a mount begins whether to leave it out.
        """
        self.left_out: list[str] = []
        self._owner = owner
        self._is_excluded = is_excluded
        self._links: dict[tuple[int, int], bytes] = {}
        self._entries = 0
        self._content_bytes = 0

    @property
    def count(self) -> CopyCount:
        """What was read so far."""
        return CopyCount(self._entries, self._content_bytes)

    def archive(self, top: int, name: str) -> Iterator[bytes]:
        """The archive of the open file or directory `top`, in pieces of at most 1 MiB and a little.

        A file is an entry of the name `name`; a directory is `./`, followed by what is in it.

        Raises:
            CopyFailed: a file became shorter, or a directory is too deep.
            OSError: something cannot be read.
        """
        status = os.fstat(top)
        if stat.S_ISDIR(status.st_mode):
            yield self._header(b"./", tar_header.DIRECTORY, status, top)
            yield from self.contents(top)
        else:
            yield from self._file(top, os.fsencode(name), status)
            yield END_OF_ARCHIVE

    def contents(self, top: int) -> Iterator[bytes]:
        """The archive of what is in the open directory `top`, without an entry of its own.

        Raises:
            CopyFailed, OSError: as from `archive`.
        """
        yield from self._below(top)
        yield END_OF_ARCHIVE

    def _below(self, top: int) -> Iterator[bytes]:
        stack = [_Listing(os.dup(top), b"")]
        try:
            while stack:
                directory = stack[-1]
                name = next(directory.names, None)
                if name is None:
                    os.close(stack.pop().descriptor)
                    continue
                path = directory.path + os.fsencode(name)
                status = self._status(directory.descriptor, name, path)
                if status is None:
                    continue
                if not stat.S_ISDIR(status.st_mode):
                    yield from self._other(directory.descriptor, name, path, status)
                elif (child := self._opened(directory, name, path, len(stack))) is not None:
                    stack.append(_Listing(child, path + b"/"))
                    yield self._header(path + b"/", tar_header.DIRECTORY, os.fstat(child), child)
        finally:
            for directory in stack:
                os.close(directory.descriptor)

    def _status(self, parent: int, name: str, path: bytes) -> os.stat_result | None:
        try:
            return os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            self._leave_out(path, "it went away")
            return None

    def _opened(self, parent: _Listing, name: str, path: bytes, depth: int) -> int | None:
        if depth >= DEPTH_LIMIT:
            raise CopyFailed(os.fsdecode(path), f"it is more than {DEPTH_LIMIT} directories deep")
        descriptor = os.open(name, _DIRECTORY, dir_fd=parent.descriptor)
        is_mount = os.fstat(descriptor).st_dev != parent.device
        if is_mount and self._is_excluded is not None and self._is_excluded(descriptor):
            os.close(descriptor)
            self._leave_out(path, "a filesystem of the kernel is mounted there")
            return None
        return descriptor

    def _other(self, parent: int, name: str, path: bytes, status: os.stat_result) -> Iterator[bytes]:
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFLNK:
            target = os.readlink(os.fsencode(name), dir_fd=parent)
            yield self._header(path, tar_header.SYMLINK, status, None, target)
        elif kind != stat.S_IFREG:
            self._leave_out(path, _SPECIAL.get(kind, "it is of an unknown kind"))
        elif (first := self._links.get((status.st_dev, status.st_ino))) is not None:
            yield self._header(path, tar_header.HARD_LINK, status, None, first)
        else:
            if status.st_nlink > 1 and len(self._links) < _LINKS_LIMIT:
                self._links[status.st_dev, status.st_ino] = path
            file = os.open(name, _FILE, dir_fd=parent)
            try:
                yield from self._file(file, path, os.fstat(file))
            finally:
                os.close(file)

    def _file(self, file: int, path: bytes, status: os.stat_result) -> Iterator[bytes]:
        if not stat.S_ISREG(status.st_mode):
            raise CopyFailed(os.fsdecode(path), "it is not a regular file any more")
        # Files of the kernel (/proc) say that they are empty and are not.
        known = _read_unsized(file, path) if status.st_size == 0 else b""
        size = status.st_size or len(known)
        yield self._header(path, tar_header.REGULAR, status, file, size=size)
        if known:
            yield known
        left = size - len(known)
        while left:
            piece = os.read(file, min(left, PIECE_BYTES))
            if not piece:
                raise CopyFailed(os.fsdecode(path), "it became shorter while it was read")
            left -= len(piece)
            yield piece
        self._content_bytes += size
        yield padding(size)

    def _header(
        self,
        path: bytes,
        kind: bytes,
        status: os.stat_result,
        descriptor: int | None,
        link_name: bytes = b"",
        size: int = 0,
    ) -> bytes:
        self._entries += 1
        mode, mtime = stat.S_IMODE(status.st_mode), status.st_mtime_ns
        xattrs = {} if descriptor is None else _xattrs(descriptor)
        entry = Entry(path, kind, link_name, mode, status.st_uid, status.st_gid, size, mtime, 0, 0, None, xattrs)
        return header(owned(entry, self._owner))

    def _leave_out(self, path: bytes, reason: str) -> None:
        if len(self.left_out) < LEFT_OUT_LIMIT:
            self.left_out.append(f"{os.fsdecode(path)}: {reason}")


def _read_unsized(file: int, path: bytes) -> bytes:
    pieces: list[bytes] = []
    total = 0
    while piece := os.read(file, PIECE_BYTES):
        pieces.append(piece)
        total += len(piece)
        if total > _UNSIZED_BYTES:
            raise CopyFailed(os.fsdecode(path), "it has no size and does not end")
    return b"".join(pieces)


def _xattrs(descriptor: int) -> Mapping[bytes, bytes]:
    try:
        names = os.listxattr(descriptor)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EPERM, errno.EACCES):
            return {}
        raise
    kept = [name for name in names if name.startswith(_KEPT_XATTRS) and not name.startswith(_OVERLAY_XATTRS)]
    return {os.fsencode(name): os.getxattr(descriptor, name) for name in kept}
