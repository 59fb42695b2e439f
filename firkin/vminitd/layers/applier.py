"""Applying an image's layer to a rootfs, in one pass over its blob."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterator

import msgspec

from firkin.domain.digest import Digest
from firkin.domain.errors import AgentError, BlobCorrupt, DiffIdMismatch, LayerRefused, MediaTypeUnsupported
from firkin.domain.image import Compression, layer_compression
from firkin.domain.tar_header import TarError
from firkin.vminitd.filesystem.failures import translated

from .archive import Limits, TarReader
from .blob import BlobDamaged, ByteSource, LayerBlob
from .rootfs import Refused, Rootfs
from .writer import REFUSABLE, LayerWriter


class LayerResult(msgspec.Struct, frozen=True):
    """What applying a layer came to.

    Attributes:
        entries: of the archive, whiteouts among them.
        blob_bytes: read from the stream.
        tar_bytes: of the archive, decompressed.
        digest: of the blob.
        diff_id: of the archive.
        compression: found in the bytes.
        seconds: the whole application.
    """

    entries: int
    blob_bytes: int
    tar_bytes: int
    digest: Digest
    diff_id: Digest
    compression: Compression
    seconds: float


def apply_layer(
    rootfs: str | int,
    stream: ByteSource,
    *,
    layer_name: str,
    media_type: str = "",
    digest: str | None = None,
    diff_id: str | None = None,
    on_bytes: Callable[[int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    limits: Limits | None = None,
) -> LayerResult:
    """Apply the layer that `stream` holds to a rootfs on which the layers below it were applied.

    Nothing outside the rootfs is touched, whatever the layer or the rootfs holds. A failure leaves the rootfs
    half written. Nobody else may write to the rootfs meanwhile.

    Args:
        rootfs: the directory, by path or by file descriptor.
        stream: the blob; read to its end on success.
        layer_name: names the layer in errors.
        media_type: as the manifest states it; checked against the bytes unless empty.
        digest: what the blob must have; unchecked when None.
        diff_id: what the archive must have; unchecked when None.
        on_bytes: told how many bytes of the blob were read since the last call.
        cancelled: asked before each read; True ends the application.
        limits: what the layer may amount to.

    Raises:
        BlobCorrupt: the blob has another digest.
        DiffIdMismatch: the archive has another diff id.
        MediaTypeUnsupported: the media type is not a layer's, or the bytes are of another kind.
        LayerRefused: it is no proper archive, is cut short, reaches out of the rootfs, or exceeds a limit.
        StoreFull: no space left.
        AgentError: the filesystem refused an entry (for example for lack of privilege), the stream failed, or
            it was cancelled (errno ECANCELED).
    """
    began = time.monotonic()

    def on_read(count: int) -> None:
        if cancelled is not None and cancelled():
            raise AgentError("apply layer", "it was cancelled", path=layer_name, errno=errno.ECANCELED)
        if on_bytes is not None:
            on_bytes(count)

    expected = layer_compression(media_type) if media_type else None
    with _opened(rootfs) as root, Rootfs(root) as directories, LayerBlob(stream, on_read) as blob:
        if expected not in (None, blob.compression):
            _raise_if_corrupt(blob, digest)
            raise MediaTypeUnsupported(media_type, f"the bytes of layer {layer_name} are packed by {blob.compression}")
        reader = TarReader(blob.next_piece, limits or Limits())
        try:
            entries = _apply_entries(reader, LayerWriter(directories), layer_name)
            if not reader.is_closed and diff_id is None:
                # With a diff id to vouch for it, an archive without end mark is as its maker left it.
                raise LayerRefused(layer_name, "", "the archive ends without its end mark: it may be cut short")
        except LayerRefused:
            _raise_if_corrupt(blob, digest)
            raise
        if digest is not None and blob.digest != digest:
            raise BlobCorrupt(digest, blob.digest)
        if diff_id is not None and blob.diff_id != diff_id:
            raise DiffIdMismatch(layer_name, diff_id, blob.diff_id)
    seconds = time.monotonic() - began
    return LayerResult(entries, blob.blob_bytes, blob.tar_bytes, blob.digest, blob.diff_id, blob.compression, seconds)


@contextlib.contextmanager
def _opened(rootfs: str | int) -> Iterator[int]:
    if isinstance(rootfs, int):
        yield rootfs
        return
    try:
        root = os.open(rootfs, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise translated(error, "open rootfs", rootfs) from error
    try:
        yield root
    finally:
        os.close(root)


def _apply_entries(reader: TarReader, writer: LayerWriter, layer_name: str) -> int:
    entries = 0
    try:
        for entry in reader.entries():
            writer.apply(entry, reader.data)
            entries += 1
        writer.finish()
    except (TarError, Refused) as error:
        raise LayerRefused(layer_name, _shown(reader.current), str(error)) from error
    except BlobDamaged as error:
        raise LayerRefused(layer_name, "", str(error)) from error
    except (OSError, OverflowError) as error:
        raise _entry_failure(error, layer_name, _shown(reader.current)) from error
    return entries


def _entry_failure(error: OSError | OverflowError, layer_name: str, entry: str) -> Exception:
    if isinstance(error, OverflowError):
        return LayerRefused(layer_name, entry, "it has a number that no filesystem can hold")
    if error.errno in REFUSABLE:
        return LayerRefused(layer_name, entry, os.strerror(error.errno))
    return translated(error, "apply layer", f"{layer_name}: {entry}" if entry else layer_name)


def _shown(name: bytes) -> str:
    return name[:256].decode("utf-8", "backslashreplace")


def _raise_if_corrupt(blob: LayerBlob, digest: str | None) -> None:
    """A layer that makes no sense because its blob was damaged on the way is a corrupt blob."""
    if digest is None:
        return
    blob.hash_rest()
    if blob.digest != digest:
        raise BlobCorrupt(digest, blob.digest)
