"""A layer's blob on its way to the tar inside it: hashed, decompressed, hashed again, in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from firkin._fast import _sha256_py, sha256
from firkin.domain.digest import Digest
from firkin.domain.errors.base import failing_in
from firkin.domain.image import Compression, sniffed_compression
from firkin.domain.layer_limits import LayerLimits
from firkin.vminitd.filesystem.failures import translating

from .decoders import PIECE_BYTES, decoded
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


class _Sha256Pair(Protocol):
    """The hashes of the blob and of the tar."""

    def update(self, first: bytes, second: bytes, /) -> None: ...
    def hexdigests(self) -> tuple[str, str]: ...


class _Hashing:
    """Hashes the pieces of the blob and of the tar; together, where the processor gains by it."""

    def __init__(self) -> None:
        self._pair: _Sha256Pair = sha256.Sha256Pair() if sha256.is_supported() else _sha256_py.Sha256Pair()
        # Of the blob; it waits for what comes of it.
        self._piece = b""

    def take(self, work: tuple[bool, bytes]) -> None:
        """Whether it is of the tar, and the piece."""
        is_tar, piece = work
        if is_tar:
            self._pair.update(self._piece, piece)
            self._piece = b""
        else:
            self._pair.update(self._piece, b"")
            self._piece = piece

    def digests(self) -> tuple[Digest, Digest]:
        """Of the blob and of the tar."""
        self.take((False, b""))
        blob, tar = self._pair.hexdigests()
        return Digest(f"sha256:{blob}"), Digest(f"sha256:{tar}")


class LayerBlob:
    """Gives the tar of a blob piece by piece, while a stage of `workers` hashes both.

    The source is only ever read by the caller's thread.

    Attributes:
        compression: found in the first bytes, which are read at once.
        is_short: these first bytes are all of it.
        blob_bytes: read from the source so far.
        tar_bytes: decompressed so far.
    """

    def __init__(
        self,
        source: ByteSource,
        on_read: Callable[[int], None],
        limits: LayerLimits,
        workers: Workers,
        meter: LayerMeter,
    ) -> None:
        self._source = source
        self._on_read = on_read
        self._limits = limits
        self._hashes = _Hashing()
        # A small layer is a piece of the blob and one of the tar.
        self._hashing = meter.hash_stage = workers.stage(self._hashes.take, held=2)
        self._meter = meter
        self._ended = False
        self.blob_bytes = 0
        self.tar_bytes = 0
        self._head = self._read()
        self.is_short = self._ended
        self.compression = sniffed_compression(self._head)

    def pieces(self, on_large_window: Callable[[], None]) -> Iterator[bytes]:
        """The tar; `on_large_window` is called before more memory is taken for it than most layers need.

        Raises:
            BlobDamaged: the blob cannot be decompressed.
            LayerTooLarge: the tar exceeds a limit.
        """
        window_bytes = self._limits.window_bytes
        for piece in _joined(decoded(self._next_data, self.compression, window_bytes, on_large_window)):
            self.tar_bytes += len(piece)
            self._check_size()
            if self.compression is not Compression.NONE:
                self._hashing.put((True, piece))
            yield piece

    def _check_size(self) -> None:
        limits = self._limits
        if self.tar_bytes > limits.tar_bytes:
            raise LayerTooLarge(f"the layer is larger than {limits.tar_bytes:d} bytes")
        if self.tar_bytes > max(limits.expansion_free_bytes, limits.expansion * self.blob_bytes):
            raise LayerTooLarge(f"the layer expands to more than {limits.expansion} times its blob")

    def _next_data(self) -> bytes:
        data = self._head or self._read()
        self._head = b""
        if data:
            self._hashing.put((False, data))
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
        with self._meter.reading:
            try:
                return self._source.read(_READ_BYTES)
            except BaseException:
                with failing_in("pull"), translating("read layer", ""):
                    raise

    def hash_rest(self) -> None:
        """Read the blob to its end without looking at it, so that its digest is known."""
        while self._next_data():
            pass

    def digests(self) -> tuple[Digest, Digest]:
        """Of the blob and of the tar; known at their ends."""
        self._hashing.drain()
        blob, tar = self._hashes.digests()
        return blob, blob if self.compression is Compression.NONE else tar


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
