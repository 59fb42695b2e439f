"""What a virtual machine boots from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec


class GuestImage(msgspec.Struct, frozen=True):
    """A kernel, an initramfs, and a read-only root filesystem whose init is the guest agent.

    Who runs a machine from it holds a shared lock (flock(2)) on `root`, by which it is known to be in use.

    Attributes:
        key: the same for two images exactly when their contents are.
        kernel: what a VMM boots directly.
        kernel_version: as `uname -r` tells in the guest, "" when the kernel file does not say.
        initramfs: uncompressed; mounts the root from the virtio block device with the serial `firkin-root`.
        root: the image of the root filesystem.
    """

    key: str
    kernel: Path
    kernel_version: str
    initramfs: Path
    root: Path


BuildProgress = Callable[[str], None]
"""Told each step of a build when it begins, as the middle of a sentence ("packing the root filesystem")."""


@runtime_checkable
class GuestImages(Protocol):
    """Makes guest images, and keeps them."""

    async def image(self, kernel: Path | None = None, progress: BuildProgress | None = None) -> GuestImage:
        """The image for this version of firkin, built when it is not there yet; many may ask at once.

        Without `kernel` it has a kernel of the adapter's choice. `progress` is called from another thread.

        Raises:
            GuestImageFailed: it cannot be built.
            MissingTool, PermissionMissing: the machine lacks something.
        """
        ...
