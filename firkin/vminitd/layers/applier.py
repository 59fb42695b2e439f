"""Applying an image's layer to a rootfs, in one pass over its blob."""

from __future__ import annotations

import contextlib
import enum
import errno
import os
import re
from collections.abc import Callable, Iterator, Mapping

import msgspec

from firkin._fast import layer
from firkin.domain.digest import Digest
from firkin.domain.errors import (
    AgentError,
    BlobCorrupt,
    DiffIdMismatch,
    FirkinError,
    LayerRefused,
    MediaTypeUnsupported,
)
from firkin.domain.image import Compression, layer_compression
from firkin.domain.layer_limits import LayerLimits
from firkin.vminitd.filesystem.failures import translated

from .blob import ByteSource, LayerBlob, LayerTooLarge
from .decoders import BlobDamaged
from .meter import LayerMeter, StageSeconds
from .stages import Stage, Workers

_REFUSABLE = (
    errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL, errno.EILSEQ, errno.EMLINK, errno.EFBIG, errno.ERANGE, errno.E2BIG,
)  # fmt: skip
"""What the kernel says to an entry that no filesystem could hold, whatever its state."""

_UMASK = re.compile(rb"^Umask:\s*([0-7]+)$", re.MULTILINE)


class Whiteouts(enum.Enum):
    """What becomes of a layer's whiteouts (OCI image-spec v1.1, layer.md; kernel, overlayfs.rst)."""

    APPLIED = layer.APPLIED
    """They remove what lower layers brought to the same rootfs."""
    OVERLAY = layer.TRUSTED_OVERLAY
    """They are written as overlayfs reads them, for a rootfs that will be a lower directory of its own."""
    USER_OVERLAY = layer.USER_OVERLAY
    """As OVERLAY, for a mount with `userxattr`, without privilege."""


class LayerResult(msgspec.Struct, frozen=True):
    """What applying a layer came to.

    Attributes:
        entries: of the archive, whiteouts among them.
        blob_bytes: read from the stream.
        tar_bytes: of the archive, decompressed.
        digest: of the blob.
        diff_id: of the archive.
        compression: found in the bytes.
        seconds: by stage.
        implied_parents: directories that were made although neither the layer mentions them nor, for a layer in a
            directory of its own, the layers below have them.
        replaced: what could not be made as it is, with its count: "device" (an empty file instead), "owner" (that of
            the caller instead), "attribute" (left out).
    """

    entries: int
    blob_bytes: int
    tar_bytes: int
    digest: Digest
    diff_id: Digest
    compression: Compression
    seconds: StageSeconds
    implied_parents: int
    replaced: Mapping[str, int]


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
    limits: LayerLimits | None = None,
    whiteouts: Whiteouts = Whiteouts.APPLIED,
    rootless: bool = False,
    lower: Callable[[], int] | None = None,
    large_window: Callable[[], None] | None = None,
    meter: LayerMeter | None = None,
) -> LayerResult:
    """Apply the layer that `stream` holds to a rootfs on which the layers below it were applied.

    Nothing outside the rootfs is touched, whatever the layer or the rootfs holds. A failure leaves the rootfs
    half written. Nobody else may write to the rootfs meanwhile.

    Args:
        rootfs: the directory, by path or by file descriptor.
        stream: the blob; read to its end on success, by the caller's thread.
        layer_name: names the layer in errors.
        media_type: as the manifest states it; checked against the bytes unless empty.
        digest: what the blob must have; unchecked when None.
        diff_id: what the archive must have; unchecked when None.
        on_bytes: told how many bytes of the blob were read since the last call, in the caller's thread.
        cancelled: asked before each read, in the caller's thread; True ends the application.
        limits: what the layer may amount to.
        whiteouts: what becomes of them.
        rootless: replace what an unprivileged user namespace forbids, instead of failing.
        lower: for whiteouts as overlayfs reads them, in a directory of the layer's own: called at most once, from a
            thread of the application, when the layer builds on what it does not bring. Gives an open directory that
            shows the layers below, merged, and stays open. What it raises ends the application.
        large_window: called at most once, in the caller's thread, before the layer takes more memory than most do: that
            of a large zstd window. May wait, and what it raises ends the application.
        meter: measures the application, for who wants to know before its end, or after its failure.

    Errors tell which stage failed: pull, inflate, hash or write.

    Raises:
        BlobCorrupt: the blob has another digest.
        DiffIdMismatch: the archive has another diff id.
        MediaTypeUnsupported: the media type is not a layer's, or the bytes are of another kind.
        LayerRefused: it is no proper archive, is cut short, reaches out of the rootfs, or exceeds a limit.
        StoreFull: no space left.
        AgentError: the filesystem refused an entry (for example for lack of privilege), the stream failed, or
            it was cancelled (errno ECANCELED).
    """
    meter = meter or LayerMeter()
    limits = limits or LayerLimits()

    def on_read(count: int) -> None:
        if cancelled is not None and cancelled():
            raise AgentError("apply layer", "it was cancelled", path=layer_name, errno=errno.ECANCELED)
        if on_bytes is not None:
            on_bytes(count)

    expected = layer_compression(media_type) if media_type else None
    below = None if lower is None else _Below(lower)
    with (
        _opened(rootfs) as root,
        _writer(root, layer_name, limits, whiteouts, rootless, below) as writer,
        meter.measuring(),
        Workers() as workers,
    ):
        blob = LayerBlob(stream, on_read, limits, workers, meter)
        writing = meter.write_stage = workers.stage(writer.feed)
        if not blob.is_short and (umask := _umask()) is not None:
            writer.know_umask(umask)
        if expected not in (None, blob.compression):
            _raise_if_corrupt(blob, digest)
            reason = f"the bytes of layer {layer_name} are packed by {blob.compression}"
            raise MediaTypeUnsupported(media_type, reason).in_stage("inflate")
        try:
            with _telling(below):
                _write(blob.pieces(large_window or _nothing), writer, writing, layer_name, meter)
            if not writer.is_closed and diff_id is None:
                # With a diff id to vouch for it, an archive without end mark is as its maker left it.
                reason = "the archive ends without its end mark: it may be cut short"
                raise LayerRefused(layer_name, "", reason).in_stage("write")
        except LayerRefused:
            _raise_if_corrupt(blob, digest)
            raise
        found_digest, found_diff_id = blob.digests()
        if digest is not None and found_digest != digest:
            raise BlobCorrupt(digest, found_digest).in_stage("hash")
        if diff_id is not None and found_diff_id != diff_id:
            raise DiffIdMismatch(layer_name, diff_id, found_diff_id).in_stage("hash")
        return LayerResult(
            writer.entries,
            blob.blob_bytes,
            blob.tar_bytes,
            found_digest,
            found_diff_id,
            blob.compression,
            meter.seconds,
            writer.implied_parents,
            _replaced(writer),
        )


