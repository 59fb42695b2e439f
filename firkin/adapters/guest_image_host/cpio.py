"""Archives that the kernel unpacks as its first root (initramfs; kernel documentation, buffer-format.rst)."""

from __future__ import annotations

from .tree import GuestTree

_TRAILER = "TRAILER!!!"
_ALIGNMENT = 4


def cpio_archive(tree: GuestTree) -> bytes:
    """A "newc" archive of the tree: everything belongs to root, and has the time 0."""
    archive = bytearray()
    for number, (path, file) in enumerate(tree, start=1):
        archive += _entry(number, path, file.mode, file.read())
    return bytes(archive + _entry(0, _TRAILER, 0, b""))


def _entry(number: int, path: str, mode: int, data: bytes) -> bytes:
    name = path.encode() + b"\0"
    # magic, then ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
    header = b"070701" + "".join(f"{field:08X}" for field in fields).encode()
    return _padded(header + name) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _ALIGNMENT)
