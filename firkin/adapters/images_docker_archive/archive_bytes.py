"""The bytes of an archive by their offsets, whether it is gzipped or not; memory stays bounded."""

from __future__ import annotations

import os
import zlib
from typing import BinaryIO, Protocol

from firkin.domain.tar_header import TarError

_PACKED_BYTES = 2**17
_PIECE_BYTES = 2**20
_OFFSET_MAX = 2**62
_GZIP_ONLY = 16 + zlib.MAX_WBITS


class ArchiveBytes(Protocol):
    """Reads anywhere."""

    is_sequential: bool
    """True when reading backwards means reading anew."""

    def read_at(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset`; none at the very end.

        Raises:
            TarError: there are fewer, or what they are packed in is broken.
        """
        ...


class PlainBytes:
    """The bytes of a file."""

    is_sequential = False

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = os.fstat(file.fileno()).st_size

    def read_at(self, offset: int, size: int) -> bytes:
        """See `ArchiveBytes`."""
        if offset == self._size:
            return b""
        if offset + size > self._size:
            raise TarError("it is cut off")
        self._file.seek(offset)
        return self._file.read(size)


class GzipBytes:
    """What is packed in a file by gzip (RFC 1952), in one member or several."""

    is_sequential = True

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._rewind()

    def read_at(self, offset: int, size: int) -> bytes:
        """See `ArchiveBytes`."""
        if offset > _OFFSET_MAX:
            raise TarError("it is cut off")
        if offset < self._start:
            self._rewind()
        parts: list[bytes] = []
        while size > 0:
            end = self._start + len(self._piece)
            if offset >= end:
                if not self._advance():
                    break
                continue
            part = self._piece[offset - self._start : offset - self._start + size]
            parts.append(part)
            offset += len(part)
            size -= len(part)
        if size and (parts or offset != self._start):
            raise TarError("it is cut off")
        return b"".join(parts)

    def _rewind(self) -> None:
        self._file.seek(0)
        self._start = 0
        self._piece = b""
        self._packed = b""
        self._member = zlib.decompressobj(_GZIP_ONLY)

    def _advance(self) -> bool:
        """Go on to the next piece; False at the end."""
        self._start += len(self._piece)
        self._piece = b""
        while not self._piece:
            self._packed = self._packed or self._file.read(_PACKED_BYTES)
            is_at_end = not self._packed
            self._unpack()
            if is_at_end and not self._piece:
                if not self._member.eof:
                    raise TarError("its gzip stream is cut off")
                return False
        return True

    def _unpack(self) -> None:
        if self._member.eof:
            # Another member may follow, or padding of zeros.
            self._packed = self._packed.lstrip(b"\0")
            if not self._packed:
                return
            self._member = zlib.decompressobj(_GZIP_ONLY)
        try:
            self._piece = self._member.decompress(self._packed, _PIECE_BYTES)
        except zlib.error as error:
            raise TarError(f"its gzip stream is damaged: {error}") from error
        self._packed = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
