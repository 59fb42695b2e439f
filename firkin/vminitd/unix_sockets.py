"""Unix sockets by their paths: listening where nothing else is replaced, connecting without following a symlink."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import secrets
import socket
import stat
from collections.abc import Callable

from firkin.domain.errors import AgentError, PathRefused

from .filesystem.beneath import Resolution, open_beneath, opened_directory, refusing
from .filesystem.files import made_directories

CONNECT_SECONDS = 10.0
_RETRY_SECONDS = 0.005
_BACKLOG = 128
_KERNEL_DIRECTORIES = ("/proc", "/sys", "/dev")

Remove = Callable[[], None]
"""Takes the name of a listening socket away again."""


def checked_socket_path(path: str) -> tuple[str, str]:
    if not path.startswith("/") or "\0" in path or os.path.normpath(path) != path or path == "/":
        raise PathRefused(path, "the path of a socket must be absolute and normalised")
    if any(path == root or path.startswith(f"{root}/") for root in _KERNEL_DIRECTORIES):
        raise PathRefused(path, "the kernel's own directories hold no sockets", errno=errno.EPERM)
    return os.path.split(path)


def listening_socket(path: str, permissions: int) -> tuple[socket.socket, Remove]:
    """A socket that listens at `path`, and how to take its name away again."""
    parent, name = checked_socket_path(path)
    with opened_directory("/") as root, contextlib.ExitStack() as undo:
        directory = made_directories(root, [part for part in parent.split("/") if part])
        undo.callback(os.close, directory)
        _refuse_other_files(directory, name, path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        undo.callback(listener.close)
        unfinished = f".firkin-{secrets.token_hex(8)}"
        # By the directory's descriptor: a unix socket's path has at most 107 bytes.
        listener.bind(f"/proc/self/fd/{directory}/{unfinished}")
        undo.callback(_unlink_quietly, unfinished, directory)
        os.chmod(unfinished, permissions & 0o777, dir_fd=directory)
        listener.listen(_BACKLOG)
        os.rename(unfinished, name, src_dir_fd=directory, dst_dir_fd=directory)
        identity = _identity(os.stat(name, dir_fd=directory, follow_symlinks=False))
        undo.pop_all()

    def remove() -> None:
        try:
            with contextlib.suppress(OSError):
                if _identity(os.stat(name, dir_fd=directory, follow_symlinks=False)) == identity:
                    os.unlink(name, dir_fd=directory)
        finally:
            os.close(directory)

    return listener, remove


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _refuse_other_files(directory: int, name: str, path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
            raise AgentError("listen for proxy", "something that is no socket is there", path=path, errno=errno.EEXIST)


def _unlink_quietly(name: str, directory: int) -> None:
    with contextlib.suppress(OSError):
        os.unlink(name, dir_fd=directory)


async def connected_to_socket(path: str) -> socket.socket:
    with opened_directory("/") as root:
        with refusing(path):
            found = open_beneath(root, path.lstrip("/"), os.O_PATH | os.O_NOFOLLOW, Resolution.NO_SYMLINKS)
        try:
            if not stat.S_ISSOCK(os.fstat(found).st_mode):
                raise PathRefused(path, "it is no socket", errno=errno.ENOTSOCK)
            return await connected_socket(f"/proc/self/fd/{found}")
        finally:
            os.close(found)


async def connected_socket(path: str) -> socket.socket:
    """Connect to a unix socket; the result is non-blocking.

    Raises:
        OSError: nobody listens there, or nobody accepts in time (TimeoutError).
    """
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        peer.setblocking(False)
        async with asyncio.timeout(CONNECT_SECONDS):
            await _connected(peer, path)
    except BaseException:
        peer.close()
        raise
    return peer


async def _connected(peer: socket.socket, path: str) -> None:
    # A unix socket never connects "in progress": EAGAIN means that the listener's queue is full just now.
    while True:
        status = peer.connect_ex(path)
        if status == 0:
            return
        if status != errno.EAGAIN:
            raise OSError(status, os.strerror(status), path)
        await asyncio.sleep(_RETRY_SECONDS)
