"""Trees: as they are expected, and as they are found, read without following a single symlink."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import stat
from collections.abc import Mapping

from .blocks import MTIME, Text, encoded

ANY_TIME = -(2**63)
"""Where nothing says what time a directory has: it was made on the way to something else."""

PREPARED = 1_500_000_000
"""Of an empty rootfs, before the first layer."""


class Expected:
    """What a path of a tree shall be."""


@dataclasses.dataclass(frozen=True)
class Node(Expected):
    """One thing of a tree.

    Attributes:
        kind: one of "file", "directory", "symlink", "fifo", "character", "block".
        content: the sha256 of a file, the target of a symlink, the numbers of a device.
        mtime_ns: nanoseconds since 1970; ANY_TIME fits every time.
        names: all paths that are the same thing (hard links); empty for a directory.
        is_sparse: True when less is stored than the size says (and there is a page or more to miss).
    """

    kind: str
    mode: int
    uid: int
    gid: int
    size: int
    content: bytes
    mtime_ns: int
    xattrs: Mapping[str, bytes]
    names: frozenset[bytes] = frozenset()
    is_sparse: bool = False


Tree = dict[bytes, Node]


class Same(Expected):
    """Another name of what is found at `path`."""

    def __init__(self, path: Text) -> None:
        self.path = encoded(path)


def _node(
    kind: str, mode: int, content: bytes, size: int, owner: tuple[int, int], mtime: float, xattrs: Mapping[str, bytes]
) -> Node:
    nanoseconds = mtime if mtime == ANY_TIME else round(mtime * 10**9)
    return Node(kind, mode, *owner, size, content, int(nanoseconds), dict(xattrs))


def f(
    data: bytes = b"content",
    mode: int = 0o644,
    owner: tuple[int, int] = (0, 0),
    mtime: float = MTIME,
    xattrs: Mapping[str, bytes] | None = None,
    *,
    mtime_ns: int | None = None,
    sparse: bool = False,
) -> Node:
    """A regular file; `mtime` in seconds, `mtime_ns` where a float is not exact."""
    node = _node("file", mode, hashlib.sha256(data).digest(), len(data), owner, mtime, xattrs or {})
    return dataclasses.replace(node, mtime_ns=node.mtime_ns if mtime_ns is None else mtime_ns, is_sparse=sparse)


def d(
    mode: int = 0o755,
    owner: tuple[int, int] = (0, 0),
    mtime: float = MTIME,
    xattrs: Mapping[str, bytes] | None = None,
    *,
    mtime_ns: int | None = None,
) -> Node:
    """A directory; its size is the filesystem's affair."""
    node = _node("directory", mode, b"", 0, owner, mtime, xattrs or {})
    return node if mtime_ns is None else dataclasses.replace(node, mtime_ns=mtime_ns)


def made() -> Node:
    """A directory that no layer has an entry for."""
    return d(mtime=ANY_TIME)


def link(
    target: Text,
    owner: tuple[int, int] = (0, 0),
    mtime: float = MTIME,
    xattrs: Mapping[str, bytes] | None = None,
) -> Node:
    """A symbolic link."""
    return _node("symlink", 0o777, encoded(target), len(encoded(target)), owner, mtime, xattrs or {})


def pipe(mode: int = 0o644, owner: tuple[int, int] = (0, 0), mtime: float = MTIME) -> Node:
    """A named pipe."""
    return _node("fifo", mode, b"", 0, owner, mtime, {})


def device(
    kind: str, major: int, minor: int, mode: int = 0o644, owner: tuple[int, int] = (0, 0), mtime: float = MTIME
) -> Node:
    """A device, "character" or "block"."""
    return _node(kind, mode, b"%d:%d" % (major, minor), 0, owner, mtime, {})


