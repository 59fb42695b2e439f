"""A tar archive, entry by entry, from bytes that come in any pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from . import tar_header
from .global_records import GlobalRecords
from .tar_header import BLOCK, Extent, Header, Records, TarError

_ZERO_BLOCK = bytes(BLOCK)
_XATTR_PREFIX = b"SCHILY.xattr."
_NO_RECORDS = Records({}, ())
_ID_MAX = 2**32 - 2
_FILE_SIZE_MAX = 2**63 - 1


class Limits(NamedTuple):
    """What a layer may amount to; generous, but finite.

    Attributes:
        entries: in one layer.
        name_bytes: of a name or a link's target (PATH_MAX is 4096).
        header_bytes: of one pax or GNU header's contents, and of an entry's pax header together with global ones.
        tar_bytes: of the whole archive, decompressed.
    """

    entries: int = 4_000_000
    name_bytes: int = 4096
    header_bytes: int = 4 * 2**20
    tar_bytes: int = 2**40


class Entry(NamedTuple):
    """One entry, all headers combined.

    Attributes:
        name, link_name: as they stand in the archive, not yet made safe.
        kind: one of the type flags of tar_header; a sparse file is REGULAR.
        mode: permission bits, 0 to 0o7777.
        size: of the file that is to be made, in bytes.
        mtime_ns: nanoseconds since 1970.
        extents: where the data belongs, for a sparse file; None for an ordinary one.
        xattrs: extended attributes by name.
    """

    name: bytes
    kind: bytes
    link_name: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    device_major: int
    device_minor: int
    extents: list[Extent] | None
    xattrs: Mapping[bytes, bytes]


class TarReader:
    """Reads entries, and each entry's data before the next entry.

    Attributes:
        current: the name of the entry that is being read, for messages; b"" before the first.
        is_closed: True when the archive ended with an end mark: two blocks of zero bytes.
    """

    def __init__(self, next_piece: Callable[[], bytes], limits: Limits) -> None:
        self._next_piece = next_piece
        self._limits = limits
        self._globals = GlobalRecords(limits.header_bytes)
        self._piece = memoryview(b"")
        self._total = 0
        self._data_left = 0
        self._padding = 0
        self.current = b""
        self.is_closed = False

    def entries(self) -> Iterator[Entry]:
        """Every entry in turn; what was not read of an entry's data is skipped. Reads to the archive's very end.

        Raises:
            TarError: this is no proper archive, or it exceeds a limit.
        """
        count = 0
        while (entry := self._next_entry()) is not None:
            count += 1
            if count > self._limits.entries:
                raise TarError(f"the layer has more than {self._limits.entries} entries")
            yield entry
            self._skip_data()
        self._expect_only_zeros()

    def data(self) -> Iterator[memoryview]:
        """The data of the current entry, in pieces.

        Raises:
            TarError: the archive ends within it.
        """
        while self._data_left:
            piece = self._some(self._data_left)
            if not piece:
                raise TarError("the archive ends within this file")
            self._data_left -= len(piece)
            yield piece

    def _some(self, limit: int) -> memoryview:
        """At most `limit` bytes of the archive; none at its end."""
        if not self._piece:
            self._piece = memoryview(self._next_piece())
            self._total += len(self._piece)
            if self._total > self._limits.tar_bytes:
                raise TarError(f"the layer is larger than {self._limits.tar_bytes:d} bytes")
        taken = self._piece[:limit]
        self._piece = self._piece[limit:]
        return taken

    def _exactly(self, size: int) -> bytes:
        """`size` bytes, or fewer at the archive's end."""
        taken = self._some(size)
        if len(taken) == size:
            return bytes(taken)
        parts = [bytes(taken)]
        missing = size - len(taken)
        while missing and (taken := self._some(missing)):
            parts.append(bytes(taken))
            missing -= len(taken)
        return b"".join(parts)

    def _block(self) -> bytes | None:
        """The next block; None at the end of the archive."""
        block = self._exactly(BLOCK)
        if not block:
            return None
        if len(block) < BLOCK:
            raise TarError("the archive ends within a header")
        return block

    def _skip_data(self) -> None:
        for _ in self.data():
            pass
        # Some writers (umoci 0.4) leave the last padding out together with the end mark: `is_closed` stays False.
        if 0 < len(self._exactly(self._padding)) < self._padding:
            raise TarError("the archive ends within the padding of this file")
        self._padding = 0

    def _begin_data(self, size: int) -> None:
        self._data_left = size
        self._padding = -size % BLOCK

    def _expect_only_zeros(self) -> None:
        while piece := self._some(1 << 20):
            if piece.tobytes().strip(b"\0"):
                raise TarError("something other than zero bytes follows the end of the archive")

    def _next_entry(self) -> Entry | None:
        self.current = b""
        records = _NO_RECORDS
        long_name: bytes | None = None
        long_link: bytes | None = None
        while (header := self._next_header(bool(records.values) or long_name is not None)) is not None:
            if header.kind == tar_header.PAX:
                records = tar_header.parse_pax(self._small_data(header))
            elif header.kind == tar_header.PAX_GLOBAL:
                self._globals.take(self._small_data(header))
            elif header.kind == tar_header.GNU_LONG_NAME:
                long_name = self._small_data(header).partition(b"\0")[0]
            elif header.kind == tar_header.GNU_LONG_LINK:
                long_link = self._small_data(header).partition(b"\0")[0]
            else:
                self.current = long_name or header.name
                records = self._globals.of_entry(records, long_name, long_link)
                return self._entry(header, records, long_name, long_link)
        return None

    def _next_header(self, has_extension: bool) -> Header | None:
        block = self._block()
        if block == _ZERO_BLOCK:
            following = self._block()
            if following is not None and following != _ZERO_BLOCK:
                raise TarError("the archive goes on after a block of zero bytes")
            self.is_closed = following is not None
            block = None
        if block is None:
            if has_extension:
                raise TarError("the archive ends after an extended header")
            return None
        header = tar_header.parse_header(block)
        self._begin_data(header.size)
        return header

    def _small_data(self, header: Header) -> bytes:
        if header.size > self._limits.header_bytes:
            raise TarError(f"its extended header is larger than {self._limits.header_bytes:d} bytes")
        data = b"".join(self.data())
        self._skip_data()
        return data

    def _entry(self, header: Header, records: Records, long_name: bytes | None, long_link: bytes | None) -> Entry:
        values = records.values
        if (size_text := values.get(b"size")) and not tar_header.is_header_only(header.kind):
            self._begin_data(tar_header.pax_number(size_text, "size"))
        name = values.get(b"GNU.sparse.name") or values.get(b"path") or long_name or header.name
        self.current = name
        link_name = values.get(b"linkpath") or long_link or header.link_name
        if max(len(name), len(link_name)) > self._limits.name_bytes:
            raise TarError(f"its name is longer than {self._limits.name_bytes} bytes")
        kind = header.kind
        if kind == tar_header.REGULAR and name.endswith(b"/"):
            # Before POSIX, a directory was a regular file whose name ends in a slash.
            kind = tar_header.DIRECTORY
        extents, size = self._sparse(header, records)
        mtime = values.get(b"mtime")
        return Entry(
            name,
            tar_header.REGULAR if kind == tar_header.GNU_SPARSE else kind,
            link_name,
            header.mode & 0o7777,
            _id(values.get(b"uid"), header.uid),
            _id(values.get(b"gid"), header.gid),
            size,
            tar_header.pax_time(mtime) if mtime else header.mtime * 10**9,
            header.device_major,
            header.device_minor,
            extents,
            _xattrs(values),
        )

    def _sparse(self, header: Header, records: Records) -> tuple[list[Extent] | None, int]:
        """The extents of a sparse file (None for an ordinary one), and the file's size."""
        values = records.values
        if header.kind == tar_header.GNU_SPARSE:
            extents, size = self._old_sparse(header)
        elif header.kind == tar_header.REGULAR and values.get(b"GNU.sparse.major") == b"1":
            extents, size = self._sparse_map_in_data(), _real_size(values)
        elif b"GNU.sparse.map" in values:
            numbers = values[b"GNU.sparse.map"]
            extents, size = tar_header.listed_extents(numbers.split(b",") if numbers else []), _real_size(values)
        elif records.sparse or b"GNU.sparse.size" in values:
            extents, size = tar_header.listed_extents([value for _, value in records.sparse]), _real_size(values)
        else:
            if self._data_left > _FILE_SIZE_MAX:
                raise TarError("its size is not possible")
            return None, self._data_left
        _check_extents(extents, size, self._data_left)
        return extents, size

    def _old_sparse(self, header: Header) -> tuple[list[Extent], int]:
        extents, goes_on, size = header.sparse
        while goes_on:
            block = self._block()
            if block is None:
                raise TarError("the archive ends within a sparse map")
            extents += tar_header.old_sparse_extents(block, 0, 21)
            goes_on = block[504] != 0
            self._check_map_size(len(extents))
        return extents, size

    def _sparse_map_in_data(self) -> list[Extent]:
        """GNU's sparse format 1.0: the data begins with decimal lines, padded to a block."""
        numbers: list[bytes] = []
        rest = b""
        wanted = 1
        while len(numbers) < wanted:
            if self._data_left < BLOCK:
                raise TarError("its sparse map is incomplete")
            self._data_left -= BLOCK
            *lines, rest = (rest + (self._block() or b"")).split(b"\n")
            numbers += lines
            if numbers:
                wanted = 1 + 2 * tar_header.pax_number(numbers[0], "sparse map")
            self._check_map_size(len(numbers))
        return tar_header.listed_extents(numbers[1:wanted])

    def _check_map_size(self, count: int) -> None:
        if count * BLOCK > self._limits.header_bytes * 16:
            raise TarError("its sparse map is too large")


def _real_size(values: Mapping[bytes, bytes]) -> int:
    return tar_header.pax_number(values.get(b"GNU.sparse.realsize") or values.get(b"GNU.sparse.size") or b"", "size")


def _check_extents(extents: list[Extent], size: int, data_size: int) -> None:
    end = 0
    for offset, length in extents:
        if offset < end or length < 0:
            raise TarError("its sparse map is not in order")
        end = offset + length
    if end > size or size > _FILE_SIZE_MAX or sum(length for _, length in extents) != data_size:
        raise TarError("its sparse map does not fit its size")


def _id(text: bytes | None, number: int) -> int:
    value = tar_header.pax_number(text, "uid or gid") if text else number
    if value > _ID_MAX:
        raise TarError("its uid or gid is not possible")
    return value


def _xattrs(values: Mapping[bytes, bytes]) -> Mapping[bytes, bytes]:
    if not values:
        return {}
    return {
        key.removeprefix(_XATTR_PREFIX): value
        for key, value in values.items()
        if key.startswith(_XATTR_PREFIX) and len(key) > len(_XATTR_PREFIX)
    }
