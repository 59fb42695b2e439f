"""mount(2) in the words of mount(8)."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from firkin.domain.errors import AgentError
from firkin.vminitd.user_namespace import in_user_namespace

from . import syscalls
from .failures import translated, translating
from .needed import refuse_covering

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_SYNCHRONOUS, MS_REMOUNT, MS_MANDLOCK, MS_DIRSYNC = 16, 32, 64, 128
MS_NOSYMFOLLOW, MS_NOATIME, MS_NODIRATIME, MS_BIND = 256, 1024, 2048, 4096
MS_MOVE, MS_REC, MS_SILENT = 8192, 16384, 32768
MS_UNBINDABLE, MS_PRIVATE, MS_SLAVE, MS_SHARED = 1 << 17, 1 << 18, 1 << 19, 1 << 20
MS_RELATIME, MS_STRICTATIME, MS_LAZYTIME = 1 << 21, 1 << 24, 1 << 25
MNT_DETACH, UMOUNT_NOFOLLOW = 2, 8

_SET = {
    "bind": MS_BIND, "rbind": MS_BIND | MS_REC, "ro": MS_RDONLY, "nosuid": MS_NOSUID, "nodev": MS_NODEV,
    "noexec": MS_NOEXEC, "nosymfollow": MS_NOSYMFOLLOW, "noatime": MS_NOATIME, "nodiratime": MS_NODIRATIME,
    "relatime": MS_RELATIME, "strictatime": MS_STRICTATIME, "lazytime": MS_LAZYTIME, "sync": MS_SYNCHRONOUS,
    "dirsync": MS_DIRSYNC, "mand": MS_MANDLOCK, "remount": MS_REMOUNT, "silent": MS_SILENT, "move": MS_MOVE,
}  # fmt: skip
_CLEAR = {
    "rw": MS_RDONLY, "suid": MS_NOSUID, "dev": MS_NODEV, "exec": MS_NOEXEC, "symfollow": MS_NOSYMFOLLOW,
    "atime": MS_NOATIME, "diratime": MS_NODIRATIME, "norelatime": MS_RELATIME, "nostrictatime": MS_STRICTATIME,
    "nolazytime": MS_LAZYTIME, "async": MS_SYNCHRONOUS, "nomand": MS_MANDLOCK, "loud": MS_SILENT,
}  # fmt: skip
_PROPAGATION = {
    "shared": MS_SHARED, "rshared": MS_SHARED | MS_REC, "private": MS_PRIVATE, "rprivate": MS_PRIVATE | MS_REC,
    "slave": MS_SLAVE, "rslave": MS_SLAVE | MS_REC, "unbindable": MS_UNBINDABLE,
    "runbindable": MS_UNBINDABLE | MS_REC,
}  # fmt: skip
# Attributes of mount_setattr(2), for the mount and everything mounted below it.
_RECURSIVE = {"rro": 1, "rnosuid": 2, "rnodev": 4, "rnoexec": 8}

# What mount(2) takes from a bind only in a second call, as a remount.
_PER_MOUNT = (
    MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOSYMFOLLOW
    | MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME
)  # fmt: skip
_DATA_LIMIT_BYTES = os.sysconf("SC_PAGE_SIZE") - 1
_BUSY_SECONDS = 1.0
# In a user namespace overlayfs keeps its marks in attributes of the class `user` (Linux 5.11).
_USER_ATTRIBUTES = "userxattr"
_BUSY_INTERVAL_SECONDS = 0.01


class MountOptions(NamedTuple):
    """Options by what they are handed to: flags of mount(2), propagation calls, mount_setattr(2), the filesystem."""

    flags: int
    propagation: tuple[int, ...]
    recursive_attributes: int
    data: str

    @classmethod
    def parse(cls, words: Sequence[str]) -> MountOptions:
        """Sort option words; the last one wins where two contradict, and `defaults` means nothing."""
        flags, attributes = 0, 0
        propagation: list[int] = []
        data: list[str] = []
        for word in (part for option in words for part in _split(option)):
            if word in _SET:
                flags |= _SET[word]
            elif word in _CLEAR:
                flags &= ~_CLEAR[word]
            elif word in _PROPAGATION:
                propagation.append(_PROPAGATION[word])
            elif word in _RECURSIVE:
                attributes |= _RECURSIVE[word]
            elif word and word != "defaults" and not word.startswith("x-"):
                data.append(word)
        return cls(flags, tuple(propagation), attributes, ",".join(data))


def _split(option: str) -> Sequence[str]:
    # `nosuid,nodev` in one word is two options; a value with an escaped comma stays whole.
    return (option,) if "=" in option else option.split(",")


def mount(mount_type: str, source: str, destination: str, options: Sequence[str]) -> None:
    """Mount `source` on `destination`, which is made when absent (a file for the bind of a file).

    A bind takes `ro`, `nosuid` and the like; `rro`, `rnosuid`, `rnodev` and `rnoexec` also change everything
    mounted below; propagation words are applied last. A mount that fails leaves nothing behind.

    Raises:
        PathRefused: the destination is not absolute, or the agent needs what is there.
        StoreFull: no space left to make the destination.
        AgentError: the kernel refused; errno says why.
    """
    refuse_covering(destination)
    parsed = MountOptions.parse((*_implied_options(mount_type), *options))
    if parsed.flags & MS_MOVE:
        refuse_covering(source)
    if len(os.fsencode(parsed.data)) > _DATA_LIMIT_BYTES:
        raise AgentError("mount", f"its options exceed {_DATA_LIMIT_BYTES} bytes", path=destination, errno=errno.E2BIG)
    with contextlib.ExitStack() as undo, translating("mount", destination):
        if not parsed.flags & MS_REMOUNT:
            _make_destination(undo, destination, as_file=bool(parsed.flags & MS_BIND) and not os.path.isdir(source))
        _attach(undo, mount_type, source, destination, parsed)
        undo.pop_all()


def _implied_options(mount_type: str) -> tuple[str, ...]:
    if mount_type == "overlay" and in_user_namespace():
        return (_USER_ATTRIBUTES,)
    return ("bind",) if mount_type == "bind" else ()


def _attach(undo: contextlib.ExitStack, mount_type: str, source: str, destination: str, parsed: MountOptions) -> None:
    flags = parsed.flags
    is_new_bind = bool(flags & MS_BIND) and not flags & MS_REMOUNT
    only_propagation = bool(parsed.propagation) and not (mount_type or source or flags or parsed.data)
    if not only_propagation:
        syscalls.mount(source, destination, mount_type or "none", flags, parsed.data)
        if not flags & (MS_REMOUNT | MS_MOVE):
            undo.callback(syscalls.unmount, destination, MNT_DETACH | UMOUNT_NOFOLLOW)
    if is_new_bind and flags & _PER_MOUNT:
        # What the source's own mount forbids stays forbidden: statvfs(3) has the same bits as mount(2).
        kept = os.statvfs(destination).f_flag & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)
        syscalls.mount(None, destination, None, MS_BIND | MS_REMOUNT | (flags & _PER_MOUNT) | kept, None)
    if parsed.recursive_attributes:
        syscalls.set_mount_attributes(destination, parsed.recursive_attributes, recursive=True)
    for change in parsed.propagation:
        syscalls.mount(None, destination, None, change, None)


def _make_destination(undo: contextlib.ExitStack, destination: str, *, as_file: bool) -> None:
    missing: list[str] = []
    path = os.path.normpath(destination)
    while not os.path.exists(path):
        missing.append(path)
        path = os.path.dirname(path)
    for made in reversed(missing):
        if as_file and made == missing[0]:
            os.close(os.open(made, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
            undo.callback(_try, os.unlink, made)
        else:
            with contextlib.suppress(FileExistsError):
                os.mkdir(made, 0o755)
                undo.callback(_try, os.rmdir, made)


def _try(remove: Callable[[str], None], path: str) -> None:
    with contextlib.suppress(OSError):
        remove(path)


def unmount(path: str, flags: int = 0) -> None:
    """Unmount what is mounted at `path`; while it is in use, try again for a second.

    Raises:
        PathRefused: the path is not absolute, or the agent needs it.
        AgentError: it is still mounted. errno EBUSY: still in use. errno EINVAL: nothing is mounted there.
    """
    refuse_covering(path)
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            syscalls.unmount(path, flags)
        except OSError as error:
            if error.errno == errno.EBUSY and time.monotonic() < deadline:
                time.sleep(_BUSY_INTERVAL_SECONDS)
                continue
            raise _unmount_failure(error, path) from error
        return


def _unmount_failure(error: OSError, path: str) -> Exception:
    if error.errno == errno.EBUSY:
        return AgentError("unmount", "it is still in use", path=path, errno=errno.EBUSY)
    if error.errno == errno.EINVAL:
        return AgentError("unmount", "it is not a mount point", path=path, errno=errno.EINVAL)
    return translated(error, "unmount", path)


def is_mount_point(path: str) -> bool:
    """True when a mount begins at `path`; a missing path is none, and a symlink is not followed."""
    try:
        return syscalls.is_mount_root(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EOPNOTSUPP):
            raise translated(error, "examine", path) from error
        parent, name = os.path.split(os.path.normpath(path))
        return os.path.join(os.path.realpath(parent), name) in mount_points()


def mount_points() -> list[str]:
    """Every mount point of this mount namespace, in the order of mounting (proc(5), "mountinfo")."""
    with open("/proc/self/mountinfo", "rb") as table:
        return [os.fsdecode(_unescaped(line.split(b" ", 5)[4])) for line in table]


def shows_subdirectory(mount_point: str) -> bool:
    """True when the mount shows only a part of its filesystem: it is the bind of a directory."""
    point = os.path.realpath(mount_point)
    roots = [b"/"]
    with open("/proc/self/mountinfo", "rb") as table:
        for line in table:
            _, _, _, root, target, _ = line.split(b" ", 5)
            if os.fsdecode(_unescaped(target)) == point:
                roots.append(root)
    return roots[-1] != b"/"


def mounts_below(path: str) -> list[str]:
    """The mount points below `path`, not `path` itself; the last mounted first: the order to unmount them in."""
    prefix = os.path.realpath(path).rstrip("/") + "/"
    return [point for point in reversed(mount_points()) if point.startswith(prefix)]


def _unescaped(field: bytes) -> bytes:
    # Space, tab, newline and backslash are written in octal.
    for escaped, plain in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
        field = field.replace(escaped, plain)
    return field
