"""A container's root filesystem: an overlay of its own writes over a template (kernel, overlayfs.rst)."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Sequence

from msgspec.structs import replace

from firkin.domain.errors import AgentError, FirkinError
from firkin.domain.guest_path import GuestPath
from firkin.domain.layout import OverlayLayout

from . import mounts
from .beneath import opened_directory
from .failures import translating
from .limited_layers import LayerLimit, limit_layer, limits_forgotten
from .lower_directories import escaped, lowerdir
from .removal import move_to_trash, remove_tree
from .stored_templates import directories_of

# What a container writes is thrown away with it, so nothing of it needs to survive a crash: `volatile` spares
# every fsync of the upper directory (Linux 5.10).
_VOLATILE = "volatile"


def prepare_overlay(base: GuestPath, lower: GuestPath, limit: LayerLimit | None = None) -> None:
    """Make upper, work and merged below `base` and mount the overlay of upper over `lower` on merged.

    Where `lower` is the rootfs of a template that is a stack of layers, upper lies over all of them. What an earlier
    container left at `base` is removed first. With a limit, upper and work lie in a directory that holds so much. A
    failure leaves nothing behind.

    Raises:
        MissingTool, UnsupportedFeature: the limit cannot be enforced.
        StoreFull: no space left.
        AgentError: `base` is in use, `lower` is missing, or the kernel refused the overlay.
    """
    layout = OverlayLayout(base)
    if mounts.is_mount_point(layout.merged):
        raise AgentError("prepare overlay", "an overlay is mounted there", path=base, errno=errno.EBUSY)
    with limits_forgotten(layout):
        _discard(base)
    lowers = directories_of(lower)
    with translating("find template", lowers[0]):
        lower_status = os.stat(lowers[0])
        if not stat.S_ISDIR(lower_status.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), lower)
    with contextlib.ExitStack() as undo, translating("prepare overlay", base):
        os.makedirs(os.path.dirname(base), 0o755, exist_ok=True)
        os.mkdir(base, 0o755)
        undo.callback(_remove_quietly, base)
        if limit is not None:
            os.mkdir(layout.limited, 0o755)
            limit_layer(layout, limit)
            layout = replace(layout, is_limited=True)
        for directory in (layout.upper, layout.work, layout.merged):
            os.mkdir(directory, 0o755)
        # The overlay's root shows the attributes of the upper directory, so they must be those of the template.
        os.chown(layout.upper, lower_status.st_uid, lower_status.st_gid)
        os.chmod(layout.upper, stat.S_IMODE(lower_status.st_mode))
        _mount(layout, lowers)
        undo.pop_all()


def _mount(layout: OverlayLayout, lowers: Sequence[str]) -> None:
    with lowerdir(lowers) as option:
        options = [option, f"upperdir={escaped(layout.upper)}", f"workdir={escaped(layout.work)}"]
        try:
            mounts.mount("overlay", "overlay", layout.merged, [*options, _VOLATILE])
        except AgentError as error:
            if error.errno != errno.EINVAL:
                raise
            _mount_without_volatile(layout, options)


def _mount_without_volatile(layout: OverlayLayout, options: list[str]) -> None:
    try:
        mounts.mount("overlay", "overlay", layout.merged, options)
    except AgentError as error:
        if error.errno != errno.EINVAL:
            raise
        reason = "the store's filesystem cannot hold what an overlay writes (another overlay, for example, cannot)"
        raise AgentError("prepare overlay", reason, path=layout.base, errno=errno.EINVAL) from error


def remove_overlay(base: GuestPath) -> list[str]:
    """Unmount a container's overlay and remove its directories; an overlay that is gone is removed already.

    Nothing is deleted through a live mount. Only when unmounting keeps failing because it is in use, it is
    detached instead, which is reported. Returns what could not be done, in sentences.
    """
    problems: list[str] = []
    for point in mounts.mounts_below(base):
        problems += release_mount(point)
    try:
        with limits_forgotten(OverlayLayout(base)):
            _discard(base)
    except FirkinError as error:
        problems.append(str(error))
    return problems


def release_mount(point: str) -> list[str]:
    """Unmount `point`; when it stays in use, detach it and say so."""
    try:
        mounts.unmount(point, mounts.UMOUNT_NOFOLLOW)
    except AgentError as error:
        if error.errno == errno.EINVAL:
            return []
        problem = f"{error}; it was detached, and goes when its last user does"
        try:
            mounts.unmount(point, mounts.MNT_DETACH | mounts.UMOUNT_NOFOLLOW)
        except AgentError as detach_error:
            return [str(detach_error)]
        return [problem]
    return []


def _discard(base: str) -> None:
    """Move `base` out of the way and delete it; nothing may be mounted below it."""
    if not os.path.lexists(base):
        return
    parent, name = os.path.split(base)
    if still := mounts.mounts_below(base):
        raise AgentError("remove overlay", f"{still[0]} is still mounted", path=base, errno=errno.EBUSY)
    with translating("remove overlay", base), contextlib.suppress(FileNotFoundError), opened_directory(parent) as above:
        if (trash := move_to_trash(above, name)) is not None:
            remove_tree(above, trash)


def _remove_quietly(base: GuestPath) -> None:
    with contextlib.suppress(FirkinError):
        remove_overlay(base)
