"""Entries of a layer, applied to a rootfs (OCI image-spec v1.1, layer.md)."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Mapping

from firkin._fast import clean_member_name
from firkin.domain import tar_header
from firkin.vminitd.filesystem.removal import remove_tree

from .archive import Entry
from .rootfs import Directory, Refused, Rootfs, joined, kind_of

_WHITEOUT = b".wh."
_WHITEOUT_META = b".wh..wh."
_OPAQUE = b".wh..wh..opq"
# Overlayfs keeps its own notes here; an image has no business writing them (the kernel would believe them).
_DROPPED_XATTRS = (b"trusted.overlay.", b"user.overlay.")
_KEPT_XATTRS = (b"security.selinux", b"system.", *_DROPPED_XATTRS)
_NEW_FILE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_DEVICES = {tar_header.CHARACTER_DEVICE: stat.S_IFCHR, tar_header.BLOCK_DEVICE: stat.S_IFBLK}


class LayerWriter:
    """Writes one layer's entries below a rootfs; a whiteout removes only what layers below brought."""

    def __init__(self, rootfs: Rootfs) -> None:
        self._rootfs = rootfs
        # Paths, without symlinks, that this layer brought, and the directories above them.
        self._brought: set[bytes] = set()

    def apply(self, entry: Entry, data: Callable[[], Iterable[memoryview]]) -> None:
        """Apply one entry; `data` gives the bytes of a regular file.

        Raises:
            Refused: the entry would reach out of the rootfs, or makes no sense.
            OSError: the kernel refused.
        """
        path = _cleaned(entry.name)
        parent_path, _, name = path.rpartition(b"/")
        if not name:
            self._apply_root(entry)
        elif name.startswith(_WHITEOUT):
            self._apply_whiteout(parent_path, name)
        elif _WHITEOUT not in parent_path or not _is_reserved(parent_path):
            parent = self._rootfs.make(parent_path)
            self._rootfs.note_mtime(parent)
            self._apply_named(entry, data, parent, name)

    def finish(self) -> None:
        """Give the directories their times, after everything that was written to them."""
        self._rootfs.restore_mtimes()

    def _apply_root(self, entry: Entry) -> None:
        if entry.kind != tar_header.DIRECTORY:
            raise Refused("it would replace the rootfs itself")
        root = self._rootfs.make(b"")
        _remove_other_xattrs(root.descriptor, entry.xattrs)
        self._dress_directory(root, entry)

    def _apply_whiteout(self, parent_path: bytes, name: bytes) -> None:
        if name.startswith(_WHITEOUT_META) and name != _OPAQUE:
            return
        hidden = name.removeprefix(_WHITEOUT)
        if name != _OPAQUE and hidden in (b"", b".", b".."):
            raise Refused("it is a whiteout of nothing")
        if _is_reserved(parent_path):
            return
        parent = self._rootfs.find(parent_path)
        if parent is None:
            return
        self._rootfs.note_mtime(parent)
        if name == _OPAQUE:
            self._remove_lower_children(parent)
        else:
            self._remove_lower(parent, hidden)

    def _remove_lower_children(self, directory: Directory) -> None:
        """Remove what lower layers brought into a directory, at any depth."""
        waiting = [directory.path]
        while waiting:
            path = waiting.pop()
            found = self._rootfs.find(path)
            if found is None:
                continue
            with os.scandir(found.descriptor) as listing:
                names = [os.fsencode(child.name) for child in listing]
            for name in names:
                below = joined(path, name)
                if below in self._brought:
                    if self._is_directory(path, name):
                        waiting.append(below)
                elif (parent := self._rootfs.find(path)) is not None:
                    self._remove_lower(parent, name)

    def _is_directory(self, path: bytes, name: bytes) -> bool:
        parent = self._rootfs.find(path)
        return parent is not None and kind_of(parent, name) == stat.S_IFDIR

    def _remove_lower(self, parent: Directory, name: bytes) -> None:
        path = joined(parent.path, name)
        kind = kind_of(parent, name)
        if kind is None:
            return
        if path not in self._brought:
            self._remove(parent, name, kind)
        elif kind == stat.S_IFDIR:
            directory = self._rootfs.find(path)
            if directory is not None:
                self._remove_lower_children(directory)

    def _remove(self, parent: Directory, name: bytes, kind: int) -> None:
        path = joined(parent.path, name)
        if kind == stat.S_IFDIR:
            remove_tree(parent.descriptor, name)
            # The directories above what was brought are among it, so most removals need no search.
            if path in self._brought:
                below = path + b"/"
                self._brought -= {brought for brought in self._brought if brought.startswith(below)}
        else:
            os.unlink(name, dir_fd=parent.descriptor)
        self._brought.discard(path)
        if kind in (stat.S_IFDIR, stat.S_IFLNK):
            self._rootfs.removed(path)

    def _note_brought(self, path: bytes) -> None:
        while path and path not in self._brought:
            self._brought.add(path)
            path = path.rpartition(b"/")[0]

    def _apply_named(
        self, entry: Entry, data: Callable[[], Iterable[memoryview]], parent: Directory, name: bytes
    ) -> None:
        path = joined(parent.path, name)
        kind = kind_of(parent, name)
        if entry.kind == tar_header.DIRECTORY:
            self._apply_directory(entry, parent, name, kind)
        elif entry.kind == tar_header.HARD_LINK:
            self._apply_hard_link(entry, parent, name, kind)
        else:
            if kind is not None:
                parent = self._cleared(parent, name, kind)
            self._create(entry, data, parent, name)
        self._note_brought(path)

    def _cleared(self, parent: Directory, name: bytes, kind: int) -> Directory:
        """Remove what stands in an entry's place; returns the parent, open again if need be."""
        self._remove(parent, name, kind)
        return self._rootfs.make(parent.path) if kind in (stat.S_IFDIR, stat.S_IFLNK) else parent

    def _apply_directory(self, entry: Entry, parent: Directory, name: bytes, kind: int | None) -> None:
        if kind not in (None, stat.S_IFDIR):
            parent = self._cleared(parent, name, kind or 0)
        if kind != stat.S_IFDIR:
            os.mkdir(name, 0o755, dir_fd=parent.descriptor)
        directory = self._rootfs.make(joined(parent.path, name))
        if kind == stat.S_IFDIR:
            _remove_other_xattrs(directory.descriptor, entry.xattrs)
        self._dress_directory(directory, entry)

    def _dress_directory(self, directory: Directory, entry: Entry) -> None:
        descriptor = directory.descriptor
        os.fchown(descriptor, entry.uid, entry.gid)
        os.fchmod(descriptor, entry.mode)
        _set_xattrs(descriptor, entry.xattrs)
        self._rootfs.set_mtime(directory.path, entry.mtime_ns)

    def _apply_hard_link(self, entry: Entry, parent: Directory, name: bytes, kind: int | None) -> None:
        target_parent_path, _, target_name = _cleaned(entry.link_name).rpartition(b"/")
        if not target_name:
            raise Refused("it is a hard link to the rootfs itself")
        # Opening the target's parent may close this one.
        parent_path = parent.path
        target_parent = self._rootfs.find(target_parent_path)
        target_kind = None if target_parent is None else kind_of(target_parent, target_name)
        if target_parent is None or target_kind is None:
            raise Refused("the target of its hard link does not exist")
        if target_kind == stat.S_IFDIR:
            raise Refused("the target of its hard link is a directory")
        if joined(target_parent.path, target_name) == joined(parent_path, name):
            return
        source = os.dup(target_parent.descriptor)
        try:
            parent = self._rootfs.make(parent_path)
            if kind is not None:
                parent = self._cleared(parent, name, kind)
            os.link(target_name, name, src_dir_fd=source, dst_dir_fd=parent.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            raise Refused("the target of its hard link lies in what it replaces") from None
        finally:
            os.close(source)

    def _create(self, entry: Entry, data: Callable[[], Iterable[memoryview]], parent: Directory, name: bytes) -> None:
        if entry.kind == tar_header.REGULAR:
            _create_file(entry, data(), parent.descriptor, name)
            return
        if entry.kind == tar_header.SYMLINK:
            if not entry.link_name or b"\0" in entry.link_name:
                raise Refused("the target of its symlink is empty, or contains NUL")
            os.symlink(entry.link_name, name, dir_fd=parent.descriptor)
        elif entry.kind == tar_header.FIFO:
            os.mkfifo(name, 0o600, dir_fd=parent.descriptor)
        elif entry.kind in _DEVICES:
            os.mknod(name, _DEVICES[entry.kind] | 0o600, _device(entry), dir_fd=parent.descriptor)
        else:
            raise Refused(f"its type {entry.kind.decode('latin-1')!r} is not supported")
        _dress_node(entry, parent.descriptor, name)


def _cleaned(name: bytes) -> bytes:
    try:
        return clean_member_name(name)
    except ValueError as error:
        raise Refused(str(error)) from error


def _is_reserved(path: bytes) -> bool:
    """True below a directory whose name only whiteouts may have (aufs kept its own files in such)."""
    return any(component.startswith(_WHITEOUT) for component in path.split(b"/"))


def _device(entry: Entry) -> int:
    try:
        return os.makedev(entry.device_major, entry.device_minor)
    except OverflowError:
        raise Refused("its device number is not possible") from None


def _create_file(entry: Entry, pieces: Iterable[memoryview], parent: int, name: bytes) -> None:
    file = os.open(name, _NEW_FILE, 0o600, dir_fd=parent)
    try:
        if entry.extents is None:
            for piece in pieces:
                _write_all(file, piece)
        else:
            _write_sparse(file, entry, pieces)
        # Ownership first: changing it takes set-user-id bits and file capabilities away.
        os.fchown(file, entry.uid, entry.gid)
        os.fchmod(file, entry.mode)
        if entry.xattrs:
            _set_xattrs(file, entry.xattrs)
        os.utime(file, ns=(entry.mtime_ns, entry.mtime_ns))
    finally:
        os.close(file)


def _write_all(file: int, data: memoryview) -> None:
    while data:
        data = data[os.write(file, data) :]


def _write_sparse(file: int, entry: Entry, pieces: Iterable[memoryview]) -> None:
    remaining = iter(pieces)
    piece = memoryview(b"")
    for offset, length in entry.extents or ():
        os.lseek(file, offset, os.SEEK_SET)
        while length:
            piece = piece or next(remaining)
            _write_all(file, piece[:length])
            written = min(length, len(piece))
            piece, length = piece[written:], length - written
    os.ftruncate(file, entry.size)


def _dress_node(entry: Entry, parent: int, name: bytes) -> None:
    """Give what was just made, and is neither file nor directory, its owner, mode, attributes and time."""
    os.chown(name, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
    if entry.kind != tar_header.SYMLINK:
        os.chmod(name, entry.mode, dir_fd=parent)
    if entry.xattrs:
        _set_xattrs(b"/proc/self/fd/%d/%s" % (parent, name), entry.xattrs)
    os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=parent, follow_symlinks=False)


def _remove_other_xattrs(descriptor: int, kept: Mapping[bytes, bytes]) -> None:
    """Remove the attributes that a lower layer gave a directory and this layer does not."""
    try:
        attributes = [os.fsencode(attribute) for attribute in os.listxattr(descriptor)]
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        return
    for attribute in attributes:
        if attribute not in kept and not attribute.startswith(_KEPT_XATTRS):
            os.removexattr(descriptor, attribute)


def _set_xattrs(target: int | bytes, xattrs: Mapping[bytes, bytes]) -> None:
    for attribute, value in xattrs.items():
        if not attribute.startswith(_DROPPED_XATTRS):
            _set_xattr(target, attribute, value)


def _set_xattr(target: int | bytes, attribute: bytes, value: bytes) -> None:
    try:
        if isinstance(target, int):
            os.setxattr(target, attribute, value)
        else:
            os.setxattr(target, attribute, value, follow_symlinks=False)
    except OSError as error:
        # Special files and symlinks cannot have user attributes (xattr(7)). What the filesystem does not know is
        # left out, as containerd does; but a program must not lose its capabilities without a word.
        if not isinstance(target, int) and error.errno == errno.EPERM:
            return
        if error.errno != errno.EOPNOTSUPP or attribute == b"security.capability":
            raise


REFUSABLE = (errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL, errno.EILSEQ, errno.EMLINK, errno.EFBIG)
"""What the kernel says to an entry that no filesystem could hold, whatever its state."""
