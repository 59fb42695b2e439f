"""Sends an image's layer files to the guest, each when the guest connects for it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import Callable
from typing import BinaryIO

from firkin.domain.errors import BlobCorrupt, BlobMissing, ImageError
from firkin.domain.image import ImageBundle, Layer

from .bulk_listener import BulkListener

_PIECE_BYTES = 2**20


class LayerFeed:
    """The host's part of EnsureTemplate.

    What is wrong with a file on the host is told by `found_failure`, and the stream is ended early: the agent then
    gives up and cleans up by itself. A guest that closes a stream has a reason of its own, which it will tell.
    """

    def __init__(self, bundle: ImageBundle, on_progress: Callable[[], None], *, hands_over: bool = False) -> None:
        """`hands_over` is whether the streams take whole files (see `firkin.ports.sandbox.TakesFiles`)."""
        self._failure: ImageError | None = None
        self._handed_over: list[tuple[Layer, BinaryIO]] = []
        self._bundle = bundle
        self._on_progress = on_progress
        self._hands_over = hands_over

    async def send(self, layer: Layer, listener: BulkListener) -> None:
        """Wait for the guest, for as long as the call lasts, then send it the layer's file."""
        with await listener.accepted("copy pod rootfs layer", timeout_seconds=None) as connection:
            self._on_progress()
            try:
                # Not in a thread: a file that a thread opens for a call that was cancelled meanwhile is nobody's.
                with _opened_at_once(layer) as file:
                    await self._send_file(layer, file, connection)
            except FileNotFoundError:
                self._fail(BlobMissing(self._bundle.reference, layer.digest))
            except ImageError as error:
                self._fail(error)
            except (BrokenPipeError, ConnectionError):
                return  # the agent has refused the layer, and says why in its answer
            except OSError as error:
                self._fail(_unreadable(layer, error))

    def found_failure(self) -> ImageError | None:
        """What was wrong with the layers on the host, or None.

        The guest may notice first that a file has changed which is on its way: so they are looked at once more.
        """
        for layer, file in self._handed_over:
            if self._failure is None:
                self._failure = _changed(layer, file)
        return self._failure

    async def _send_file(self, layer: Layer, file: BinaryIO, connection: socket.socket) -> None:
        if self._hands_over and _is_whole(layer, file):
            await self._hand_over(layer, file, connection)
            return
        sent = 0
        while sent < layer.size_bytes:
            # sendfile(2): pages go from the file's cache to the socket, whose buffer sets the pace.
            piece = min(_PIECE_BYTES, layer.size_bytes - sent)
            count = await asyncio.get_running_loop().sock_sendfile(connection, file, sent, piece)
            if not count:
                raise _sized_wrong(layer, sent)
            sent += count
            self._on_progress()
        connection.shutdown(socket.SHUT_WR)

    async def _hand_over(self, layer: Layer, file: BinaryIO, connection: socket.socket) -> None:
        """Let whoever carries the stream read the file; the agent tells the progress."""
        # The stream is new, so it has room for a byte.
        socket.send_fds(connection, [b"\0"], [file.fileno()])
        connection.shutdown(socket.SHUT_WR)
        self._handed_over.append((layer, file))
        try:
            # The agent reads to the end, and closes.
            with contextlib.suppress(ConnectionError):
                await asyncio.get_running_loop().sock_recv(connection, 1)
            self.found_failure()
        finally:
            self._handed_over.remove((layer, file))

    def _fail(self, error: ImageError) -> None:
        self._failure = self._failure or error


def _opened_at_once(layer: Layer) -> BinaryIO:
    """Open without waiting, also what turns out to be a pipe; that is refused when it is read."""
    return open(layer.path, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK))


def _is_whole(layer: Layer, file: BinaryIO) -> bool:
    # What is not is sent, as far as it goes: whoever reads a file that was handed over stops at its end only.
    status = os.fstat(file.fileno())
    return stat.S_ISREG(status.st_mode) and status.st_size == layer.size_bytes


def _changed(layer: Layer, file: BinaryIO) -> ImageError | None:
    """What is wrong with a file that was whole when it was handed over."""
    size = os.fstat(file.fileno()).st_size
    if size != layer.size_bytes:
        return _sized_wrong(layer, size)
    try:
        # Where the other reader is, the position being shared: had it failed, so would this.
        os.pread(file.fileno(), 1, os.lseek(file.fileno(), 0, os.SEEK_CUR))
    except OSError as error:
        return _unreadable(layer, error)
    return None


def _sized_wrong(layer: Layer, size: int) -> BlobCorrupt:
    return BlobCorrupt(layer.digest, f"{size} bytes instead of {layer.size_bytes}")


def _unreadable(layer: Layer, error: OSError) -> BlobCorrupt:
    return BlobCorrupt(layer.digest, f"bytes that cannot be read ({error.strerror})")
