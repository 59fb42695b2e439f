"""Files and directories of the sandbox, written and read without being led astray by a container's symlinks."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from firkin.domain.errors import AgentError, InvalidRelativePath, PathRefused
from firkin.domain.guest_path import checked_relative_path

from .beneath import DIRECTORY, Resolution, open_beneath, opened_directory, refusing
from .failures import translating
from .needed import refuse_removing
from .removal import remove_tree

_COPY_BYTES = 1 << 20
_SYMLINKS_LIMIT = 40


class ByteSource(Protocol):
    """Anything that bytes are read from: a file, or a socket's file."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""
        ...


def write_file(directory: str, relative_path: str, chunks: Iterable[bytes], mode: int) -> None:
    """Write a file below `directory` in one step: a reader sees the old bytes or the new, never a part.

    Missing parents are made (0755). `directory` itself is found by name; below it no symlink is followed.

    Raises:
        PathRefused: the path is not normalised, leads through a symlink, or names a directory.
        StoreFull: no space left; the old file, if any, is as it was.
        AgentError: the directory is missing, or the file cannot be written.
    """
    path = f"{directory}/{relative_path}"
    try:
        *parents, name = checked_relative_path(relative_path).split("/")
    except InvalidRelativePath as error:
        raise PathRefused(path, error.reason) from error
    with translating("write", path), refusing(path), opened_directory(directory) as root:
        parent = made_directories(root, parents)
        try:
            _refuse_unwritable(parent, name, path)
            with _replacing(parent, name, mode) as file:
                for chunk in chunks:
                    _write_all(file, chunk)
        finally:
            os.close(parent)


def made_directories(root: int, names: list[str], mode: int = 0o755) -> int:
    """Open the directory that `names` lead to, each made when absent; one component at a time, so no link counts.

    Raises:
        OSError: ELOOP or ENOTDIR for a symlink; others as mkdir(2) and open(2).
    """
    current = os.dup(root)
    for name in names:
        above = current
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, mode, dir_fd=above)
            current = os.open(name, DIRECTORY | os.O_PATH, dir_fd=above)
        finally:
            os.close(above)
    return current


