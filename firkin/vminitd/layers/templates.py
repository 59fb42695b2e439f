"""Templates: an image's rootfs on the store, whole or not there at all, and read-only."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
from collections.abc import Callable
from types import TracebackType
from typing import Self

import msgspec

from firkin.domain.digest import Digest
from firkin.domain.guest_path import GuestPath
from firkin.domain.layout import StoreLayout
from firkin.vminitd.filesystem import mounts
from firkin.vminitd.filesystem.beneath import DIRECTORY, opened_directory
from firkin.vminitd.filesystem.failures import translating
from firkin.vminitd.filesystem.removal import move_to_trash, remove_tree
from firkin.vminitd.filesystem.store import STAGING_PREFIX, sync

from .applier import apply_layer
from .blob import ByteSource

_ROOTFS = "rootfs"


class TemplateLayer(msgspec.Struct, frozen=True):
    """One layer of a template: what its bytes must be.

    Attributes:
        digest: of the blob.
        diff_id: of the tar inside it.
        media_type: as the manifest states it; "" when unknown.
        size_bytes: of the blob.
    """

    digest: Digest
    diff_id: Digest
    media_type: str
    size_bytes: int


class TemplateBuilder:
    """Writes one template aside and renames it into place; leaving without `commit` removes what was written.

    The directory it writes to is locked (flock(2)) as long as it is at work, so that nobody takes it for what a
    dead builder left. To be used by one thread at a time.
    """

    def __init__(self, store_path: str, chain_id: Digest) -> None:
        self._layout = StoreLayout(GuestPath(store_path))
        self._template = self._layout.template(chain_id)
        self._mark = self._layout.template_mark(chain_id)
        self._staging_name = ""
        self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._staging_name:
            return
        # What cannot be removed is unlocked now, and removed with the next pod.
        with contextlib.suppress(OSError), opened_directory(self._layout.templates) as templates:
            remove_tree(templates, self._staging_name)
        self._release()

    def exists(self) -> bool:
        """True when the template is there and whole; it is read-only from now on.

        Raises:
            AgentError: it cannot be made read-only.
        """
        if not os.path.exists(self._mark):
            return False
        self.make_read_only()
        return True

    def apply(
        self,
        layer: TemplateLayer,
        stream: ByteSource,
        *,
        on_bytes: Callable[[int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> int:
        """Apply the next layer, lowest first; returns the number of its entries.

        Raises:
            BlobCorrupt, DiffIdMismatch, MediaTypeUnsupported, LayerRefused, StoreFull, AgentError: as apply_layer.
        """
        return apply_layer(
            f"{self._staging()}/{_ROOTFS}",
            stream,
            layer_name=layer.digest,
            media_type=layer.media_type,
            digest=layer.digest,
            diff_id=layer.diff_id,
            on_bytes=on_bytes,
            cancelled=cancelled,
        ).entries

    def commit(self) -> bool:
        """Sync what was written and put it in its place; False when somebody else was faster, which is as good.

        Raises:
            StoreFull: no space left.
            AgentError: it cannot be put there, or made read-only.
        """
        staging = self._staging()
        with translating("commit template", self._template):
            os.close(
                os.open(f"{staging}/{os.path.basename(self._mark)}", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644)
            )
        sync(staging)
        created = self._renamed(staging)
        if created:
            self._staging_name = ""
            self._release()
        self.make_read_only()
        return created

    def _renamed(self, staging: str) -> bool:
        with translating("commit template", self._template), opened_directory(self._layout.templates) as templates:
            if not os.path.exists(self._mark):
                # A template without its mark was left half-made by a host that cannot write aside.
                half_made = move_to_trash(templates, os.path.basename(self._template))
                if half_made is not None:
                    remove_tree(templates, half_made)
            try:
                os.rename(staging, self._template)
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                    return False
                raise
            os.fsync(templates)
        return True

    def make_read_only(self) -> None:
        """Mount the template's rootfs read-only onto itself, once in this sandbox.

        Changing the lower directory of a mounted overlay is undefined (kernel, overlayfs.rst), so nothing in
        the sandbox shall be able to.

        Raises:
            AgentError: the kernel refused.
        """
        rootfs = self._template.below(_ROOTFS)
        if not mounts.is_mount_point(rootfs):
            mounts.mount("bind", rootfs, rootfs, ["ro", "private"])

    def _staging(self) -> str:
        """The directory that is written to; made and locked at the first call."""
        while not self._staging_name:
            self._make_staging()
        return self._layout.templates.below(self._staging_name)

    def _make_staging(self) -> None:
        name = STAGING_PREFIX + secrets.token_hex(8)
        with translating("make template", self._template):
            os.makedirs(self._layout.templates, 0o755, exist_ok=True)
            with opened_directory(self._layout.templates) as templates:
                os.mkdir(name, 0o755, dir_fd=templates)
                # Between mkdir and flock somebody may take it for abandoned: then there is another one.
                try:
                    lock = os.open(name, DIRECTORY, dir_fd=templates)
                except FileNotFoundError:
                    return
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                os.mkdir(_ROOTFS, 0o755, dir_fd=lock)
                os.chmod(_ROOTFS, 0o755, dir_fd=lock)
            except FileNotFoundError:
                os.close(lock)
                return
            except BaseException:
                os.close(lock)
                raise
        self._lock = lock
        self._staging_name = name

    def _release(self) -> None:
        os.close(self._lock)
        self._lock = -1
