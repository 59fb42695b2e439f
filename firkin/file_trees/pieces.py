"""Bytes on their way between an archive and a stream."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator

from firkin.domain.errors import CopyFailed

BATCH_BYTES = 1 << 18
_GZIP_WINDOW_BITS = 31
# The stream crosses no network: to compress it would only take time.
_STORED = 0

NextPiece = Callable[[], bytes]
"""Gives the next bytes of a stream; none at its end."""


def batched(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces that are worth a system call."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= BATCH_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


def gzipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes as one gzip member (RFC 1952), in stored blocks."""
    deflater = zlib.compressobj(_STORED, zlib.DEFLATED, _GZIP_WINDOW_BITS)
    for piece in pieces:
        if compressed := deflater.compress(piece):
            yield compressed
    yield deflater.flush()


def gunzipped(next_compressed: NextPiece) -> NextPiece:
    """The plain bytes of a gzip stream, in pieces of bounded size whatever the stream claims.

    What it returns raises CopyFailed when the stream is no gzip, damaged, or cut off.
    """
    inflater = zlib.decompressobj(_GZIP_WINDOW_BITS)
    compressed = b""

    def next_piece() -> bytes:
        nonlocal compressed
        while not inflater.eof:
            compressed = compressed or next_compressed()
            if not compressed:
                raise CopyFailed("", "the compressed archive was cut off")
            try:
                piece = inflater.decompress(compressed, BATCH_BYTES)
            except zlib.error as error:
                raise CopyFailed("", f"the archive is not gzip, or damaged ({error})") from error
            compressed = inflater.unconsumed_tail
            if piece:
                return piece
        return b""

    return next_piece
