"""Checks a layer while it is sent to an agent that does not check it itself."""

from __future__ import annotations

import contextlib
import hashlib
import io
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO

import zstandard

from firkin.domain.errors import (
    BlobCorrupt,
    BlobMissing,
    DiffIdMismatch,
    ImageError,
    LayerRefused,
    MediaTypeUnsupported,
)
from firkin.domain.image import Compression, Layer, layer_compression, sniffed_compression

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_PIECE_BYTES = 2**20
_GZIP_WINDOW_BITS = 31
_HEAD_BYTES = 4


def sent_and_checked(
    layer: Layer,
    reference: str,
    connection: socket.socket,
    on_progress: Callable[[], None],
    seconds: dict[str, float],
) -> ImageError | None:
    """Send the layer's file over a blocking socket; returns what is wrong with it.

    What checking it takes is put into `seconds` at the end: `inflate` and `hash`.

    Runs in a thread. The guest may break the connection off; then it has a reason of its own, and nothing is
    returned but what was certain before.
    """
    try:
        with layer.path.open("rb") as file:
            watch = _Watch()
            sent = _SentFile(file, connection, on_progress, watch)
            try:
                problem = _content_problem(layer, sent, watch)
                for _ in sent.pieces():
                    pass  # the decompressor did not want it, but the digest and the guest do
            finally:
                seconds.update(watch.checking_seconds())
        return _blob_problem(layer, sent) or problem
    except FileNotFoundError:
        return BlobMissing(reference, layer.digest)
    except (BrokenPipeError, ConnectionError):
        return None
    except OSError as error:
        return BlobCorrupt(layer.digest, f"bytes that cannot be read ({error.strerror})")


class _Watch:
    """Where the time of one thread goes: hashing, sending (reading what is sent as well), and inflating, the rest."""

    def __init__(self) -> None:
        self._begun = time.perf_counter()
        self._hashing = 0.0
        self._sending = 0.0

    def checking_seconds(self) -> dict[str, float]:
        """By stage, so far."""
        whole = time.perf_counter() - self._begun
        return {"inflate": max(whole - self._sending - self._hashing, 0.0), "hash": self._hashing}

    @contextlib.contextmanager
    def hashing(self) -> Iterator[None]:
        """Measure a body."""
        begun = time.perf_counter()
        yield
        self._hashing += time.perf_counter() - begun

    @contextlib.contextmanager
    def sending(self) -> Iterator[None]:
        """Measure a body, also one that fails."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self._sending += time.perf_counter() - begun


class _SentFile(io.RawIOBase):
    """A layer's file as its decompressor reads it: every piece that is read is hashed and sent as well."""

    def __init__(
        self, file: BinaryIO, connection: socket.socket, on_progress: Callable[[], None], watch: _Watch
    ) -> None:
        super().__init__()
        self.hash = hashlib.sha256()
        self.size_bytes = 0
        self._file = file
        self._connection = connection
        self._on_progress = on_progress
        self._watch = watch

    def head(self) -> bytes:
        """The first bytes, which stay to be read."""
        head = self._file.read(_HEAD_BYTES)
        self._file.seek(0)
        return head

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read the next piece; 0 at the end."""
        room = memoryview(buffer)
        with self._watch.sending():
            piece = self._file.read(len(room))
        if piece:
            room[: len(piece)] = piece
            with self._watch.hashing():
                self.hash.update(piece)
            self.size_bytes += len(piece)
            with self._watch.sending():
                self._connection.sendall(piece)
            self._on_progress()
        return len(piece)

    def pieces(self) -> Iterator[bytes]:
        """What is left, in pieces of bounded size."""
        while piece := self.read(_PIECE_BYTES):
            yield piece


def _blob_problem(layer: Layer, sent: _SentFile) -> ImageError | None:
    digest = f"sha256:{sent.hash.hexdigest()}"
    if digest != layer.digest:
        return BlobCorrupt(layer.digest, digest).in_stage("hash")
    if sent.size_bytes != layer.size_bytes:
        return BlobCorrupt(layer.digest, f"{sent.size_bytes} bytes instead of {layer.size_bytes}")
    return None


def _content_problem(layer: Layer, sent: _SentFile, watch: _Watch) -> ImageError | None:
    stated, found = layer_compression(layer.media_type), sniffed_compression(sent.head())
    if stated is not found:
        reason = f"the layer's bytes are of kind {found}"
        return MediaTypeUnsupported(layer.media_type, reason).in_stage("inflate")
    diff_hash = hashlib.sha256()
    try:
        for piece in _plain(sent, stated):
            with watch.hashing():
                diff_hash.update(piece)
    except (zlib.error, zstandard.ZstdError, EOFError) as error:
        return LayerRefused(layer.digest, "", f"its compressed bytes are damaged ({error})").in_stage("inflate")
    diff_id = f"sha256:{diff_hash.hexdigest()}"
    if diff_id == layer.diff_id:
        return None
    return DiffIdMismatch(layer.digest, layer.diff_id, diff_id).in_stage("hash")


def _plain(sent: _SentFile, compression: Compression) -> Iterator[bytes]:
    """The layer's tar, in pieces of bounded size."""
    if compression is Compression.GZIP:
        yield from _inflated(sent)
    elif compression is Compression.ZSTD:
        source = io.BufferedReader(sent, _PIECE_BYTES)
        decompressor = zstandard.ZstdDecompressor()
        try:
            reader = decompressor.stream_reader(source, _PIECE_BYTES, read_across_frames=True, closefd=False)
            while piece := reader.read(_PIECE_BYTES):
                yield piece
        finally:
            source.detach()
    else:
        yield from sent.pieces()


def _inflated(sent: _SentFile) -> Iterator[bytes]:
    """RFC 1952: members one after the other; zeros behind the last one are padding."""
    inflater = zlib.decompressobj(_GZIP_WINDOW_BITS)
    for piece in sent.pieces():
        left = piece
        while left:
            if inflater.eof:
                left = left.lstrip(b"\0")
                if not left:
                    break
                inflater = zlib.decompressobj(_GZIP_WINDOW_BITS)
            yield inflater.decompress(left, _PIECE_BYTES)
            left = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
    yield inflater.flush()
    if not inflater.eof:
        raise EOFError("they end early")
