"""A layer's blob on its way to the tar inside it: hashed, decompressed, hashed again, in one pass."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Protocol, Self

import zstandard

from firkin.domain.digest import Digest
from firkin.domain.image import Compression, sniffed_compression
from firkin.vminitd.filesystem.failures import translated

BLOB_READ_BYTES = 256 * 1024
_OUTPUT_BYTES = 1024 * 1024
_GZIP_WINDOW = 31
# A zstd block of 4 bytes can stand for 128 KiB, so input is given in slices that bound the output.
_ZSTD_SLICE_BYTES = 4096


class ByteSource(Protocol):
    """Anything that bytes are read from: a file, or a socket's file."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""
        ...


class BlobDamaged(ValueError):
    """Bytes that cannot be decompressed; the text says why."""


class Decoder(Protocol):
    """Decompresses bytes that come in any portions."""

    def decode(self, data: bytes) -> bytes:
        """Take input, and give some output; `pending` tells whether more output waits.

        Raises:
            BlobDamaged: the input is not of this compression.
        """
        ...

    @property
    def pending(self) -> bool:
        """True while decode(b"") would give more."""
        ...

    def finish(self) -> None:
        """The input ends here.

        Raises:
            BlobDamaged: it ends too early.
        """
        ...


class PlainDecoder:
    """No compression at all."""

    pending = False

    def decode(self, data: bytes) -> bytes:
        return data

    def finish(self) -> None:
        return


class GzipDecoder:
    """gzip (RFC 1952): several members one after another, then zero bytes at most."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP_WINDOW)
        self._rest = b""
        self._between = True
        self._padding = False

    @property
    def pending(self) -> bool:
        return bool(self._rest)

    def decode(self, data: bytes) -> bytes:
        data = self._rest + data
        self._rest = b""
        if self._between:
            data = self._start_member(data)
        if not data:
            return b""
        try:
            output = self._member.decompress(data, _OUTPUT_BYTES)
        except zlib.error as error:
            raise BlobDamaged(f"its gzip data is damaged ({error})") from error
        if self._member.eof:
            self._rest = self._member.unused_data
            self._member = zlib.decompressobj(_GZIP_WINDOW)
            self._between = True
        else:
            self._rest = self._member.unconsumed_tail
        return output

    def _start_member(self, data: bytes) -> bytes:
        if self._padding or data.startswith(b"\0"):
            self._padding = True
            if data.strip(b"\0"):
                raise BlobDamaged("something other than zero bytes follows its gzip data")
            return b""
        self._between = not data
        return data

    def finish(self) -> None:
        if not self._between:
            raise BlobDamaged("its gzip data ends too early")


class ZstdDecoder:
    """zstd (RFC 8878): several frames, skippable ones among them."""

    def __init__(self) -> None:
        self._decompressor = zstandard.ZstdDecompressor()
        self._frame = self._decompressor.decompressobj()
        self._rest = memoryview(b"")
        self._between = True

    @property
    def pending(self) -> bool:
        return bool(self._rest)

    def decode(self, data: bytes) -> bytes:
        self._rest = memoryview(bytes(self._rest) + data) if self._rest else memoryview(data)
        output: list[bytes] = []
        length = 0
        while self._rest and length < _OUTPUT_BYTES:
            output.append(self._decode_slice())
            length += len(output[-1])
        return b"".join(output)

    def _decode_slice(self) -> bytes:
        piece = self._rest[:_ZSTD_SLICE_BYTES]
        try:
            output = self._frame.decompress(piece)
        except zstandard.ZstdError as error:
            raise BlobDamaged(f"its zstd data is damaged ({error})") from error
        self._rest = self._rest[len(piece) - len(self._frame.unused_data) :]
        self._between = self._frame.eof
        if self._frame.eof:
            self._frame = self._decompressor.decompressobj()
        return output

    def finish(self) -> None:
        if not self._between:
            raise BlobDamaged("its zstd data ends too early")


_DECODERS: dict[Compression, Callable[[], Decoder]] = {
    Compression.NONE: PlainDecoder,
    Compression.GZIP: GzipDecoder,
    Compression.ZSTD: ZstdDecoder,
}


class LayerBlob:
    """Gives the tar of a blob piece by piece, while the next piece is decompressed and hashed by a thread.

    The source is only ever read by the caller's thread, so a source that stalls holds nothing else up.

    Attributes:
        compression: found in the first bytes; known once the blob was entered.
        blob_bytes: read from the source so far.
        tar_bytes: decompressed so far.
    """

    def __init__(self, source: ByteSource, on_read: Callable[[int], None]) -> None:
        self._source = source
        self._on_read = on_read
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="layer-blob")
        self._blob_hash = hashlib.sha256()
        self._tar_hash = hashlib.sha256()
        self._decoder: Decoder = PlainDecoder()
        self._ended = False
        self._next: Future[bytes] | None = None
        self.compression = Compression.NONE
        self.blob_bytes = 0
        self.tar_bytes = 0

    def __enter__(self) -> Self:
        head = self._read()
        while head and len(head) < 4 and not self._ended:
            head += self._read()
        self.compression = sniffed_compression(head)
        self._decoder = _DECODERS[self.compression]()
        self._next = self._worker.submit(self._produce, head)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._worker.shutdown()

    def _read(self) -> bytes:
        try:
            data = self._source.read(BLOB_READ_BYTES)
        except OSError as error:
            raise translated(error, "read layer", "") from error
        if not data:
            self._ended = True
        else:
            self.blob_bytes += len(data)
            self._on_read(len(data))
        return data

    def _produce(self, data: bytes) -> bytes:
        self._blob_hash.update(data)
        output = self._decoder.decode(data)
        self._tar_hash.update(output)
        return output

    def next_piece(self) -> bytes:
        """The next bytes of the tar; none at its end.

        Raises:
            BlobDamaged: the blob cannot be decompressed.
        """
        while self._next is not None:
            piece = self._next.result()
            self._next = self._submitted()
            if piece:
                self.tar_bytes += len(piece)
                return piece
        self._decoder.finish()
        return b""

    def _submitted(self) -> Future[bytes] | None:
        if self._decoder.pending:
            return self._worker.submit(self._produce, b"")
        data = b"" if self._ended else self._read()
        return self._worker.submit(self._produce, data) if data else None

    def hash_rest(self) -> None:
        """Read the blob to its end without looking at it, so that its digest is known."""
        self._worker.shutdown()
        self._next = None
        while not self._ended:
            self._blob_hash.update(self._read())

    @property
    def digest(self) -> Digest:
        """Of the blob; known at its end."""
        return Digest("sha256:" + self._blob_hash.hexdigest())

    @property
    def diff_id(self) -> Digest:
        """Of the tar; known at its end."""
        return Digest("sha256:" + self._tar_hash.hexdigest())
