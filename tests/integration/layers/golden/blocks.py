"""A small language for archives, byte by byte: every part is bytes, and a layer is its parts joined.

`layer(pax({"mtime": "1.5"}), file("etc/motd", b"hello"), whiteout("etc/old"))` is a whole archive. Names are text
or bytes. A number is written in octal; `Wide(n)` is GNU's base 256, and bytes are the field's own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, TypedDict, Unpack

BLOCK = 512
END = bytes(2 * BLOCK)
MTIME = 1_600_000_000
"""Of every entry, in seconds since 1970, unless it says otherwise."""

Style = Literal["v7", "ustar", "gnu", "star"]
_MAGIC: Mapping[Style, bytes] = {"v7": bytes(8), "ustar": b"ustar\x0000", "gnu": b"ustar  \0", "star": b"ustar\x0000"}


class Wide(NamedTuple):
    """A number in GNU's base 256: two's complement below a first bit that is set."""

    number: int


Text = str | bytes
Number = int | Wide | bytes


class Fields(TypedDict, total=False):
    """What a header can say besides its name and kind.

    Attributes:
        size: instead of the length of the data.
        checksum: how it is summed and written; "wrong" is off by one.
        raw: bytes to put at offsets of the block, before it is summed.
    """

    style: Style
    mode: Number
    uid: Number
    gid: Number
    size: Number
    mtime: Number
    link: Text
    device: tuple[Number, Number]
    prefix: Text
    checksum: Literal["unsigned", "signed", "spaces", "seven digits", "wrong"]
    raw: Mapping[int, bytes]


def encoded(text: Text) -> bytes:
    """The bytes of a name."""
    return text if isinstance(text, bytes) else os.fsencode(text)


def padded(data: bytes) -> bytes:
    """The data up to the next block."""
    return data + bytes(-len(data) % BLOCK)


def entry(name: Text, kind: bytes, data: bytes = b"", **fields: Unpack[Fields]) -> bytes:
    """Any entry: its header, and its data padded."""
    style = fields.get("style", "ustar")
    block = bytearray(BLOCK)
    _put(block, 0, 100, encoded(name))
    _put(block, 100, 8, fields.get("mode", 0o644))
    _put(block, 108, 8, fields.get("uid", 0))
    _put(block, 116, 8, fields.get("gid", 0))
    _put(block, 124, 12, fields.get("size", len(data)))
    _put(block, 136, 12, fields.get("mtime", MTIME))
    block[156:157] = kind
    _put(block, 157, 100, encoded(fields.get("link", b"")))
    block[257:265] = _MAGIC[style]
    if style != "v7":
        major, minor = fields.get("device", (0, 0))
        _put(block, 329, 8, major)
        _put(block, 337, 8, minor)
        _put(block, 345, 131 if style == "star" else 155, encoded(fields.get("prefix", b"")))
    if style == "star":
        _put(block, 476, 12, MTIME + 1)
        _put(block, 488, 12, MTIME + 2)
        block[508:512] = b"tar\0"
    for at, replaced in fields.get("raw", {}).items():
        block[at : at + len(replaced)] = replaced
    block[148:156] = b" " * 8
    block[148:156] = _checksum(block, fields.get("checksum", "unsigned"))
    return bytes(block) + padded(data)


def _put(block: bytearray, at: int, width: int, value: Number | Text) -> None:
    if isinstance(value, Wide):
        value = ((value.number & ((1 << (8 * width)) - 1)) | 1 << (8 * width - 1)).to_bytes(width, "big")
    elif isinstance(value, int):
        value = b"%0*o\0" % (width - 1, value)
    raw = encoded(value)
    assert len(raw) <= width, f"{raw!r} does not fit into {width} bytes"
    block[at : at + len(raw)] = raw


def _checksum(block: bytearray, form: str) -> bytes:
    total = sum(block)
    if form == "signed":
        total -= 256 * sum(byte >= 128 for byte in block)
        assert total != sum(block), "nothing in this header makes the signed sum another one"
    if form == "spaces":
        return b"%6o  " % total
    if form == "seven digits":
        return b"%07o\0" % total
    return b"%06o\0 " % (total + (form == "wrong"))


def file(name: Text, data: bytes = b"content", **fields: Unpack[Fields]) -> bytes:
    """A regular file."""
    return entry(name, b"0", data, **fields)


def directory(name: Text, **fields: Unpack[Fields]) -> bytes:
    """A directory, 0755 unless it says otherwise."""
    return entry(name, b"5", b"", **Fields(mode=0o755) | fields)


def symlink(name: Text, target: Text, **fields: Unpack[Fields]) -> bytes:
    """A symbolic link."""
    return entry(name, b"2", b"", **Fields(mode=0o777, link=target) | fields)


def hard_link(name: Text, target: Text, **fields: Unpack[Fields]) -> bytes:
    """Another name of a file of this layer or of one below."""
    return entry(name, b"1", b"", **Fields(link=target) | fields)


def fifo(name: Text, **fields: Unpack[Fields]) -> bytes:
    """A named pipe."""
    return entry(name, b"6", b"", **fields)


def character(name: Text, major: Number, minor: Number, **fields: Unpack[Fields]) -> bytes:
    """A character device."""
    return entry(name, b"3", b"", **Fields(device=(major, minor)) | fields)


def block_device(name: Text, major: Number, minor: Number, **fields: Unpack[Fields]) -> bytes:
    """A block device."""
    return entry(name, b"4", b"", **Fields(device=(major, minor)) | fields)


def whiteout(path: str) -> bytes:
    """The mark that a lower layer's `path` is gone."""
    parent, _, name = path.rpartition("/")
    return file(f"{parent}/.wh.{name}" if parent else f".wh.{name}", b"")


