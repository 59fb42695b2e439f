"""Archives that tests make, byte by byte where that matters, and pictures of what they became."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import zstandard

from firkin.vminitd.layers.applier import LayerResult, apply_layer

MTIME = 1_600_000_000


class Member(NamedTuple):
    """One entry of an archive."""

    name: str
    kind: bytes = tarfile.REGTYPE
    data: bytes = b""
    link: str = ""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    device: tuple[int, int] = (0, 0)
    pax: Mapping[str, str] = {}


def file(name: str, data: bytes = b"content", mode: int = 0o644) -> Member:
    return Member(name, data=data, mode=mode)


def directory(name: str, mode: int = 0o755) -> Member:
    return Member(name, tarfile.DIRTYPE, mode=mode)


def symlink(name: str, target: str) -> Member:
    return Member(name, tarfile.SYMTYPE, link=target, mode=0o777)


def hard_link(name: str, target: str) -> Member:
    return Member(name, tarfile.LNKTYPE, link=target)


def archive(*members: Member, tar_format: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar of the members, written by the standard library."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tar_format) as writer:
        for member in members:
            info = tarfile.TarInfo(member.name)
            info.type, info.mode, info.mtime, info.linkname = member.kind, member.mode, MTIME, member.link
            info.uid, info.gid, info.size = member.uid, member.gid, len(member.data)
            info.devmajor, info.devminor = member.device
            info.pax_headers = dict(member.pax)
            writer.addfile(info, io.BytesIO(member.data))
    return buffer.getvalue()


def header(name: bytes, kind: bytes = b"0", size: int = 0, magic: bytes = b"ustar\x0000", **fields: bytes) -> bytes:
    """A header block, made by hand."""
    block = bytearray(512)
    block[0 : len(name)] = name
    block[100:108] = fields.get("mode", b"0000644\0")
    block[108:116] = block[116:124] = b"0000000\0"
    block[124:136] = fields.get("size_field", b"%011o\0" % size)
    block[136:148] = b"00000000000\0"
    block[156:157] = kind
    link = fields.get("link", b"")
    block[157 : 157 + len(link)] = link
    block[257:265] = magic
    tail = fields.get("tail", b"")
    block[386 : 386 + len(tail)] = tail
    block[148:156] = b"        "
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


END = bytes(1024)


class Trickle:
    """A stream that gives what a slow socket would: an odd number of bytes at a time."""

    def __init__(self, data: bytes, step: int = 8191) -> None:
        self._file = io.BytesIO(data)
        self._step = step

    def read(self, size: int, /) -> bytes:
        return self._file.read(min(size, self._step))


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def apply(rootfs: Path, tar: bytes, step: int = 8191) -> LayerResult:
    """Apply a plain layer with all checks."""
    return apply_layer(str(rootfs), Trickle(tar, step), layer_name="layer", digest=sha256(tar), diff_id=sha256(tar))


PACKED = {
    "application/vnd.oci.image.layer.v1.tar": bytes,
    "application/vnd.oci.image.layer.v1.tar+gzip": gzip.compress,
    "application/vnd.oci.image.layer.v1.tar+zstd": zstandard.compress,
}


def picture(root: Path) -> dict[str, tuple[str, ...]]:
    """Everything of a tree that a layer decides, by path."""
    paths = [root, *sorted(root.rglob("*"))]
    groups: dict[int, list[str]] = {}
    for path in paths:
        groups.setdefault(path.lstat().st_ino, []).append(str(path.relative_to(root)))
    return {str(path.relative_to(root)): _pictured(path, groups) for path in paths}


def _pictured(path: Path, groups: Mapping[int, list[str]]) -> tuple[str, ...]:
    status = path.lstat()
    content = ""
    if stat.S_ISREG(status.st_mode):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    elif stat.S_ISLNK(status.st_mode):
        content = os.readlink(path)
    elif stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
        content = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    attributes = {name: os.getxattr(path, name, follow_symlinks=False) for name in _attributes(path)}
    links = "" if stat.S_ISDIR(status.st_mode) else ",".join(groups[status.st_ino])
    return (
        oct(status.st_mode),
        f"{status.st_uid}:{status.st_gid}",
        str(status.st_mtime_ns),
        content,
        links,
        repr(sorted(attributes.items())),
    )


def _attributes(path: Path) -> list[str]:
    return os.listxattr(path, follow_symlinks=False)
