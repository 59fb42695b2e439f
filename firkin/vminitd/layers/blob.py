"""A layer's blob on its way to the tar inside it: hashed, decompressed, hashed again, in one pass."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Protocol

from firkin.domain.digest import Digest
from firkin.domain.errors.base import failing_in
from firkin.domain.image import Compression, sniffed_compression
from firkin.vminitd.filesystem.failures import translating

from .decoders import PIECE_BYTES, decoded
from .limits import Limits
from .meter import LayerMeter
from .stages import Workers

_READ_BYTES = 512 * 1024
_READ_ENOUGH_BYTES = 64 * 1024


class ByteSource(Protocol):
    """Anything that bytes are read from: a file, or a socket's file."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""
        ...


class LayerTooLarge(ValueError):
    """A blob that stands for more than it may; the text says how."""


class _Hash:
    """What `hashlib` has, with a type."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self.update = self._sha256.update

    @property
    def digest(self) -> Digest:
        return Digest("sha256:" + self._sha256.hexdigest())


class LayerBlob:
    """Gives the tar of a blob piece by piece, while a stage of `workers` hashes both.

    The source is only ever read by the caller's thread.

    Attributes:
        compression: found in the first bytes, which are read at once.
        blob_bytes: read from the source so far.
        tar_bytes: decompressed so far.
    """

    def __init__(
        self, source: ByteSource, on_read: Callable[[int], None], limits: Limits, workers: Workers, meter: LayerMeter
    ) -> None:
        self._source = source
        self._on_read = on_read
        self._limits = limits
        self._blob_hash = _Hash()
        self._tar_hash = _Hash()
        # A small layer is a piece of the blob and one of the tar.
        self._hashing = meter.hash_stage = workers.stage(_update, held=2)
        self._meter = meter
        self._ended = False
        self.blob_bytes = 0
        self.tar_bytes = 0
        self._head = self._read()
        self.compression = sniffed_compression(self._head)

    def pieces(self) -> Iterator[bytes]:
        """The tar.

        Raises:
            BlobDamaged: the blob cannot be decompressed.
            LayerTooLarge: the tar exceeds a limit.
        """
        for piece in _joined(decoded(self._next_data, self.compression, self._limits.window_bytes)):
            self.tar_bytes += len(piece)
            self._check_size()
            if self.compression is not Compression.NONE:
                self._hashing.put((self._tar_hash, piece))
            yield piece

    def _check_size(self) -> None:
        limits = self._limits
        if self.tar_bytes > limits.tar_bytes:
            raise LayerTooLarge(f"the layer is larger than {limits.tar_bytes} bytes")
        if self.tar_bytes > max(limits.expansion_free_bytes, limits.expansion * self.blob_bytes):
            raise LayerTooLarge(f"the layer expands to more than {limits.expansion} times its blob")

    def _next_data(self) -> bytes:
        data = self._head or self._read()
        self._head = b""
        self._hashing.put((self._blob_hash, data))
        return data

    def _read(self) -> bytes:
        """The next bytes, not too few at once; none at the end."""
        data = self._read_some()
        while not self._ended and len(data) < _READ_ENOUGH_BYTES:
            data += self._read_some()
        return data

    def _read_some(self) -> bytes:
        if self._ended:
            return b""
        data = self._read_source()
        if not data:
            self._ended = True
        else:
            self.blob_bytes += len(data)
            self._on_read(len(data))
        return data

    def _read_source(self) -> bytes:
        with self._meter.reading(), failing_in("pull"), translating("read layer", ""):
            return self._source.read(_READ_BYTES)

    def hash_rest(self) -> None:
        """Read the blob to its end without looking at it, so that its digest is known."""
        while self._next_data():
            pass

    def digests(self) -> tuple[Digest, Digest]:
        """Of the blob and of the tar; known at their ends."""
        self._hashing.drain()
        tar_hash = self._blob_hash if self.compression is Compression.NONE else self._tar_hash
        return self._blob_hash.digest, tar_hash.digest


def _update(work: tuple[_Hash, bytes]) -> None:
    sha256, data = work
    sha256.update(data)


def _joined(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces that are worth handing on."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= PIECE_BYTES // 4:
            yield piece if len(waiting) == 1 else b"".join(waiting)
            waiting.clear()
            size = 0
    if size:
        yield b"".join(waiting)