def _refuse_unwritable(parent: int, name: str, path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        kind = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
        if stat.S_ISLNK(kind):
            raise PathRefused(path, "it is a symlink", errno=errno.ELOOP)
        if not stat.S_ISREG(kind):
            raise PathRefused(path, "it is not a regular file")


@contextlib.contextmanager
def _replacing(parent: int, name: str, mode: int) -> Iterator[int]:
    """A new file, open for writing, that becomes `name` when the block ends well, and is removed when not."""
    unfinished = f".firkin-{secrets.token_hex(8)}"
    file = os.open(
        unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=parent
    )
    try:
        try:
            yield file
            os.fchmod(file, mode & 0o7777)
        finally:
            os.close(file)
        os.rename(unfinished, name, src_dir_fd=parent, dst_dir_fd=parent)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(unfinished, dir_fd=parent)
        raise


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def remove_path(path: str, recursive: bool, allow_missing: bool) -> None:
    """Remove a file, or a directory: an empty one, or with `recursive` everything below it.

    No symlink below is followed and no mount point is entered.

    Raises:
        PathRefused: the path is not absolute, not normalised, or the agent needs what is there.
        AgentError: it is missing (unless allowed), not empty, or a mount point is on the way.
    """
    refuse_removing(path)
    parent, name = os.path.split(path)
    with translating("remove", path):
        try:
            with opened_directory(parent) as directory:
                _remove_entry(directory, name, recursive)
        except FileNotFoundError:
            if not allow_missing:
                raise


def _remove_entry(directory: int, name: str, recursive: bool) -> None:
    is_directory = stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
    if not is_directory:
        os.unlink(name, dir_fd=directory)
    elif recursive:
        remove_tree(directory, name)
    else:
        os.rmdir(name, dir_fd=directory)


def make_directory(path: str, parents: bool, mode: int) -> None:
    """Make a directory with exactly `mode`; with `parents` those above too, and one that exists is fine.

    Raises:
        StoreFull: no space left.
        AgentError: it exists (without `parents`), or cannot be made.
    """
    with translating("make directory", path):
        if parents:
            if os.path.isdir(path):
                return
            os.makedirs(os.path.dirname(os.path.normpath(path)), 0o755, exist_ok=True)
        os.mkdir(path, mode & 0o7777)
        os.chmod(path, mode & 0o7777)


def read_beneath(root: str, path: str, limit: int) -> bytes | None:
    """The bytes of the regular file `path` of the rootfs `root`, symlinks resolved inside it; None when missing.

    Raises:
        PathRefused: it is no regular file, so reading it might block or do something.
        AgentError: it is larger than `limit` bytes, or cannot be read.
    """
    where = f"{root.rstrip('/')}/{path.lstrip('/')}"
    with translating("read", where), opened_directory(root) as directory:
        try:
            found = open_beneath(directory, path.lstrip("/"), os.O_PATH, Resolution.IN_ROOT)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            if not stat.S_ISREG(os.fstat(found).st_mode):
                raise PathRefused(where, "it is not a regular file")
            # Opened anew through /proc: the very file that was looked at, whatever the name means by now.
            with open(f"/proc/self/fd/{found}", "rb") as file:
                data = file.read(limit + 1)
        finally:
            os.close(found)
    if len(data) > limit:
        raise AgentError("read", f"it is larger than {limit} bytes", path=where, errno=errno.EFBIG)
    return data


def replace_in_root(root: str, path: str, data: bytes, mode: int) -> None:
    """Write the file `path` of the rootfs `root` in one step, whatever file or symlink is there; its parent is made.

    Raises:
        PathRefused: the parent leads out of the rootfs, or the path is a directory.
        StoreFull: no space left; the old file, if any, is as it was.
        AgentError: it cannot be written.
    """
    where = f"{root.rstrip('/')}/{path.lstrip('/')}"
    above, name = os.path.split(path.lstrip("/"))
    with translating("write", where), refusing(where), opened_directory(root) as directory:
        parent = opened_parent(directory, above, create=True)
        try:
            with _replacing(parent, name, mode) as file:
                _write_all(file, data)
        finally:
            os.close(parent)


def copy_in(
    root: str,
    path: str,
    stream: ByteSource,
    mode: int,
    create_parents: bool,
    on_bytes: Callable[[int], None] | None = None,
    view: int | None = None,
) -> int:
    """Write `stream` to the file `path` of the rootfs `root` in one step; returns the number of bytes.

    `view` is the rootfs, open, where it is not what lies at `root`: a container's own view of it.

    Symlinks are resolved inside `root`, the last one too: what it points to is replaced, not the link.

    Raises:
        PathRefused: the path is a directory or a special file.
        StoreFull: no space left; an older file is as it was.
        AgentError: a parent is missing, or the file cannot be written.
    """
    where = f"{root.rstrip('/')}/{path.lstrip('/')}"
    total = 0
    with translating("copy", where), refusing(where), _opened_root(root, view) as directory:
        parent, name = _resolved_in_root(directory, path, create_parents, where)
        try:
            _refuse_unwritable(parent, name, where)
            with _replacing(parent, name, mode) as file:
                while data := stream.read(_COPY_BYTES):
                    _write_all(file, data)
                    total += len(data)
                    if on_bytes is not None:
                        on_bytes(len(data))
        finally:
            os.close(parent)
    return total


@contextlib.contextmanager
def _opened_root(root: str, view: int | None) -> Iterator[int]:
    if view is not None:
        yield view
        return
    with opened_directory(root) as directory:
        yield directory


def _resolved_in_root(root: int, path: str, create_parents: bool, where: str) -> tuple[int, str]:
    """The open parent directory and the last component of `path`, once its last component is no symlink."""
    for _ in range(_SYMLINKS_LIMIT):
        parent_path, name = os.path.split(path.lstrip("/"))
        if name in ("", ".", ".."):
            raise PathRefused(where, "it names a directory", errno=errno.EISDIR)
        parent = opened_parent(root, parent_path, create_parents)
        try:
            target = os.readlink(name, dir_fd=parent)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT):
                return parent, name
            os.close(parent)
            raise
        os.close(parent)
        path = target if target.startswith("/") else f"{parent_path}/{target}"
    raise PathRefused(where, "it leads through too many symlinks", errno=errno.ELOOP)


def opened_parent(root: int, parent: str, create: bool) -> int:
    """The directory `parent`, found inside the open `root`; with `create`, made with those above it (0755).

    Raises:
        OSError: it is missing, or no directory.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY
    try:
        return open_beneath(root, parent or ".", flags, Resolution.IN_ROOT)
    except FileNotFoundError:
        if not create or not parent:
            raise
    above, name = os.path.split(parent.rstrip("/"))
    upper = opened_parent(root, above, create)
    try:
        if name not in ("", ".", ".."):
            os.mkdir(name, 0o755, dir_fd=upper)
    finally:
        os.close(upper)
    return open_beneath(root, parent, flags, Resolution.IN_ROOT)
