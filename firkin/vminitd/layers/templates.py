"""Templates on the store, each whole or not there at all: a rootfs, or one layer alone for a stack of them."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

import msgspec

from firkin.domain.digest import Digest
from firkin.domain.guest_path import GuestPath
from firkin.domain.layer_limits import LayerLimits
from firkin.domain.layout import StoreLayout
from firkin.vminitd.filesystem import mounts
from firkin.vminitd.filesystem.beneath import DIRECTORY, opened_directory
from firkin.vminitd.filesystem.failures import translating
from firkin.vminitd.filesystem.lower_directories import opaque_attribute
from firkin.vminitd.filesystem.removal import move_to_trash, remove_tree
from firkin.vminitd.filesystem.store import STAGING_PREFIX, sync
from firkin.vminitd.filesystem.stored_templates import StoredTemplates
from firkin.vminitd.user_namespace import in_user_namespace

from .applier import LayerResult, Whiteouts, apply_layer
from .blob import ByteSource
from .meter import LayerMeter


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

    def __init__(self, store_path: str, chain_id: Digest, *, is_alone: bool = False) -> None:
        """Touch nothing yet; with `is_alone`, it will be a layer alone, as overlayfs reads it."""
        self._layout = StoreLayout(GuestPath(store_path))
        self._stored = StoredTemplates(self._layout)
        self._chain_id = chain_id
        self._template = self._layout.template(chain_id)
        self._is_alone = is_alone
        self._staging_name = ""
        self._lock = -1
        self._replaced: Counter[str] = Counter()

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
        if not self._stored.is_flat(self._chain_id):
            return False
        make_read_only([self._layout.template_rootfs(self._chain_id)])
        return True

    @property
    def directory(self) -> GuestPath:
        """What is written to; made at the first use.

        Raises:
            StoreFull: no space left.
            AgentError: it cannot be made.
        """
        while not self._staging_name:
            self._make_staging()
        return self._staging.below(self._written_name)

    def apply(
        self,
        layer: TemplateLayer,
        stream: ByteSource,
        *,
        limits: LayerLimits | None = None,
        on_bytes: Callable[[int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        lower: Callable[[], int] | None = None,
        large_window: Callable[[], None] | None = None,
        meter: LayerMeter | None = None,
    ) -> LayerResult:
        """Apply the next layer, lowest first.

        A layer alone asks `lower` for what lies below it; `large_window` may put off what takes much memory (see
        `apply_layer`).

        Raises:
            BlobCorrupt, DiffIdMismatch, MediaTypeUnsupported, LayerRefused, StoreFull, AgentError: as apply_layer.
        """
        applied = apply_layer(
            self.directory,
            stream,
            layer_name=layer.digest,
            media_type=layer.media_type,
            digest=layer.digest,
            diff_id=layer.diff_id,
            limits=limits,
            on_bytes=on_bytes,
            cancelled=cancelled,
            whiteouts=self._whiteouts(),
            lower=lower,
            large_window=large_window,
            meter=meter,
            rootless=in_user_namespace(),
        )
        self._replaced.update(applied.replaced)
        return applied

    def _whiteouts(self) -> Whiteouts:
        if not self._is_alone:
            return Whiteouts.APPLIED
        return Whiteouts.USER_OVERLAY if in_user_namespace() else Whiteouts.OVERLAY

    def commit(self) -> bool:
        """Sync what was written and put it in its place; False when somebody else was faster, which is as good.

        Raises:
            StoreFull: no space left.
            AgentError: it cannot be put there, or made read-only.
        """
        self.seal()
        sync(self._staging)
        created = self.place()
        with translating("commit template", self._template), opened_directory(self._layout.templates) as templates:
            os.fsync(templates)
        self.exists()
        return created

    def seal(self, below: Digest | None = None) -> None:
        """Mark as whole what was written; a layer alone names what is below it. To be synced before it is placed.

        What could not be made as it is in the layers is noted beside it.

        Raises:
            StoreFull: no space left.
            AgentError: it cannot be marked.
        """
        directory, layout = self.directory, self._layout
        mark = layout.template_stack(self._chain_id) if self._is_alone else layout.template_mark(self._chain_id)
        named = below if below is not None and opaque_attribute() not in os.listxattr(directory) else ""
        with translating("commit template", self._template):
            if self._replaced:
                self._write(layout.template_replacements(self._chain_id), msgspec.json.encode(dict(self._replaced)))
            self._write(mark, named.encode("ascii"))

    def _write(self, path: GuestPath, content: bytes) -> None:
        with open(self._staging.below(os.path.basename(path)), "wb") as file:
            file.write(content)

    def place(self) -> bool:
        """Put what was sealed in its place; False when somebody else was faster, which is as good.

        Raises:
            AgentError: it cannot be put there.
        """
        with translating("commit template", self._template), opened_directory(self._layout.templates) as templates:
            if not self._stored.is_flat(self._chain_id) and not self._stored.is_alone(self._chain_id):
                # A template without a mark was left half-made by a host that cannot write aside.
                half_made = move_to_trash(templates, os.path.basename(self._template))
                if half_made is not None:
                    remove_tree(templates, half_made)
            try:
                os.rename(self._staging, self._template)
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                    return False
                raise
        self._staging_name = ""
        self._release()
        return True

    @property
    def _staging(self) -> GuestPath:
        return self._layout.templates.below(self._staging_name)

    @property
    def _written_name(self) -> str:
        layout = self._layout
        written = layout.template_layer(self._chain_id) if self._is_alone else layout.template_rootfs(self._chain_id)
        return os.path.basename(written)

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
                os.mkdir(self._written_name, 0o755, dir_fd=lock)
                os.chmod(self._written_name, 0o755, dir_fd=lock)
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


def make_read_only(directories: Iterable[str]) -> None:
    """Mount the directories of templates read-only onto themselves, once in this sandbox.

    Changing the lower directory of a mounted overlay is undefined (kernel, overlayfs.rst), so nothing in the
    sandbox shall be able to.

    Raises:
        AgentError: the kernel refused.
    """
    for directory in directories:
        if not mounts.is_mount_point(directory):
            mounts.mount("bind", directory, directory, ["ro", "private"])
