"""A tar archive, written out below one directory, whatever the archive says."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator

from firkin._fast import clean_member_name
from firkin.domain import tar_header
from firkin.domain.copying import LEFT_OUT_LIMIT, CopyCount
from firkin.domain.errors import CopyFailed
from firkin.domain.tar_archive import Entry, TarReader
from firkin.domain.tar_header import TarError

from .ownership import Owner, owned
from .reading import DEPTH_LIMIT

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_UNKNOWN_ATTRIBUTE = (errno.EOPNOTSUPP, errno.EPERM, errno.EINVAL, errno.E2BIG, errno.ERANGE)


class _OpenDirectory:
    """A directory on the way to the entry that is being written; `entry` is what a new one is to become."""

    def __init__(self, descriptor: int, name: bytes, entry: Entry | None) -> None:
        self.descriptor = descriptor
        self.name = name
        self.entry = entry


class TreeWriter:
    """Writes once. No symlink is followed, and a file is whole or not there: it gets its name last.

    A file or symlink takes the place of another one, never of anything else, nor a directory of it. Directories that
    exist stay what they are; new ones become what the archive says, once everything is in them.

    Attributes:
        left_out: what the destination would not take, in sentences; the first hundred.
    """

    def __init__(self, owner: Owner | None = None) -> None:
        """`owner`: whose everything is to be; None: whose the archive says, as far as that is allowed."""
        self.left_out: list[str] = []
        self._owner = owner
        self._entries = 0
        self._content_bytes = 0
        self._stack: list[_OpenDirectory] = []

    @property
    def count(self) -> CopyCount:
        """What was written so far."""
        return CopyCount(self._entries, self._content_bytes)

    def write_tree(self, top: int, archive: TarReader, is_new: bool) -> None:
        """Write an archive below the open directory `top`, which the archive's `./` describes when it `is_new`.

        Raises:
            CopyFailed: an entry leads out, cannot be written, or the archive is broken or incomplete.
            OSError: the kernel refused.
        """
        self._stack = [_OpenDirectory(os.dup(top), b"", None)]
        try:
            for entry in self._checked(archive):
                path = _cleaned(entry.name)
                if path:
                    self._write(path, entry, archive)
                elif entry.kind == tar_header.DIRECTORY:
                    self._stack[0].entry = entry if is_new else None
                else:
                    raise CopyFailed(os.fsdecode(entry.name), "it would replace the destination")
            self._leave_to(0)
            self._finish(self._stack[0])
        finally:
            for directory in self._stack:
                os.close(directory.descriptor)
            self._stack = []

    def write_file(self, parent: int, name: str, archive: TarReader) -> None:
        """Write the one file of an archive as `name` of the open directory `parent`.

        Raises:
            CopyFailed: the archive has something else, or is broken or incomplete.
            OSError: the kernel refused.
        """
        for entry in self._checked(archive):
            if entry.kind != tar_header.REGULAR or self._entries > 1:
                raise CopyFailed(name, "the archive holds more than one file")
            with _explaining(os.fsencode(name)):
                self._write_regular(parent, os.fsencode(name), entry, archive)
        if self._entries != 1:
            raise CopyFailed(name, "the archive is empty")

    def _checked(self, archive: TarReader) -> Iterator[Entry]:
        try:
            for entry in archive.entries():
                self._entries += 1
                yield owned(entry, self._owner)
        except TarError as error:
            raise CopyFailed(os.fsdecode(archive.current), str(error)) from error
        if not archive.is_closed:
            raise CopyFailed(os.fsdecode(archive.current), "the archive was cut off")

    def _write(self, path: bytes, entry: Entry, archive: TarReader) -> None:
        *parents, name = path.split(b"/")
        with _explaining(path):
            parent = self._entered(parents)
            if entry.kind == tar_header.DIRECTORY:
                self._enter(name, entry)
            elif entry.kind == tar_header.REGULAR:
                self._write_regular(parent, name, entry, archive)
            elif entry.kind == tar_header.SYMLINK:
                self._write_symlink(parent, name, entry)
            elif entry.kind == tar_header.HARD_LINK:
                self._write_hard_link(parent, name, _cleaned(entry.link_name))
            else:
                raise CopyFailed(os.fsdecode(path), "it is neither a file nor a directory nor a link")

    def _entered(self, parents: list[bytes]) -> int:
        """The open directory that `parents` lead to; what is missing of it is made."""
        open_names = [directory.name for directory in self._stack[1:]]
        common = 0
        while common < min(len(parents), len(open_names)) and open_names[common] == parents[common]:
            common += 1
        self._leave_to(common)
        for name in parents[common:]:
            self._enter(name, None)
        return self._stack[-1].descriptor

    def _enter(self, name: bytes, entry: Entry | None) -> None:
        if len(self._stack) > DEPTH_LIMIT:
            raise CopyFailed(os.fsdecode(name), f"it is more than {DEPTH_LIMIT} directories deep")
        parent = self._stack[-1].descriptor
        is_new = True
        try:
            os.mkdir(name, 0o755 if entry is None else 0o700, dir_fd=parent)
        except FileExistsError:
            is_new = False
        descriptor = os.open(name, _DIRECTORY, dir_fd=parent)
        self._stack.append(_OpenDirectory(descriptor, name, entry if is_new else None))
        if is_new and entry is None and self._owner is not None:
            os.fchown(descriptor, *self._owner)

    def _leave_to(self, depth: int) -> None:
        """Close the directories below the first `depth` ones, the new ones finished."""
        while len(self._stack) > depth + 1:
            directory = self._stack.pop()
            try:
                self._finish(directory)
            finally:
                os.close(directory.descriptor)

    def _finish(self, directory: _OpenDirectory) -> None:
        if directory.entry is not None:
            self._dress(directory.descriptor, directory.entry)

    def _write_regular(self, parent: int, name: bytes, entry: Entry, archive: TarReader) -> None:
        if entry.extents is not None:
            raise CopyFailed(os.fsdecode(name), "it is a sparse file, which a copy does not know")
        unfinished = _unfinished_name()
        file = os.open(unfinished, _NEW_FILE, 0o600, dir_fd=parent)
        with _named_last(parent, unfinished, name):
            try:
                for piece in archive.data():
                    left = piece
                    while left:
                        left = left[os.write(file, left) :]
                self._dress(file, entry)
            finally:
                os.close(file)
        self._content_bytes += entry.size

    def _write_symlink(self, parent: int, name: bytes, entry: Entry) -> None:
        if not entry.link_name:
            raise CopyFailed(os.fsdecode(entry.name), "its symlink has no target")
        unfinished = _unfinished_name()
        os.symlink(entry.link_name, unfinished, dir_fd=parent)
        with _named_last(parent, unfinished, name):
            with self._permitted(entry, "its owner"):
                os.chown(unfinished, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
            os.utime(unfinished, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=parent, follow_symlinks=False)

    def _write_hard_link(self, parent: int, name: bytes, target: bytes) -> None:
        """`target` is found from the top, through directories alone."""
        *parents, target_name = target.split(b"/")
        with contextlib.ExitStack() as opened:
            directory = self._stack[0].descriptor
            for component in parents:
                directory = os.open(component, _DIRECTORY, dir_fd=directory)
                opened.callback(os.close, directory)
            if not stat.S_ISREG(os.stat(target_name, dir_fd=directory, follow_symlinks=False).st_mode):
                raise CopyFailed(os.fsdecode(target), "it is no file that something else could be a link to")
            unfinished = _unfinished_name()
            os.link(target_name, unfinished, src_dir_fd=directory, dst_dir_fd=parent, follow_symlinks=False)
        with _named_last(parent, unfinished, name):
            pass
        # rename(2) does nothing when both names are the same file already.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(unfinished, dir_fd=parent)

    def _dress(self, descriptor: int, entry: Entry) -> None:
        # Ownership first: changing it takes set-user-id bits and file capabilities away.
        with self._permitted(entry, "its owner"):
            os.fchown(descriptor, entry.uid, entry.gid)
        os.fchmod(descriptor, entry.mode)
        for attribute, value in entry.xattrs.items():
            with self._permitted(entry, f"its attribute {os.fsdecode(attribute)}"):
                os.setxattr(descriptor, attribute, value)
        os.utime(descriptor, ns=(entry.mtime_ns, entry.mtime_ns))

    @contextlib.contextmanager
    def _permitted(self, entry: Entry, what: str) -> Iterator[None]:
        """Go on without what the destination's filesystem, or the caller's rights, do not allow, and tell."""
        try:
            yield
        except OSError as error:
            if error.errno not in _UNKNOWN_ATTRIBUTE:
                raise
            if len(self.left_out) < LEFT_OUT_LIMIT:
                self.left_out.append(f"{os.fsdecode(entry.name)}: {what} could not be set ({error.strerror})")


@contextlib.contextmanager
def _named_last(parent: int, unfinished: bytes, name: bytes) -> Iterator[None]:
    """Give what was made its name when the block ends well, and remove it when not."""
    try:
        yield
        _require_replaceable(parent, name)
        os.rename(unfinished, name, src_dir_fd=parent, dst_dir_fd=parent)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(unfinished, dir_fd=parent)
        raise


def _require_replaceable(parent: int, name: bytes) -> None:
    """Leave devices, pipes and sockets alone: others use them by their name."""
    with contextlib.suppress(FileNotFoundError):
        mode = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)):
            raise CopyFailed(os.fsdecode(name), "a device, a pipe or a socket is in its place")


@contextlib.contextmanager
def _explaining(path: bytes) -> Iterator[None]:
    """Say what an errno means here; any other error gets the path of the entry."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            reason = "it leads through a symlink, or through a file where a directory should be"
            raise CopyFailed(os.fsdecode(path), reason) from error
        if error.errno in (errno.EISDIR, errno.ENOTEMPTY):
            raise CopyFailed(os.fsdecode(path), "a file cannot replace a directory") from error
        if error.errno == errno.EBUSY:
            raise CopyFailed(os.fsdecode(path), "something is mounted there") from error
        error.filename = os.fsdecode(path)
        raise


def _unfinished_name() -> bytes:
    return b".firkin-" + secrets.token_hex(8).encode()


def _cleaned(name: bytes) -> bytes:
    try:
        return clean_member_name(name)
    except ValueError as error:
        raise CopyFailed(os.fsdecode(name), str(error)) from error
