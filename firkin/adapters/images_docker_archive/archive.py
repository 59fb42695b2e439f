"""An archive of `docker save`: its documents, and the bytes of its layers."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Self

from firkin.domain.errors import ImageInvalid, ImageNotFound, MediaTypeUnsupported, PermissionMissing
from firkin.domain.tar_header import TarError

from .archive_bytes import ArchiveBytes, GzipBytes, PlainBytes
from .archive_files import ArchiveFile, ArchiveLink, ArchiveMember, archive_members, normalised

DOCUMENT_MAX_BYTES = 4 * 2**20
_CHUNK_BYTES = 2**20
_HEAD_BYTES = 6
_SMALL_BYTES = 2**16
_BEGINNINGS_MAX_BYTES = 2**23
_LINKS_MAX = 16
_GZIP = b"\x1f\x8b"
_UNREAD = {b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}


class DockerArchive:
    """The files of an archive, by their names in it."""

    def __init__(self, content: ArchiveBytes, reference: str) -> None:
        """Find all files.

        Raises:
            ImageInvalid: it is no tar archive.
        """
        self._content = content
        self.reference = reference
        # Of an archive that can only be read in order: how its files begin, and all of those that are small.
        self._beginnings: dict[ArchiveFile, bytes] = {}
        self._beginnings_bytes = 0
        self._members: dict[str, ArchiveMember] = {}
        self._ambiguous: set[str] = set()
        with self._translated():
            for name, member in archive_members(content.read_at):
                if name in self._members:
                    self._ambiguous.add(name)
                self._members[name] = member
                if content.is_sequential and isinstance(member, ArchiveFile):
                    self._remember(member)

    @classmethod
    @contextlib.contextmanager
    def opened(cls, path: Path, reference: str) -> Iterator[Self]:
        """Open an archive for the time of one resolution.

        Raises:
            ImageNotFound: it is not there any more, or no regular file.
            ImageInvalid: it is no tar archive.
            MediaTypeUnsupported: it is compressed otherwise than by gzip.
            PermissionMissing: it may not be read.
        """
        with _opened_file(path, reference) as file:
            head = file.read(_HEAD_BYTES)
            file.seek(0)
            if (kind := next((kind for magic, kind in _UNREAD.items() if head.startswith(magic)), None)) is not None:
                raise MediaTypeUnsupported(kind, f"{path} is compressed by {kind}; unpack it first")
            yield cls(GzipBytes(file) if head.startswith(_GZIP) else PlainBytes(file), reference)

    def has(self, name: str) -> bool:
        """True when there is a file or link of this name."""
        return name in self._members

    def file(self, name: str) -> ArchiveFile:
        """Find a file by the name that a document of the archive gives it.

        Raises:
            ImageInvalid: there is none, or more than one, or it is outside of the archive.
        """
        wanted = normalised(name)
        for _ in range(_LINKS_MAX):
            if wanted is None:
                raise ImageInvalid(self.reference, f"{name!r} leads out of the archive")
            if wanted in self._ambiguous:
                raise ImageInvalid(self.reference, f"its archive has {wanted!r} more than once")
            match self._members.get(wanted):
                case ArchiveFile() as found:
                    return found
                case ArchiveLink(target):
                    wanted = target
                case None:
                    raise ImageInvalid(self.reference, f"its archive has no file {wanted!r}")
        raise ImageInvalid(self.reference, f"{name!r} is a link that leads through more than {_LINKS_MAX} others")

    def document(self, name: str) -> bytes:
        """Read a file whole.

        Raises:
            ImageInvalid: it is not there, longer than 4 MiB, or cut off.
        """
        file = self.file(name)
        if file.size > DOCUMENT_MAX_BYTES:
            raise ImageInvalid(self.reference, f"{name!r} has {file.size} bytes, more than {DOCUMENT_MAX_BYTES}")
        return b"".join(self.chunks(file))

    def head(self, file: ArchiveFile) -> bytes:
        """The first bytes of a file, at most six.

        Raises:
            ImageInvalid: the archive is broken there.
        """
        beginning = self._beginnings.get(file, b"")
        with self._translated():
            return beginning[:_HEAD_BYTES] or self._content.read_at(file.offset, min(_HEAD_BYTES, file.size))

    def chunks(self, file: ArchiveFile) -> Iterator[bytes]:
        """All bytes of a file, in pieces.

        Raises:
            ImageInvalid: the archive ends within it.
        """
        beginning = self._beginnings.get(file, b"")
        if len(beginning) == file.size:
            yield beginning
            return
        done = 0
        while done < file.size:
            with self._translated():
                chunk = self._content.read_at(file.offset + done, min(_CHUNK_BYTES, file.size - done))
            if not chunk:
                raise ImageInvalid(self.reference, "its archive is cut off")
            done += len(chunk)
            yield chunk

    def _remember(self, file: ArchiveFile) -> None:
        is_small = file.size <= _SMALL_BYTES and self._beginnings_bytes < _BEGINNINGS_MAX_BYTES
        beginning = self._content.read_at(file.offset, file.size if is_small else min(_HEAD_BYTES, file.size))
        self._beginnings[file] = beginning
        self._beginnings_bytes += len(beginning)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except TarError as error:
            raise ImageInvalid(self.reference, f"its archive cannot be read: {error}") from error


@contextlib.contextmanager
def _opened_file(path: Path, reference: str) -> Iterator[BinaryIO]:
    try:
        # Opening a FIFO must not wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise ImageNotFound(reference, f"there is no file {path}") from error
    except PermissionError as error:
        raise PermissionMissing(f"read image {path}", "the file belongs to another user") from error
    with open(descriptor, "rb", buffering=_CHUNK_BYTES) as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ImageNotFound(reference, f"{path} is not a regular file")
        yield file
