"""Lower directories of overlays: one, or a stack of them (kernel, overlayfs.rst "Multiple lower layers")."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

from firkin.vminitd.user_namespace import in_user_namespace

from . import mounts
from .beneath import DIRECTORY
from .failures import translating

_OPTION_BYTES = 3072  # of a page, which all options share


def opaque_attribute() -> str:
    """What overlayfs reads at a directory that hides those of its name below it."""
    return "user.overlay.opaque" if in_user_namespace() else "trusted.overlay.opaque"


@contextlib.contextmanager
def lowerdir(lowers: Sequence[str]) -> Iterator[str]:
    """The mount option that names lower directories, the uppermost first; good within the block.

    All options of a mount fit in one page, so that many long paths are named by their descriptors instead.

    Raises:
        AgentError: one of them cannot be opened.
    """
    option = "lowerdir=" + ":".join(map(escaped, lowers))
    if len(os.fsencode(option)) <= _OPTION_BYTES:
        yield option
        return
    with contextlib.ExitStack() as opened:
        descriptors = []
        for lower in lowers:
            with translating("open lower directory", lower):
                descriptors.append(os.open(lower, DIRECTORY | os.O_PATH))
            opened.callback(os.close, descriptors[-1])
        yield "lowerdir=" + ":".join(f"/proc/self/fd/{descriptor}" for descriptor in descriptors)


def escaped(path: str) -> str:
    """A path as overlayfs reads it: it splits layers at ':' and options at ','."""
    return path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")


def opened_merged(lowers: Sequence[str], mount_point: str) -> int:
    """Show lower directories, the uppermost first and two at least, merged and read-only, as a directory descriptor.

    Nothing stays mounted at `mount_point`: the overlay lives as long as the descriptor.

    Raises:
        AgentError: the kernel refused.
    """
    with lowerdir(lowers) as option:
        mounts.mount("overlay", "overlay", mount_point, ["ro", option])
    try:
        with translating("open merged layers", mount_point):
            return os.open(mount_point, DIRECTORY)
    finally:
        mounts.unmount(mount_point, mounts.MNT_DETACH | mounts.UMOUNT_NOFOLLOW)
