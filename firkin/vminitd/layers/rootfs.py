"""The directories of a rootfs that is being written: found without ever leaving it."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections import OrderedDict
from types import TracebackType
from typing import NamedTuple, Self

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_SYMLINKS_LIMIT = 40
_KEPT_OPEN = 128


class Refused(ValueError):
    """An entry that cannot be applied; the text says why."""


class Directory(NamedTuple):
    """An open directory of the rootfs.

    Attributes:
        descriptor: stays open until further directories were opened; use it at once.
        path: relative to the rootfs, b"" for itself, without symlinks.
    """

    descriptor: int
    path: bytes


def joined(directory: bytes, name: bytes) -> bytes:
    """The path of `name` in `directory`."""
    return directory + b"/" + name if directory else name


class Rootfs:
    """Opens directories of a rootfs by paths that follow symlinks as the rootfs's own root would.

    The kernel is only ever given single components and told not to follow them; symlinks are read and resolved
    here, with `..` and absolute targets staying inside (as RESOLVE_IN_ROOT of openat2(2)). So nothing in the
    rootfs can lead out of it. A layer may therefore write `bin/ls` through a lower layer's `bin -> usr/bin`.
    """

    def __init__(self, root: int) -> None:
        self._root = root
        self._open: OrderedDict[bytes, Directory] = OrderedDict()
        self._mtimes: dict[bytes, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.forget()

    def forget(self) -> None:
        """Close every directory: a path may mean something else now, because one on it was replaced."""
        while self._open:
            _, directory = self._open.popitem()
            os.close(directory.descriptor)

    def find(self, path: bytes) -> Directory | None:
        """The directory at `path`, or None when it does not exist.

        Raises:
            Refused: a component is not a directory, or there are too many symlinks.
        """
        return self._resolved(path, make=False)

    def make(self, path: bytes) -> Directory:
        """The directory at `path`; missing ones are made, 0755 and root's.

        Raises:
            Refused: a component is not a directory, or there are too many symlinks.
        """
        directory = self._resolved(path, make=True)
        if directory is None:
            raise Refused("its parent cannot be made")
        return directory

    def _resolved(self, path: bytes, *, make: bool) -> Directory | None:
        current, waiting = self._deepest_open(path)
        if not waiting:
            return current
        links = 0
        while waiting:
            component = waiting.pop()
            if component in (b"", b"."):
                continue
            if component == b"..":
                current = self._reopened(current.path.rpartition(b"/")[0])
                continue
            step = self._step(current, component, make)
            if step is None:
                return None
            if isinstance(step, Directory):
                current = step
                continue
            links += 1
            if links > _SYMLINKS_LIMIT:
                raise Refused("its path leads through too many symlinks")
            if step.startswith(b"/"):
                current = self._reopened(b"")
            waiting += reversed(step.split(b"/"))
        if path not in self._open:
            self._kept(path, Directory(os.dup(current.descriptor), current.path))
        return self._open[path]

    def _deepest_open(self, path: bytes) -> tuple[Directory, list[bytes]]:
        """The deepest directory on the way that is open, and the components that are left, the next one last."""
        waiting: list[bytes] = []
        prefix = path
        while prefix and prefix not in self._open:
            prefix, _, name = prefix.rpartition(b"/")
            waiting.append(name)
        return self._reopened(prefix), waiting

    def _reopened(self, path: bytes) -> Directory:
        """An open directory by its own path, which has no symlinks (or is open under this name)."""
        if path in self._open:
            self._open.move_to_end(path)
            return self._open[path]
        if not path:
            return self._kept(b"", self._opened_root())
        waiting: list[bytes] = []
        prefix = path
        while prefix and (prefix not in self._open or self._open[prefix].path != prefix):
            prefix, _, name = prefix.rpartition(b"/")
            waiting.append(name)
        current = self._reopened(prefix)
        while waiting:
            name = waiting.pop()
            below = joined(current.path, name)
            current = self._kept(below, Directory(os.open(name, _OPEN, dir_fd=current.descriptor), below))
        return current

    def _opened_root(self) -> Directory:
        return Directory(os.dup(self._root), b"")

    def _kept(self, path: bytes, directory: Directory) -> Directory:
        self._open[path] = directory
        while len(self._open) > _KEPT_OPEN:
            _, oldest = self._open.popitem(last=False)
            os.close(oldest.descriptor)
        return directory

    def _step(self, current: Directory, component: bytes, make: bool) -> Directory | bytes | None:
        """One component further: a directory, the target of a symlink, or None when missing."""
        path = joined(current.path, component)
        if path in self._open and self._open[path].path == path:
            self._open.move_to_end(path)
            return self._open[path]
        try:
            return self._kept(path, Directory(os.open(component, _OPEN, dir_fd=current.descriptor), path))
        except FileNotFoundError:
            if not make:
                return None
        except NotADirectoryError:
            # Also for a symlink, dangling or not, since the kernel was told not to follow.
            return _link_target(current, component)
        self.note_mtime(current)
        os.mkdir(component, 0o755, dir_fd=current.descriptor)
        descriptor = os.open(component, _OPEN, dir_fd=current.descriptor)
        # Exactly 0755 and root's, whatever the umask or a set-group-id parent would make of it.
        os.fchmod(descriptor, 0o755)
        os.fchown(descriptor, 0, 0)
        return self._kept(path, Directory(descriptor, path))

    def note_mtime(self, directory: Directory) -> None:
        """Remember a directory's time before its first change, so that adding an entry does not change it."""
        if directory.path not in self._mtimes:
            self._mtimes[directory.path] = os.fstat(directory.descriptor).st_mtime_ns

    def set_mtime(self, path: bytes, mtime_ns: int) -> None:
        """The time that the directory `path` (without symlinks) shall have in the end."""
        self._mtimes[path] = mtime_ns

    def removed(self, path: bytes) -> None:
        """The directory or symlink `path` is no more, nor anything below it."""
        self.forget()
        if path not in self._mtimes:
            return
        below = path + b"/"
        for gone in [known for known in self._mtimes if known == path or known.startswith(below)]:
            del self._mtimes[gone]

    def restore_mtimes(self) -> None:
        """Give every directory that was written to its time, after everything else is done."""
        # In order, so that a directory's parent is still open.
        for path, mtime_ns in sorted(self._mtimes.items()):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                os.utime(self._reopened(path).descriptor, ns=(mtime_ns, mtime_ns))


def _link_target(current: Directory, component: bytes) -> bytes:
    try:
        return os.readlink(component, dir_fd=current.descriptor)
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise Refused("a component of its path is not a directory") from error
        raise


def kind_of(directory: Directory, name: bytes) -> int | None:
    """The file type (stat.S_IFMT) of an entry, a symlink not followed; None when missing."""
    try:
        return stat.S_IFMT(os.stat(name, dir_fd=directory.descriptor, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return None