def tree(nodes: Mapping[str, Expected] | Mapping[bytes, Expected]) -> Tree:
    """The tree of these nodes; the rootfs itself, ".", is as it was prepared unless it is among them."""
    given: dict[bytes, Expected] = {encoded(path): node for path, node in nodes.items()}
    given.setdefault(b".", d(mtime=PREPARED))
    names: dict[bytes, set[bytes]] = {}
    for path, node in given.items():
        names.setdefault(node.path if isinstance(node, Same) else path, set()).add(path)
    found: Tree = {}
    for first, paths in names.items():
        node = given[first]
        assert isinstance(node, Node), f"{first!r} is the same as something that is the same as another"
        if node.kind != "directory":
            node = dataclasses.replace(node, names=frozenset(paths))
        found |= dict.fromkeys(paths, node)
    return found


_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFCHR: "character",
    stat.S_IFBLK: "block",
    stat.S_IFSOCK: "socket",
}


def read_tree(root: str | os.PathLike[str], *, is_whole: bool = True) -> Tree:
    """The tree below a directory, however long its paths are; a whole one has all names of everything in it."""
    found: dict[bytes, tuple[Node, tuple[int, int], int]] = {}
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        found[b"."] = _read(descriptor, b".")
        _read_below(descriptor, b"", found)
    finally:
        os.close(descriptor)
    names: dict[tuple[int, int], set[bytes]] = {}
    for path, (_, identity, _) in found.items():
        names.setdefault(identity, set()).add(path)
    result: Tree = {}
    for path, (node, identity, link_count) in found.items():
        if node.kind != "directory":
            whole = link_count == len(names[identity]) or not is_whole
            assert whole, f"{path!r} has {link_count} links: some are outside of the tree"
            node = dataclasses.replace(node, names=frozenset(names[identity]))
        result[path] = node
    return result


def _read_below(directory: int, prefix: bytes, found: dict[bytes, tuple[Node, tuple[int, int], int]]) -> None:
    for name in os.listdir(directory):
        raw = os.fsencode(name)
        found[prefix + raw] = _read(directory, raw)
        if found[prefix + raw][0].kind == "directory":
            descriptor = os.open(raw, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
            try:
                _read_below(descriptor, prefix + raw + b"/", found)
            finally:
                os.close(descriptor)


def _read(directory: int, name: bytes) -> tuple[Node, tuple[int, int], int]:
    status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    kind = _KINDS[stat.S_IFMT(status.st_mode)]
    content = b""
    if kind == "file":
        content = _digest(directory, name)
    elif kind == "symlink":
        content = os.readlink(name, dir_fd=directory)
    elif kind in ("character", "block"):
        content = b"%d:%d" % (os.major(status.st_rdev), os.minor(status.st_rdev))
    place = b"/proc/self/fd/%d/%s" % (directory, name)
    node = Node(
        kind,
        stat.S_IMODE(status.st_mode),
        status.st_uid,
        status.st_gid,
        0 if kind == "directory" else status.st_size,
        content,
        status.st_mtime_ns,
        {each: os.getxattr(place, each, follow_symlinks=False) for each in os.listxattr(place, follow_symlinks=False)},
        is_sparse=kind == "file" and status.st_blocks * 512 + 4096 <= status.st_size,
    )
    return node, (status.st_dev, status.st_ino), status.st_nlink


def _digest(directory: int, name: bytes) -> bytes:
    digest = hashlib.sha256()
    with open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=directory), "rb", buffering=0) as reader:
        while piece := reader.read(1 << 20):
            digest.update(piece)
    return digest.digest()


def differences(expected: Tree, found: Tree) -> dict[bytes, tuple[Node | None, Node | None]]:
    """By path: what is expected, and what is found instead."""
    return {
        path: (expected.get(path), found.get(path))
        for path in sorted(expected.keys() | found.keys())
        if not _fits(expected.get(path), found.get(path))
    }


def _fits(expected: Node | None, found: Node | None) -> bool:
    if expected is not None and found is not None and expected.mtime_ns == ANY_TIME:
        found = dataclasses.replace(found, mtime_ns=ANY_TIME)
    return expected == found
