"""Sends an image's layer files to the guest, each when the guest connects for it."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import BinaryIO

from firkin.domain.errors import BlobCorrupt, BlobMissing, ImageError
from firkin.domain.image import ImageBundle, Layer

from .bulk_listener import BulkListener

_PIECE_BYTES = 2**20


class LayerFeed:
    """The host's part of EnsureTemplate.

    What is wrong with a file on the host is kept in `failure`, and the stream is ended early: the agent then
    gives up and cleans up by itself. A guest that closes a stream has a reason of its own, which it will tell.

    Attributes:
        failure: what was wrong with the layers on the host, or None.
    """

    def __init__(self, bundle: ImageBundle, on_progress: Callable[[], None]) -> None:
        self.failure: ImageError | None = None
        self._bundle = bundle
        self._on_progress = on_progress

    async def send(self, layer: Layer, listener: BulkListener) -> None:
        """Wait for the guest, for as long as the call lasts, then send it the layer's file."""
        with await listener.accepted("copy pod rootfs layer", timeout_seconds=None) as connection:
            self._on_progress()
            try:
                await self._send_file(layer, connection)
            except FileNotFoundError:
                self._fail(BlobMissing(self._bundle.reference, layer.digest))
            except ImageError as error:
                self._fail(error)
            except (BrokenPipeError, ConnectionError):
                return  # the agent has refused the layer, and says why in its answer
            except OSError as error:
                self._fail(BlobCorrupt(layer.digest, f"bytes that cannot be read ({error.strerror})"))

    async def _send_file(self, layer: Layer, connection: socket.socket) -> None:
        # Not in a thread: a file that a thread opens for a call that was cancelled meanwhile is nobody's to close.
        with _opened_at_once(layer) as file:
            sent = 0
            while sent < layer.size_bytes:
                # sendfile(2): pages go from the file's cache to the socket, whose buffer sets the pace.
                piece = min(_PIECE_BYTES, layer.size_bytes - sent)
                count = await asyncio.get_running_loop().sock_sendfile(connection, file, sent, piece)
                if not count:
                    raise BlobCorrupt(layer.digest, f"{sent} bytes instead of {layer.size_bytes}")
                sent += count
                self._on_progress()
            connection.shutdown(socket.SHUT_WR)

    def _fail(self, error: ImageError) -> None:
        self.failure = self.failure or error


def _opened_at_once(layer: Layer) -> BinaryIO:
    """Open without waiting, also what turns out to be a pipe; that is refused when it is read."""
    return open(layer.path, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK))