def opaque(path: str = "") -> bytes:
    """The mark that nothing of lower layers is left in the directory `path`."""
    return file(f"{path}/.wh..wh..opq" if path else ".wh..wh..opq", b"")


def record(keyword: Text, value: Text) -> bytes:
    """One record of a pax header, its length counting itself."""
    rest = b" " + encoded(keyword) + b"=" + encoded(value) + b"\n"
    length = len(rest) + 1
    while len(b"%d" % length) + len(rest) != length:
        length += 1
    return b"%d" % length + rest


def pax(records: Mapping[str, Text] | Sequence[tuple[str, Text]]) -> bytes:
    """An extended header for the next entry."""
    pairs = records.items() if isinstance(records, Mapping) else records
    return pax_data(b"".join(record(keyword, value) for keyword, value in pairs))


def pax_data(data: bytes, **fields: Unpack[Fields]) -> bytes:
    """An extended header of any bytes."""
    return entry("PaxHeaders/x", b"x", data, **fields)


def global_pax(records: Mapping[str, Text] | Sequence[tuple[str, Text]]) -> bytes:
    """An extended header for every later entry."""
    pairs = records.items() if isinstance(records, Mapping) else records
    return global_pax_data(b"".join(record(keyword, value) for keyword, value in pairs))


def global_pax_data(data: bytes, **fields: Unpack[Fields]) -> bytes:
    """An extended header of any bytes, for every later entry."""
    return entry("GlobalHead", b"g", data, **fields)


def gnu_name(name: Text, end: bytes = b"\0") -> bytes:
    """GNU's header of a long name, for the next entry."""
    return entry("././@LongLink", b"L", encoded(name) + end, style="gnu", mtime=0)


def gnu_link(target: Text, end: bytes = b"\0") -> bytes:
    """GNU's header of a long link target, for the next entry."""
    return entry("././@LongLink", b"K", encoded(target) + end, style="gnu", mtime=0)


Extents = Sequence[tuple[Number, Number]]


def old_sparse(name: Text, real_size: Number, extents: Extents, data: bytes, **fields: Unpack[Fields]) -> bytes:
    """A sparse file of GNU's first format: four extents in the header, then blocks of twenty-one."""
    head = bytearray(BLOCK)
    _put_extents(head, 386, extents[:4])
    head[482] = len(extents) > 4
    _put(head, 483, 12, real_size)
    raw = {386: bytes(head[386:495])}
    block = entry(name, b"S", b"", **Fields(style="gnu", size=len(data), raw=raw) | fields)
    rest = extents[4:]
    while rest:
        more = bytearray(BLOCK)
        _put_extents(more, 0, rest[:21])
        rest = rest[21:]
        more[504] = bool(rest)
        block += bytes(more)
    return block + padded(data)


def _put_extents(block: bytearray, at: int, extents: Extents) -> None:
    for offset, length in extents:
        _put(block, at, 12, offset)
        _put(block, at + 12, 12, length)
        at += 24


def sparse_0_0(name: Text, size: int, extents: Sequence[tuple[int, int]], data: bytes) -> bytes:
    """A sparse file of pax format 0.0, whose keywords repeat."""
    records = [("GNU.sparse.size", str(size)), ("GNU.sparse.numblocks", str(len(extents)))]
    for offset, length in extents:
        records += [("GNU.sparse.offset", str(offset)), ("GNU.sparse.numbytes", str(length))]
    return pax(records) + file(name, data)


def sparse_0_1(name: str, size: int, extents: Sequence[tuple[int, int]], data: bytes) -> bytes:
    """A sparse file of pax format 0.1, whose map is one record."""
    numbers = ",".join(f"{offset},{length}" for offset, length in extents)
    records = {"GNU.sparse.size": str(size), "GNU.sparse.numblocks": str(len(extents))}
    records |= {"GNU.sparse.name": name, "GNU.sparse.map": numbers}
    return pax(records) + file("GNUSparseFile.0/placeholder", data)


def sparse_1_0(
    name: str, size: int, extents: Sequence[tuple[int, int]], data: bytes, count: int | None = None
) -> bytes:
    """A sparse file of pax format 1.0, whose map begins its data; `count` is what the map says of its own length."""
    numbers = [len(extents) if count is None else count, *(number for extent in extents for number in extent)]
    records = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
    records |= {"GNU.sparse.name": name, "GNU.sparse.realsize": str(size)}
    sparse_map = padded("".join(f"{number}\n" for number in numbers).encode())
    return pax(records) + file("GNUSparseFile.0/placeholder", sparse_map + data)


def layer(*parts: bytes, end: bytes = END) -> bytes:
    """A whole archive."""
    return b"".join(parts) + end
