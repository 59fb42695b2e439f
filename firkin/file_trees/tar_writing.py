"""Header blocks of pax archives (POSIX.1-2001)."""

from __future__ import annotations

import tarfile

from firkin.domain import tar_header
from firkin.domain.tar_archive import Entry

END_OF_ARCHIVE = bytes(2 * tar_header.BLOCK)
_SECOND = 10**9


def header(entry: Entry) -> bytes:
    """The blocks that stand before an entry's data; times keep their nanoseconds, names and attributes any bytes."""
    info = tarfile.TarInfo(_text(entry.name))
    info.type = entry.kind
    info.linkname = _text(entry.link_name)
    info.mode = entry.mode
    info.uid, info.gid = entry.uid, entry.gid
    info.size = entry.size
    info.mtime = max(entry.mtime_ns // _SECOND, 0)
    records = {f"SCHILY.xattr.{_text(name)}": _text(value) for name, value in entry.xattrs.items()}
    if entry.mtime_ns % _SECOND or entry.mtime_ns < 0:
        records["mtime"] = _decimal_seconds(entry.mtime_ns)
    info.pax_headers = records
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def padding(size: int) -> bytes:
    """The zero bytes behind `size` bytes of data."""
    return bytes(-size % tar_header.BLOCK)


def _decimal_seconds(nanoseconds: int) -> str:
    seconds, fraction = divmod(abs(nanoseconds), _SECOND)
    return f"{'-' if nanoseconds < 0 else ''}{seconds}.{fraction:09d}"


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
