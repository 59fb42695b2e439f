"""What a container writes to its root filesystem, held to so many bytes: by a project quota, or an image of its own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import msgspec

from firkin.domain.errors import UnsupportedFeature
from firkin.domain.layout import OverlayLayout
from firkin.vminitd.seccomp_filter import can_compile
from firkin.vminitd.user_namespace import in_user_namespace

from . import mounts
from .failures import translating
from .limited_volumes import LimitedDirectory, RunProgram, mount_limited
from .project_quotas import forget_project, keeps_project_quotas, limit_directory, project_of

_PROMISE = "the size limit of a container's writable layer"
_PURPOSE = "limiting the size of a container's writable layer"
# The directories upper, work and what overlayfs makes in it, and the blocks that list a few long files' extents.
_QUOTA_ALLOWANCE_BYTES = 16 * 4096


class LayerLimit(msgspec.Struct, frozen=True):
    """How much a container may write.

    Attributes:
        limit_bytes: what the files and directories that it makes or changes may take.
        quota_suffices: whether the container can neither exceed a quota nor leave its project: it lacks the
            capabilities for that, and its system calls are filtered.
        run: how programs are run.
    """

    limit_bytes: int
    quota_suffices: bool
    run: RunProgram


def limit_layer(layout: OverlayLayout, limit: LayerLimit) -> None:
    """Hold the empty directory `layout.limited` to the limit.

    Raises:
        MissingTool, UnsupportedFeature: neither a quota nor a filesystem of its own can be had.
        StoreFull, AgentError: it cannot be made.
    """
    path = layout.limited
    if limit.quota_suffices and can_compile() and _is_on_a_store_of_its_own(layout) and keeps_project_quotas(path):
        with translating("limit writable layer", path):
            limit_directory(path, limit.limit_bytes + _QUOTA_ALLOWANCE_BYTES)
        return
    if in_user_namespace():
        raise UnsupportedFeature(_PROMISE, "only root can mount a filesystem of its own; run as root")
    directory = LimitedDirectory(path, layout.limited_image, limit.limit_bytes, _PROMISE, _PURPOSE)
    mount_limited(directory, limit.run)


@contextlib.contextmanager
def limits_forgotten(layout: OverlayLayout) -> Iterator[None]:
    """Take the limits off the overlay's project, if it has one, when the body has removed its directories."""
    project = _project(layout)
    yield
    if project:
        with translating("forget limit of writable layer", layout.base):
            forget_project(os.path.dirname(layout.base), project)


def _project(layout: OverlayLayout) -> int:
    if not os.path.isdir(layout.limited) or not _is_on_a_store_of_its_own(layout):
        return 0
    try:
        return project_of(layout.limited)
    except OSError:
        # The filesystem knows no projects.
        return 0


def _is_on_a_store_of_its_own(layout: OverlayLayout) -> bool:
    """Whether the store is a filesystem; the projects of one that is somebody else's directory are not ours."""
    store = layout.base.rpartition("/pods/")[0]
    return mounts.is_mount_point(store) and not mounts.shows_subdirectory(store)
