"""One layer's file on its way to the guest; all of it is done by a thread, as its disk may hang."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Callable
from typing import BinaryIO

from firkin.domain.errors import BlobCorrupt, BlobMissing, ImageError
from firkin.domain.image import Layer

_PIECE_BYTES = 2**20


class LayerSending:
    """Sends the file, or hands it over whole.

    Attributes:
        is_handed_over: True once somebody else reads the file; whoever gives the stream up then learns how it is.
    """

    def __init__(self, layer: Layer, reference: str, on_progress: Callable[[], None], *, hands_over: bool) -> None:
        """`on_progress` is called by the thread."""
        self._layer = layer
        self._reference = reference
        self._on_progress = on_progress
        self._hands_over = hands_over
        self.is_handed_over = False

    def problem(self, connection: socket.socket) -> ImageError | None:
        """Send all of it over a blocking connection; returns what is wrong with the file.

        A guest that closes the stream has a reason of its own, which it will tell.
        """
        try:
            with _opened_at_once(self._layer) as file:
                return self._sent(file, connection)
        except FileNotFoundError:
            return BlobMissing(self._reference, self._layer.digest)
        except ImageError as error:
            return error
        except (BrokenPipeError, ConnectionError):
            return None  # the agent has refused the layer, and says why in its answer
        except OSError as error:
            return self.unreadable(error)

    def unreadable(self, error: OSError) -> ImageError:
        """The file as one that the system refuses to give."""
        return _unreadable(self._layer, error)

    def _sent(self, file: BinaryIO, connection: socket.socket) -> ImageError | None:
        if self._hands_over and _is_whole(self._layer, file):
            return self._handed_over(file, connection)
        size, sent = self._layer.size_bytes, 0
        while sent < size:
            count = _sent_piece(file, connection, sent, min(_PIECE_BYTES, size - sent))
            if not count:
                raise _sized_wrong(self._layer, sent)
            sent += count
            self._on_progress()
        connection.shutdown(socket.SHUT_WR)
        return None

    def _handed_over(self, file: BinaryIO, connection: socket.socket) -> ImageError | None:
        """Let whoever carries the stream read the file; the agent tells the progress."""
        self.is_handed_over = True
        socket.send_fds(connection, [b"\0"], [file.fileno()])
        connection.shutdown(socket.SHUT_WR)
        # The agent reads to the end, and closes.
        with contextlib.suppress(ConnectionError):
            connection.recv(1)
        return _changed(self._layer, file)


def _opened_at_once(layer: Layer) -> BinaryIO:
    """Open without waiting, also what turns out to be a pipe; that is refused when it is read."""
    return open(layer.path, "rb", buffering=0, opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK))


def _sent_piece(file: BinaryIO, connection: socket.socket, offset: int, size: int) -> int:
    try:
        # sendfile(2): pages go from the file's cache to the socket, whose buffer sets the pace.
        return os.sendfile(connection.fileno(), file.fileno(), offset, size)
    except ConnectionError:
        raise
    except OSError:
        # Of a filesystem that cannot do that; what else is wrong is found once more.
        piece = os.pread(file.fileno(), size, offset)
        connection.sendall(piece)
        return len(piece)


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
