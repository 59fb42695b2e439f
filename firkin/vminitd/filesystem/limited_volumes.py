"""emptyDirs on disk that hold so many bytes and no more: each is a filesystem of its own, in a file of the store.

Not a project quota, where the kernel has one, as for the layers of containers: who writes beyond a volume is promised
ENOSPC, and ext4 has EDQUOT for whoever writes beyond a quota, whatever its kind.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Sequence

import msgspec

from firkin.domain.errors import AgentError, MissingTool, StoreFull, UnsupportedFeature
from firkin.domain.guest_path import GuestPath
from firkin.domain.volumes import EmptyDirVolume
from firkin.vminitd.user_namespace import in_user_namespace

from ..error_numbers import number_of
from . import mounts
from .failures import translating
from .loop_devices import attached

BLOCK_BYTES = 4096
_GROUP_BLOCKS_MAXIMUM = 8 * BLOCK_BYTES
_INODE_BYTES = 256
_INODES_PER_BLOCK = BLOCK_BYTES // _INODE_BYTES
_DESCRIPTOR_BYTES = 64
# What the kernel keeps for its own metadata while it writes (ext4_calculate_resv_clusters): a 50th, at most.
_KERNEL_RESERVE_SHARE = 50
_KERNEL_RESERVE_BLOCKS = 4096
_ROOT_DIRECTORY_BLOCKS = 1
# Without journal: what a volume holds goes with its pod, and has no crash to survive.
_FEATURES = (
    "none,64bit,dir_index,dir_nlink,ext_attr,extent,extra_isize,filetype,flex_bg,huge_file,large_file,"
    "metadata_csum,sparse_super"
)
_OPTIONS = ("nosuid", "nodev", "noatime", "noinit_itable", "discard")
_NO_LOOP_DEVICES = (errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENODEV, errno.ENXIO, errno.ENOTTY, errno.EINVAL)

RunProgram = Callable[[Sequence[str]], tuple[int, str]]
"""Runs a command to its end; returns its exit code and what it wrote."""


class Geometry(msgspec.Struct, frozen=True):
    """The shape of an ext4 filesystem: groups of equal length."""

    groups: int
    blocks_per_group: int

    @property
    def blocks(self) -> int:
        """The whole length."""
        return self.groups * self.blocks_per_group

    @property
    def usable_blocks(self) -> int:
        """What files and directories may fill."""
        group = 2 + self.blocks_per_group // _INODES_PER_BLOCK
        copies = 1 + -(-self.groups * _DESCRIPTOR_BYTES // BLOCK_BYTES)
        overhead = self.groups * group + _superblocks(self.groups) * copies + _ROOT_DIRECTORY_BLOCKS
        return self.blocks - overhead - min(self.blocks // _KERNEL_RESERVE_SHARE, _KERNEL_RESERVE_BLOCKS)


def _superblocks(groups: int) -> int:
    """How many groups have a copy of the superblock: 0, 1 and the powers of 3, 5 and 7 (ext4(5), sparse_super)."""
    powers = sum(1 for root in (3, 5, 7) for power in range(1, 32) if root**power < groups)
    return min(groups, 2) + powers


def geometry(limit_bytes: int) -> Geometry:
    """The smallest filesystem of this kind that holds `limit_bytes` in a file, and the blocks to find them by."""
    wanted = -(-limit_bytes // BLOCK_BYTES)
    # 340 extents fit in a block, and a long file has about one in each group.
    wanted += 4 + wanted // 8192
    blocks = wanted
    while (shape := _shaped(blocks)).usable_blocks < wanted:
        blocks += wanted - shape.usable_blocks
    return shape


def _shaped(blocks: int) -> Geometry:
    groups = -(-blocks // _GROUP_BLOCKS_MAXIMUM)
    share = -(-blocks // groups)
    return Geometry(groups, -(-share // _INODES_PER_BLOCK) * _INODES_PER_BLOCK)


def mount_limited_volume(path: GuestPath, image: GuestPath, volume: EmptyDirVolume, run: RunProgram) -> None:
    """Make a filesystem of the volume's size limit in the file `image`, and mount it at `path`.

    The file is sparse and gives back what is removed from it. Unmounting `path` frees its loop device.

    Raises:
        MissingTool: mke2fs is not installed in the sandbox.
        UnsupportedFeature: the sandbox has no loop devices, its root is not the host's, or its kernel has no ext4.
        StoreFull: no space left on the store.
        AgentError: anything else that stands in the way.
    """
    promise = f"the size limit of emptyDir {volume.name!r} on disk"
    if in_user_namespace():
        reason = "only root can mount a filesystem of its own; limit an emptyDir in memory instead, or run as root"
        raise UnsupportedFeature(promise, reason)
    purpose = "limiting the size of an emptyDir on disk"
    mount_limited(LimitedDirectory(path, image, volume.size_limit or 0, promise, purpose), run)


class LimitedDirectory(msgspec.Struct, frozen=True):
    """A directory that holds `limit_bytes`, as a filesystem of its own in the file `image`.

    Attributes:
        promise: what is promised with it, for the error that says that it cannot be.
        purpose: what it is for, for the error that names a missing tool.
    """

    path: GuestPath
    image: GuestPath
    limit_bytes: int
    promise: str
    purpose: str


def mount_limited(directory: LimitedDirectory, run: RunProgram) -> None:
    """Make the filesystem and mount it, empty; the errors are those of `mount_limited_volume`."""
    _make_image(directory, geometry(directory.limit_bytes), run)
    path = directory.path
    try:
        with attached(directory.image) as device:
            mounts.mount("ext4", device, path, _OPTIONS)
    except OSError as error:
        if error.errno in _NO_LOOP_DEVICES:
            reason = f"the sandbox cannot use loop devices ({error.filename}: {error.strerror})"
            raise UnsupportedFeature(directory.promise, reason) from error
        raise AgentError("attach limited directory", error.strerror or "", path=path, errno=number_of(error)) from error
    except AgentError as error:
        if error.errno == errno.ENODEV:
            raise UnsupportedFeature(directory.promise, "the sandbox's kernel has no ext4") from error
        raise
    with translating("make limited directory", path):
        # What lost+found is for, a repair, nothing limited lives to see.
        os.rmdir(path.below("lost+found"))


def _make_image(directory: LimitedDirectory, shape: Geometry, run: RunProgram) -> None:
    image = directory.image
    program = shutil.which("mke2fs")
    if program is None:
        raise MissingTool("mke2fs", directory.purpose, "e2fsprogs")
    with translating("make limited directory", image), open(image, "xb") as file:
        file.truncate(shape.blocks * BLOCK_BYTES)
    status, output = run(
        [
            *(program, "-q", "-F", "-b", str(BLOCK_BYTES), "-g", str(shape.blocks_per_group)),
            # One inode for each block: the bytes are used up before the inodes are.
            *("-i", str(BLOCK_BYTES), "-I", str(_INODE_BYTES), "-m", "0", "-O", _FEATURES),
            *("-E", "lazy_itable_init=1,nodiscard,root_owner=0:0", "--", image),
        ]
    )
    if status != 0:
        if os.strerror(errno.ENOSPC) in output:
            raise StoreFull(image)
        reason = output.strip() or f"mke2fs ended with status {status}"
        raise AgentError("make limited directory", reason, path=image, errno=errno.EIO)
