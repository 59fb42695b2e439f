"""The host's end of copies: files of the host over a blocking socket. Everything here runs in threads."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterable

import msgspec

from firkin.domain.copying import CopyCount
from firkin.domain.tar_archive import Limits, TarReader
from firkin.file_trees.ownership import Owner
from firkin.file_trees.pieces import BATCH_BYTES, NextPiece, batched, gzipped
from firkin.file_trees.places import OpenSource, failing, write_to
from firkin.file_trees.reading import TreeReader
from firkin.file_trees.writing import TreeWriter

_PROGRESS_SECONDS = 0.5
_LIMITS = Limits(tar_bytes=2**50)


class Transferred(msgspec.Struct, frozen=True):
    """What one end did; `stream_bytes` travelled."""

    count: CopyCount
    stream_bytes: int
    left_out: tuple[str, ...] = ()


class SocketEnd:
    """A blocking socket that counts, and reports progress now and then.

    Attributes:
        stream_bytes: sent or received so far.
        is_broken: True once the guest closed the stream before its time: it has a reason, and will tell.
    """

    def __init__(self, connection: socket.socket, on_progress: Callable[[], None]) -> None:
        self.stream_bytes = 0
        self.is_broken = False
        self._connection = connection
        self._on_progress = on_progress
        self._reported = 0.0

    def send(self, pieces: Iterable[bytes]) -> None:
        """Send everything and shut the sending side down."""
        for piece in pieces:
            try:
                self._connection.sendall(piece)
            except OSError:
                self.is_broken = True
                return
            self._moved(len(piece))
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)

    def receive(self) -> bytes:
        """The next bytes; none at the end."""
        try:
            piece = self._connection.recv(BATCH_BYTES)
        except OSError:
            piece = b""
        self.is_broken = not piece
        self._moved(len(piece))
        return piece

    def give_up(self) -> None:
        """End what is pending: the call that this belongs to has failed."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def _moved(self, size: int) -> None:
        self.stream_bytes += size
        now = time.monotonic()
        if now - self._reported > _PROGRESS_SECONDS:
            self._reported = now
            self._on_progress()


def send_tree(opened: OpenSource, name: str, owner: Owner | None, end: SocketEnd, *, is_gzip: bool) -> Transferred:
    """Send the archive of a source, as `owner`'s; a file is called `name` in it.

    Raises:
        CopyFailed: a file became shorter, cannot be read, or a directory is too deep.
    """
    reader = TreeReader(owner)
    with failing(opened.source.path):
        pieces = batched(reader.archive(opened.descriptor, name))
        end.send(gzipped(pieces) if is_gzip else pieces)
    return Transferred(reader.count, end.stream_bytes, tuple(reader.left_out))


def receive_tree(
    path: str, is_directory: bool, owner: Owner | None, next_piece: NextPiece, end: SocketEnd
) -> Transferred:
    """Write the archive of a directory, or of one file, to `path`, as `owner`'s.

    `next_piece` gives the archive, which is, or is made of, what comes to `end`.

    Raises:
        CopyFailed: it cannot be written there, or the archive is broken.
    """
    writer = TreeWriter(owner)
    write_to(path, is_directory, writer, TarReader(next_piece, _LIMITS))
    return Transferred(writer.count, end.stream_bytes, tuple(writer.left_out))
