"""Finding the files of a tar archive that may be hostile: their names are keys here, and nothing else."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from firkin.domain import tar_header
from firkin.domain.global_records import GlobalRecords
from firkin.domain.tar_header import BLOCK, Header, Records, TarError

_ENTRIES_MAX = 100_000
_NAMES_MAX_BYTES = 32 * 2**20
_EXTENSION_MAX_BYTES = 2**20
_ZERO_BLOCK = bytes(BLOCK)
_NO_RECORDS = Records({}, ())


class ArchiveFile(NamedTuple):
    """Where the bytes of a file stand in the archive."""

    offset: int
    size: int


class ArchiveLink(NamedTuple):
    """Another name for the file `target`; None when that is outside of the archive."""

    target: str | None


ArchiveMember = ArchiveFile | ArchiveLink
ReadAt = Callable[[int, int], bytes]
"""Reads up to so many bytes, the second argument, at the offset of the first; fewer only at the archive's end."""


def archive_members(read_at: ReadAt) -> Iterator[tuple[str, ArchiveMember]]:
    """All files and links of the archive with their normalised names, in its order; nothing else is named.

    What has an absolute name, or one with `..`, is passed over: no document can refer to it.

    Raises:
        TarError: this is no proper archive, or it exceeds what an image can need.
    """
    offset = 0
    names_bytes = 0
    global_records = GlobalRecords(_EXTENSION_MAX_BYTES)
    for _ in range(_ENTRIES_MAX):
        entry = _next_entry(read_at, offset, global_records)
        if entry is None:
            return
        names_bytes += len(entry.name) + len(entry.link_name)
        if names_bytes > _NAMES_MAX_BYTES:
            break
        offset = entry.data.offset + entry.data.size + -entry.data.size % BLOCK
        if (name := normalised(_text(entry.name))) is not None and (member := _member(entry, name)) is not None:
            yield name, member
    raise TarError("it has more entries than any image needs")


def normalised(name: str) -> str | None:
    """The name without `.` and double slashes; None when it is absolute or has `..`."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return None if name.startswith("/") or ".." in parts or not parts else "/".join(parts)


class _Entry(NamedTuple):
    name: bytes
    kind: bytes
    link_name: bytes
    data: ArchiveFile


def _next_entry(read_at: ReadAt, offset: int, global_records: GlobalRecords) -> _Entry | None:
    """The entry whose headers begin at `offset`; None at the end of the archive.

    What counts of several headers is as in layers (docs/rules.md, "Extended headers of layers").
    """
    records, long_names = _NO_RECORDS, dict[bytes, bytes]()
    while (header := _header(read_at, offset)) is not None:
        data = ArchiveFile(offset + BLOCK, header.size)
        match header.kind:
            case tar_header.PAX:
                records = tar_header.parse_pax(_extension(read_at, data))
            case tar_header.GNU_LONG_NAME:
                long_names[b"path"] = _extension(read_at, data).partition(b"\0")[0]
            case tar_header.GNU_LONG_LINK:
                long_names[b"linkpath"] = _extension(read_at, data).partition(b"\0")[0]
            case tar_header.PAX_GLOBAL:
                global_records.take(_extension(read_at, data))
            case _:
                names = long_names.get(b"path"), long_names.get(b"linkpath")
                values = global_records.of_entry(records, *names).values
                return _combined(header, data, long_names | {key: value for key, value in values.items() if value})
        offset = data.offset + data.size + -data.size % BLOCK
    if records.values or long_names:
        raise TarError("it ends after an extended header")
    return None


def _header(read_at: ReadAt, offset: int) -> Header | None:
    block = read_at(offset, BLOCK)
    if not block and offset:
        # As Go's reader and so every container engine, do without the end mark.
        return None
    if len(block) < BLOCK:
        raise TarError("it ends within a header" if offset or block else "it is empty")
    return None if block == _ZERO_BLOCK else tar_header.parse_header(block)


def _extension(read_at: ReadAt, data: ArchiveFile) -> bytes:
    if data.size > _EXTENSION_MAX_BYTES:
        raise TarError(f"an extended header in it is larger than {_EXTENSION_MAX_BYTES} bytes")
    content = read_at(data.offset, data.size)
    if len(content) < data.size:
        raise TarError("it ends within an extended header")
    return content


def _combined(header: Header, data: ArchiveFile, extensions: Mapping[bytes, bytes]) -> _Entry:
    if header.kind == tar_header.GNU_SPARSE or any(key.startswith(b"GNU.sparse.") for key in extensions):
        raise TarError("it has a sparse file")
    if (size_text := extensions.get(b"size")) and not tar_header.is_header_only(header.kind):
        data = ArchiveFile(data.offset, tar_header.pax_number(size_text, "size"))
    name = extensions.get(b"path") or header.name
    return _Entry(name, header.kind, extensions.get(b"linkpath") or header.link_name, data)


def _member(entry: _Entry, name: str) -> ArchiveMember | None:
    match entry.kind:
        case tar_header.REGULAR if not entry.name.endswith(b"/"):
            return entry.data
        case tar_header.SYMLINK:
            return ArchiveLink(_link_target(name, _text(entry.link_name)))
        case tar_header.HARD_LINK:
            return ArchiveLink(normalised(_text(entry.link_name)))
        case _:
            return None


def _link_target(name: str, target: str) -> str | None:
    """What a symbolic link at `name` means, by text alone: directories of the archive are no links."""
    joined = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    return normalised(joined)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
