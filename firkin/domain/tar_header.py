"""Headers of tar archives: ustar and pax (POSIX.1-2001, pax), GNU's and star's deviations."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

BLOCK = 512

_LAYOUT = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12s")
_POSIX_MAGIC = b"ustar\0"
_OLD_SPARSE_AT, _OLD_SPARSE_ENTRY = 386, 24
_HEADER_ONLY = b"123456"

REGULAR = b"0"
HARD_LINK = b"1"
SYMLINK = b"2"
CHARACTER_DEVICE = b"3"
BLOCK_DEVICE = b"4"
DIRECTORY = b"5"
FIFO = b"6"
CONTIGUOUS = b"7"
PAX = b"x"
PAX_GLOBAL = b"g"
GNU_LONG_NAME = b"L"
GNU_LONG_LINK = b"K"
GNU_SPARSE = b"S"


class TarError(ValueError):
    """Bytes that are no proper tar archive; the text says why."""


Extent = tuple[int, int]
"""Offset and length of a piece of a sparse file that has data."""


class Header(NamedTuple):
    """One header block, its text fields raw.

    Attributes:
        size: bytes of data that follow in the archive, without padding.
        mtime: seconds since 1970.
        sparse: of a GNU sparse file: its first extents, whether a block of further ones follows, and its size.
    """

    name: bytes
    kind: bytes
    link_name: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    device_major: int
    device_minor: int
    sparse: tuple[list[Extent], bool, int]


_NO_EXTENTS: tuple[list[Extent], bool, int] = ([], False, 0)


def parse_header(block: bytes) -> Header:
    """Read a header block of 512 bytes.

    Raises:
        TarError: its checksum is wrong, or a number in it cannot be read.
    """
    (
        name, mode, uid, gid, size, mtime, checksum, kind, link_name, magic, _, _, major, minor, prefix, _,
    ) = _LAYOUT.unpack(block)  # fmt: skip
    _check(block, checksum)
    path = _text(name)
    if magic.startswith(_POSIX_MAGIC):
        # star keeps times in the last 24 bytes of the prefix and marks itself at the very end.
        prefix_text = _text(prefix[:131] if block[508:512] == b"tar\0" else prefix)
        path = prefix_text + b"/" + path if prefix_text else path
    if kind in (b"\0", CONTIGUOUS):
        kind = REGULAR
    is_device = kind in (CHARACTER_DEVICE, BLOCK_DEVICE)
    return Header(
        path,
        kind,
        _text(link_name),
        _number(mode, "mode"),
        _natural(uid, "uid"),
        _natural(gid, "gid"),
        0 if kind in _HEADER_ONLY else _natural(size, "size"),
        _number(mtime, "mtime"),
        _natural(major, "device number") if is_device else 0,
        _natural(minor, "device number") if is_device else 0,
        _first_sparse_extents(block) if kind == GNU_SPARSE else _NO_EXTENTS,
    )


def is_header_only(kind: bytes) -> bool:
    """True for kinds that have no data, whatever their size says."""
    return kind in _HEADER_ONLY


def _check(block: bytes, checksum: bytes) -> None:
    expected = _number(checksum, "checksum")
    unsigned = sum(block) - sum(block[148:156]) + 8 * 32
    if unsigned == expected:
        return
    # Some old writers summed signed bytes.
    signed = unsigned - 256 * sum(byte >= 128 for byte in block[:148] + block[156:])
    if signed != expected:
        raise TarError("its header's checksum is wrong")


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _natural(field: bytes, what: str) -> int:
    value = _number(field, what)
    if value < 0:
        raise TarError(f"its {what} is negative")
    return value


def _number(field: bytes, what: str) -> int:
    """Octal text, or, with the first bit set, GNU's two's complement in base 256."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big", signed=False) & ((1 << (8 * len(field) - 1)) - 1)
        return value - (1 << (8 * len(field) - 1)) if field[0] & 0x40 else value
    text = field.strip(b" \0").partition(b"\0")[0].rstrip(b" ")
    if not text:
        return 0
    # int() takes a sign, underscores and a prefix, tar does not.
    if not text.isdigit():
        raise TarError(f"its {what} is not a number")
    try:
        return int(text, 8)
    except ValueError:
        raise TarError(f"its {what} is not an octal number") from None


class Records(NamedTuple):
    """Records of a pax extended header: values by keyword, and GNU's sparse map, whose keywords repeat."""

    values: Mapping[bytes, bytes]
    sparse: Sequence[tuple[bytes, bytes]]


def parse_pax(data: bytes) -> Records:
    """Read the records `length keyword=value newline` of a pax extended header.

    Raises:
        TarError: a record breaks that form.
    """
    values: dict[bytes, bytes] = {}
    sparse: list[tuple[bytes, bytes]] = []
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 20)
        digits = data[at:space] if space > 0 else b""
        end = at + int(digits) if digits.isdigit() else 0
        if not space + 1 < end <= len(data) or data[end - 1 : end] != b"\n":
            raise TarError("its pax header has a malformed record")
        keyword, equals, value = data[space + 1 : end - 1].partition(b"=")
        if not equals or not keyword:
            raise TarError("its pax header has a record without '='")
        if keyword in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
            sparse.append((keyword, value))
        else:
            values[keyword] = value
        at = end
    return Records(values, sparse)


def pax_number(text: bytes, what: str) -> int:
    """A natural number of a pax record.

    Raises:
        TarError: it is none, or absurdly long.
    """
    if not text.isdigit() or len(text) > 20:
        raise TarError(f"its pax {what} is not a number")
    return int(text)


def pax_time(text: bytes) -> int:
    """Seconds since 1970 with a fraction, as nanoseconds; exact, where a float would not be.

    Raises:
        TarError: it is no such number.
    """
    sign = -1 if text.startswith(b"-") else 1
    seconds, _, fraction = text.removeprefix(b"-").partition(b".")
    if not (seconds or b"0").isdigit() or not (fraction or b"0").isdigit() or len(seconds) > 12 or not text:
        raise TarError("its pax mtime is not a number")
    return sign * (int(seconds or b"0") * 10**9 + int(fraction[:9].ljust(9, b"0")))


def old_sparse_extents(block: bytes, start: int, count: int) -> list[Extent]:
    """Up to `count` extents of GNU's first sparse format, from `start` of a block.

    Raises:
        TarError: a number cannot be read.
    """
    extents: list[Extent] = []
    for at in range(start, start + count * _OLD_SPARSE_ENTRY, _OLD_SPARSE_ENTRY):
        entry = block[at : at + _OLD_SPARSE_ENTRY]
        if entry[0] == 0:
            break
        extents.append((_natural(entry[:12], "sparse offset"), _natural(entry[12:], "sparse length")))
    return extents


def _first_sparse_extents(block: bytes) -> tuple[list[Extent], bool, int]:
    return old_sparse_extents(block, _OLD_SPARSE_AT, 4), block[482] != 0, _natural(block[483:495], "sparse size")


def listed_extents(numbers: Sequence[bytes]) -> list[Extent]:
    """Extents from a flat list of offsets and lengths.

    Raises:
        TarError: the list is odd, or holds something else than numbers.
    """
    if len(numbers) % 2:
        raise TarError("its sparse map is incomplete")
    values = [pax_number(number, "sparse map") for number in numbers]
    return list(zip(values[::2], values[1::2], strict=True))