def _nothing() -> None:
    """No other layer is applied at the same time."""


class _Below:
    """Remembers what the caller's `lower` raised, which cannot pass through the engine."""

    def __init__(self, lower: Callable[[], int]) -> None:
        self._lower = lower
        self.failure: BaseException | None = None

    def __call__(self) -> int:
        try:
            return self._lower()
        except BaseException as failure:
            self.failure = failure
            raise


@contextlib.contextmanager
def _telling(below: _Below | None) -> Iterator[None]:
    try:
        yield
    except AgentError:
        if below is not None and below.failure is not None:
            raise below.failure from None
        raise


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


@contextlib.contextmanager
def _writer(
    root: int, layer_name: str, limits: LayerLimits, whiteouts: Whiteouts, rootless: bool, lower: _Below | None
) -> Iterator[layer.LayerWriter]:
    try:
        writer = layer.LayerWriter(
            root,
            entries=limits.entries,
            name_bytes=limits.name_bytes,
            header_bytes=limits.header_bytes,
            depth=limits.depth,
            whiteouts=whiteouts.value,
            rootless=rootless,
            lower=lower,
        )
    except OSError as error:
        raise translated(error, "open rootfs", layer_name) from error
    try:
        yield writer
    finally:
        writer.close()


def _umask() -> int | None:
    """The bits that new files go without; umask(2) would change them for a moment, for every thread."""
    found = None
    with contextlib.suppress(FileNotFoundError), open("/proc/thread-self/status", "rb", buffering=0) as status:
        found = _UMASK.search(status.read(4096))
    return int(found[1], 8) if found else None


def _write(
    pieces: Iterator[bytes], writer: layer.LayerWriter, writing: Stage[bytes], layer_name: str, meter: LayerMeter
) -> None:
    """Write the whole archive."""
    try:
        try:
            with meter.inflating:
                for piece in pieces:
                    writing.put(piece)
        except (BlobDamaged, LayerTooLarge) as error:
            # What came before the damage may be refused for a reason of its own.
            writing.drain()
            raise LayerRefused(layer_name, "", str(error)).in_stage("inflate") from error
        writing.drain()
        writer.finish()
    except layer.EntryRefused as error:
        raise LayerRefused(layer_name, _shown(writer.current), str(error)).in_stage("write") from error
    except OSError as error:
        raise _entry_failure(error, layer_name, _shown(writer.current)).in_stage("write") from error


def _entry_failure(error: OSError, layer_name: str, entry: str) -> FirkinError:
    if error.errno in _REFUSABLE:
        return LayerRefused(layer_name, entry, os.strerror(error.errno), errno=error.errno)
    return translated(error, "apply layer", f"{layer_name}: {entry}" if entry else layer_name)


def _shown(name: bytes) -> str:
    return name[:256].decode("utf-8", "backslashreplace")


def _replaced(writer: layer.LayerWriter) -> Mapping[str, int]:
    counts = {
        "device": writer.replaced_devices,
        "owner": writer.replaced_owners,
        "attribute": writer.left_out_attributes,
    }
    return {kind: count for kind, count in counts.items() if count}


def _raise_if_corrupt(blob: LayerBlob, digest: str | None) -> None:
    """A layer that makes no sense because its blob was damaged on the way is a corrupt blob."""
    if digest is None:
        return
    blob.hash_rest()
    found, _ = blob.digests()
    if found != digest:
        raise BlobCorrupt(digest, found).in_stage("hash")
