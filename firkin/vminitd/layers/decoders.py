"""Decompression: from pieces of a blob to pieces of the tar inside it, of bounded size each."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Iterator

import zstandard
from isal import igzip_lib

from firkin._fast import zstd_frames
from firkin.domain.image import Compression

PIECE_BYTES = 1024 * 1024
LARGE_WINDOW_BYTES = 8 * 1024 * 1024
"""More than any decoder has to allow for (RFC 8878, 3.1.1.1.2), so that one of them at a time has to do."""
_GZIP_PORTION_BYTES = 16 * 1024
# Of what the first bytes of a member become: room for a small layer, without memory of its own from the kernel.
_GZIP_FIRST_BYTES = 64 * 1024
_LARGE_BLOCK_BYTES = 16 * 1024 * 1024
# The stubs of isal take the class for an instance.
_GzipError: type[Exception] = vars(igzip_lib)["IsalError"]


class BlobDamaged(ValueError):
    """Bytes that cannot be decompressed; the text says why."""


def decoded(
    read: Callable[[], bytes], compression: Compression, window_bytes: int, on_large_window: Callable[[], None]
) -> Iterator[bytes]:
    """The pieces that the pieces of `read` stand for; `read` gives b"" at the end.

    Args:
        read: called for the next piece.
        compression: of the blob.
        window_bytes: the most that a zstd frame may refer back over.
        on_large_window: called before memory is taken for the first frame that refers back over more than
            LARGE_WINDOW_BYTES.

    Raises:
        BlobDamaged: they are not of this compression, or end too early.
    """
    _keep_freed_memory()
    if compression is Compression.GZIP:
        return _gunzipped(read)
    if compression is Compression.ZSTD:
        return _unzstd(read, window_bytes, on_large_window)
    return iter(read, b"")


@functools.cache
def _keep_freed_memory() -> None:
    """Free a large block, which nobody has touched.

    After that glibc keeps up to twice as much of what is freed (mallopt(3), M_MMAP_THRESHOLD), instead of giving the
    pieces back to the kernel and taking them anew: that is a twentieth of a layer's time.
    """
    bytes(_LARGE_BLOCK_BYTES)


class _GzipMembers:
    """gzip (RFC 1952): several members one after another, then zero bytes at most."""

    def __init__(self) -> None:
        self._member = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
        self._is_padding = False
        # What lies behind a member's end is copied, so where there are many, the portions are small.
        self._portion_bytes = PIECE_BYTES
        self.is_between = True

    def decode(self, data: bytes) -> Iterator[bytes]:
        """What a piece stands for.

        Raises:
            BlobDamaged: it is no gzip.
        """
        view = memoryview(data)
        while view:
            if self.is_between and (self._is_padding or view[0] == 0):
                self._is_padding = True
                if view.tobytes().strip(b"\0"):
                    raise BlobDamaged("something other than zero bytes follows its gzip data")
                return
            self.is_between = False
            portion = view[: self._portion_bytes]
            yield from self._decompressed(portion)
            view = view[len(portion) :]
            self._portion_bytes = min(self._portion_bytes * 2, PIECE_BYTES)
            if self._member.eof:
                view = memoryview(data)[len(data) - len(view) - len(self._member.unused_data) :]
                self._portion_bytes = _GZIP_PORTION_BYTES
                self._member = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
                self.is_between = True

    def _decompressed(self, portion: memoryview) -> Iterator[bytes]:
        try:
            yield self._member.decompress(
                portion, PIECE_BYTES if len(portion) > _GZIP_FIRST_BYTES else _GZIP_FIRST_BYTES
            )
            while not self._member.needs_input and not self._member.eof:
                yield self._member.decompress(b"", PIECE_BYTES)
        except _GzipError as error:
            raise BlobDamaged(f"its gzip data is damaged ({error})") from error


def _gunzipped(read: Callable[[], bytes]) -> Iterator[bytes]:
    members = _GzipMembers()
    while data := read():
        yield from members.decode(data)
    if not members.is_between:
        raise BlobDamaged("its gzip data ends too early")


class _ZstdSource(io.BytesIO):
    """What zstandard reads from: a file to its stubs. Notes where frames end, which it does not tell."""

    def __init__(self, next_piece: Callable[[], bytes], on_large_window: Callable[[], None]) -> None:
        super().__init__()
        self._next_piece = next_piece
        self._on_large_window = on_large_window
        self._is_large = False
        self.frames = zstd_frames.ZstdFrames()

    def read(self, _size: int | None = -1, /) -> bytes:
        """The next piece, whatever its size: zstandard takes it as it is, without a copy."""
        piece = self._next_piece()
        self.frames.feed(piece)
        if not self._is_large and self.frames.window_bytes > LARGE_WINDOW_BYTES:
            self._is_large = True
            self._on_large_window()
        return piece


def _unzstd(read: Callable[[], bytes], window_bytes: int, on_large_window: Callable[[], None]) -> Iterator[bytes]:
    """zstd (RFC 8878): several frames, skippable ones among them."""
    source = _ZstdSource(read, on_large_window)
    decompressor = zstandard.ZstdDecompressor(max_window_size=window_bytes)
    with decompressor.stream_reader(source, read_across_frames=True) as reader:
        try:
            while piece := reader.read(PIECE_BYTES):
                yield piece
        except zstandard.ZstdError as error:
            if "too much memory" in str(error):
                raise BlobDamaged(f"its zstd data refers back over more than {window_bytes} bytes") from error
            raise BlobDamaged(f"its zstd data is damaged ({error})") from error
    if not source.frames.is_between:
        raise BlobDamaged("its zstd data ends too early")
