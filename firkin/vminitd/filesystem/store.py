"""The pod store inside the sandbox: mounting it, a pod's directories on it, and how full it is."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator, Sequence

from firkin.domain.errors import AgentError, FirkinError, StoreDamaged, UnsupportedFeature
from firkin.domain.guest_path import GuestPath
from firkin.domain.ids import PodId, VolumeName
from firkin.domain.layout import StoreLayout
from firkin.domain.mounts import Mount
from firkin.domain.reports import StoreUsage
from firkin.domain.volumes import EmptyDirMedium, EmptyDirVolume
from firkin.vminitd.user_namespace import mapped_groups

from . import mounts, syscalls
from .beneath import DIRECTORY, opened_directory
from .failures import translating
from .limited_volumes import RunProgram, mount_limited_volume
from .overlays import release_mount
from .removal import TRASH_PREFIX, move_to_trash, remove_tree

STAGING_PREFIX = ".staging-"
"""Templates in the making; a builder holds a lock (flock(2)) on its own, so an unlocked one is abandoned."""

_CANNOT_TRIM = (errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL)
# What mounting a device says when what is on it is no filesystem, or a broken one.
_NOT_A_FILESYSTEM = (errno.EINVAL, errno.EUCLEAN, errno.EIO, errno.EBADMSG)


def prepare_pod(pod_id: PodId, store: Mount, volumes: Sequence[EmptyDirVolume], run: RunProgram) -> None:
    """Mount the store, clean it of what is abandoned, and make the pod's directories and emptyDirs.

    A store that is mounted already is used as it is. What an earlier pod of this id left is removed, and what any pod
    left in a filesystem that is mounted for this one alone. A failure undoes what this call did. `run` is how
    programs are run.

    Raises:
        MissingTool, UnsupportedFeature: the size limit of an emptyDir on disk cannot be enforced.
        StoreFull: no space left.
        StoreDamaged: there is no usable filesystem on the store.
        AgentError: anything else that stands in the way.
    """
    layout = StoreLayout(GuestPath(store.destination))
    # A filesystem of its own is one pod's at a time; a directory may be several sandboxes'.
    is_alone = False
    with contextlib.ExitStack() as undo:
        if not mounts.is_mount_point(layout.mount):
            _mount_store(store)
            undo.callback(release_mount, layout.mount)
            is_alone = store.type == "ext4"
        with translating("prepare pod", layout.mount):
            for directory in (layout.templates, layout.pods):
                os.makedirs(directory, 0o755, exist_ok=True)
            _remove_abandoned_templates(layout)
            _remove_trash(layout.pods)
        if is_alone:
            _remove_all_pods(layout)
        leftovers = _remove_pod(layout, pod_id)
        if leftovers:
            left = "; ".join(leftovers)
            raise AgentError("remove what an earlier pod left", left, path=layout.pod(pod_id), errno=errno.EBUSY)
        undo.callback(_remove_pod, layout, pod_id)
        _make_pod(layout, pod_id, volumes, run)
        undo.pop_all()


def _mount_store(store: Mount) -> None:
    try:
        mounts.mount(store.type, store.source, store.destination, store.options)
    except AgentError as error:
        on_device = store.source.startswith("/dev/")
        if on_device and error.errno in _NOT_A_FILESYSTEM:
            raise StoreDamaged(store.source, f"no {store.type} filesystem can be mounted from it") from error
        error.during("mount pod store")
        raise


def _make_pod(layout: StoreLayout, pod_id: PodId, volumes: Sequence[EmptyDirVolume], run: RunProgram) -> None:
    pod = layout.pod(pod_id)
    with translating("make the pod's directories", pod):
        os.mkdir(pod, 0o755)
        os.mkdir(pod.below("containers"), 0o755)
        os.mkdir(pod.below("emptydir"), 0o755)
    for volume in volumes:
        make_volume(layout, pod_id, volume, run)


def make_volume(layout: StoreLayout, pod_id: PodId, volume: EmptyDirVolume, run: RunProgram) -> None:
    """Make an emptyDir of a pod whose directories are there.

    Raises:
        MissingTool, UnsupportedFeature: its size limit or group cannot be had.
        StoreFull: no space left.
        AgentError: it is there already, or anything else that stands in the way.
    """
    path = layout.empty_dir(pod_id, volume.name)
    with translating("make emptyDir", path):
        os.mkdir(path, 0o755)
    if volume.medium is EmptyDirMedium.MEMORY:
        size = [] if volume.size_limit is None else [f"size={volume.size_limit:d}"]
        mounts.mount("tmpfs", "tmpfs", path, ["nosuid", "nodev", *size])
    elif volume.size_limit is not None:
        image = layout.empty_dir_image(pod_id, volume.name)
        with translating("make emptyDir", image):
            os.makedirs(os.path.dirname(image), 0o700, exist_ok=True)
        mount_limited_volume(path, image, volume, run)
    if volume.group_id is not None and volume.group_id not in mapped_groups():
        reason = "it is not among the ids that containers of this user have; `firkin doctor` tells how to get more"
        raise UnsupportedFeature(f"group {volume.group_id} of emptyDir {volume.name!r}", reason)
    with translating("make emptyDir", path):
        if volume.group_id is not None:
            os.chown(path, -1, volume.group_id)
        # Containers may run as any user; chmod, because mkdir heeds the umask.
        os.chmod(path, 0o777 if volume.group_id is None else 0o2777)


def _remove_pod(layout: StoreLayout, pod_id: PodId) -> list[str]:
    """Unmount everything of the pod and remove its directories; returns what could not be done."""
    pod = layout.pod(pod_id)
    problems = [problem for point in mounts.mounts_below(pod) for problem in release_mount(point)]
    try:
        with translating("remove pod", pod), opened_directory(layout.pods) as pods:
            if (trash := move_to_trash(pods, pod_id)) is not None:
                remove_tree(pods, trash)
    except FirkinError as error:
        problems.append(str(error))
    return problems


def _remove_all_pods(layout: StoreLayout) -> None:
    with translating("remove what earlier pods left", layout.pods), opened_directory(layout.pods) as pods:
        for name in os.listdir(pods):
            if (trash := move_to_trash(pods, name)) is not None:
                remove_tree(pods, trash)


def _remove_abandoned_templates(layout: StoreLayout) -> None:
    with opened_directory(layout.templates) as templates:
        for name in _names(templates, STAGING_PREFIX):
            with _locked(templates, name) as is_abandoned:
                if is_abandoned and (trash := move_to_trash(templates, name)) is not None:
                    remove_tree(templates, trash)
    _remove_trash(layout.templates)


@contextlib.contextmanager
def _locked(directory: int, name: str) -> Iterator[bool]:
    """True, with its lock held, when nobody else holds the lock of the directory `name`."""
    try:
        descriptor = os.open(name, DIRECTORY, dir_fd=directory)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _remove_trash(directory: str) -> None:
    """Remove what an earlier removal had no time or chance to."""
    with opened_directory(directory) as parent:
        for name in _names(parent, TRASH_PREFIX):
            # What cannot be removed now is in nobody's way; the next pod tries again.
            with contextlib.suppress(OSError):
                remove_tree(parent, name)


def _names(directory: int, prefix: str) -> list[str]:
    with os.scandir(directory) as listing:
        return [entry.name for entry in listing if entry.name.startswith(prefix)]


def tear_down_pod(pod_id: PodId, store_path: GuestPath, volumes: Sequence[VolumeName | str]) -> list[str]:
    """Unmount and remove everything of the pod, then sync (when the store is a filesystem) and unmount the store.

    Idempotent. A store that is a plain directory, not a mount, stays. Returns what could not be done, in
    sentences.
    """
    layout = StoreLayout(store_path)
    if not os.path.isdir(layout.pods):
        return []
    problems = [problem for name in volumes for problem in _unmount_volume(layout.empty_dir(pod_id, VolumeName(name)))]
    problems += _remove_pod(layout, pod_id)
    # The templates are mounted read-only onto themselves.
    problems += [problem for point in mounts.mounts_below(store_path) for problem in release_mount(point)]
    try:
        # A store that is a directory of the host is on the host's own filesystem, which the host writes out in its
        # time: to wait for everything that anybody wrote there would only delay the end of the pod.
        if not mounts.shows_subdirectory(store_path):
            sync(store_path)
    except FirkinError as error:
        problems.append(str(error))
    if mounts.is_mount_point(store_path):
        problems += release_mount(store_path)
    return problems


def _unmount_volume(path: str) -> list[str]:
    return release_mount(path) if mounts.is_mount_point(path) else []


def usage(path: str) -> StoreUsage:
    """How full the filesystem of `path` is.

    Raises:
        AgentError: it cannot be told.
    """
    with translating("read filesystem usage", path):
        status = os.statvfs(path)
    return StoreUsage(status.f_frsize, status.f_blocks, status.f_bfree, status.f_bavail)


def trim(path: str, minimum_bytes: int = 0) -> int:
    """Give unused extents of at least `minimum_bytes` back; returns the bytes trimmed, 0 where that cannot be done.

    Where `path` is the bind of a directory, the filesystem is somebody else's, and is left alone.

    Raises:
        AgentError: `path` cannot be opened, or trimming failed.
    """
    with translating("trim", path), opened_directory(path) as directory:
        if mounts.shows_subdirectory(path):
            return 0
        try:
            # Blocks that were freed a moment ago are free for ext4 once its journal says so, and not before.
            syscalls.sync_filesystem(directory)
            return syscalls.trim_filesystem(directory, minimum_bytes)
        except OSError as error:
            if error.errno in _CANNOT_TRIM:
                return 0
            raise


def sync(path: str) -> None:
    """Write the whole filesystem of `path` out.

    Raises:
        StoreFull: what was written before found no space.
        AgentError: writing failed.
    """
    with translating("sync", path), opened_directory(path) as directory:
        syscalls.sync_filesystem(directory)
