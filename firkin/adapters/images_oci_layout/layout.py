"""Reading the files of an image layout without leaving its directory."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from firkin.domain.digest import Digest
from firkin.domain.errors import BlobCorrupt, BlobMissing, ImageInvalid, ImageNotFound, PermissionMissing
from firkin.domain.image_documents import Descriptor

DOCUMENT_MAX_BYTES = 4 * 2**20
_READ_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_READ_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class LayoutFiles:
    """The files of one image layout, opened component by component; a symbolic link among them is refused."""

    def __init__(self, directory: Path, directory_fd: int, reference: str) -> None:
        self.directory = directory
        self._directory_fd = directory_fd
        self.reference = reference

    @classmethod
    @contextlib.contextmanager
    def opened(cls, directory: Path, reference: str) -> Iterator[Self]:
        """Open the directory for the time of one resolution.

        Raises:
            ImageNotFound: it is not there any more.
            PermissionMissing: it may not be read.
        """
        try:
            with _permission_checked(directory):
                directory_fd = os.open(directory, _READ_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ImageNotFound(reference, f"there is no directory {directory}") from error
        try:
            yield cls(directory, directory_fd, reference)
        finally:
            os.close(directory_fd)

    def document(self, name: str) -> bytes:
        """Read a file of the layout's top.

        Raises:
            FileNotFoundError: it is not there.
            ImageInvalid: it is no regular file, or longer than 4 MiB.
        """
        with self._regular(self._directory_fd, name, name) as (file_fd, _):
            data = _read_at_most(file_fd, DOCUMENT_MAX_BYTES + 1)
        if len(data) > DOCUMENT_MAX_BYTES:
            raise ImageInvalid(self.reference, f"{name} is longer than {DOCUMENT_MAX_BYTES} bytes")
        return data

    def blob(self, descriptor: Descriptor) -> bytes:
        """Read a blob that is a document, and check its size and digest.

        Raises:
            BlobMissing, BlobCorrupt, ImageInvalid: it is not as the descriptor says, or too long.
        """
        if descriptor.size > DOCUMENT_MAX_BYTES:
            reason = f"document {descriptor.digest} has {descriptor.size} bytes, more than {DOCUMENT_MAX_BYTES}"
            raise ImageInvalid(self.reference, reason)
        with self._sized_blob(descriptor) as file_fd:
            data = _read_at_most(file_fd, descriptor.size + 1)
        actual = Digest.of(data)
        if actual != descriptor.digest:
            raise BlobCorrupt(descriptor.digest, actual)
        return data

    def layer_path(self, descriptor: Descriptor) -> Path:
        """Return the file of a layer that is there with its stated size; its bytes are not read.

        Raises:
            BlobMissing, BlobCorrupt, ImageInvalid: it is absent, has another size, or is no regular file.
        """
        with self._sized_blob(descriptor):
            return self.directory / "blobs" / "sha256" / descriptor.digest.hex

    @contextlib.contextmanager
    def _sized_blob(self, descriptor: Descriptor) -> Iterator[int]:
        digest = descriptor.digest
        try:
            with (
                self._directory(self._directory_fd, "blobs") as blobs_fd,
                self._directory(blobs_fd, "sha256") as algorithm_fd,
                self._regular(algorithm_fd, digest.hex, f"blob {digest}") as (file_fd, size),
            ):
                if size != descriptor.size:
                    raise BlobCorrupt(digest, f"{size} bytes, not {descriptor.size}")
                yield file_fd
        except FileNotFoundError as error:
            raise BlobMissing(self.reference, digest) from error

    @contextlib.contextmanager
    def _directory(self, parent_fd: int, name: str) -> Iterator[int]:
        with self._opened(parent_fd, name, _READ_DIRECTORY | os.O_NOFOLLOW, name) as directory_fd:
            yield directory_fd

    @contextlib.contextmanager
    def _regular(self, parent_fd: int, name: str, what: str) -> Iterator[tuple[int, int]]:
        with self._opened(parent_fd, name, _READ_FILE, what) as file_fd:
            status = os.fstat(file_fd)
            if not stat.S_ISREG(status.st_mode):
                raise ImageInvalid(self.reference, f"{what} is not a regular file")
            yield file_fd, status.st_size

    @contextlib.contextmanager
    def _opened(self, parent_fd: int, name: str, flags: int, what: str) -> Iterator[int]:
        try:
            with _permission_checked(self.directory):
                opened_fd = os.open(name, flags, dir_fd=parent_fd)
        except FileNotFoundError:
            raise
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO):
                reason = f"{what} is a symbolic link, which firkin does not follow, or of the wrong kind"
                raise ImageInvalid(self.reference, reason) from error
            raise
        try:
            yield opened_fd
        finally:
            os.close(opened_fd)


@contextlib.contextmanager
def _permission_checked(directory: Path) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise PermissionMissing(f"read image {directory}", "its files belong to another user") from error


def _read_at_most(file_fd: int, limit: int) -> bytes:
    chunks: list[bytes] = []
    while limit > 0 and (chunk := os.read(file_fd, limit)):
        chunks.append(chunk)
        limit -= len(chunk)
    return b"".join(chunks)
