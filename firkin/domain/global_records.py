"""Pax global headers: their records hold for all entries that follow (POSIX.1-2001, pax, "pax Header Block")."""

from __future__ import annotations

from collections.abc import Mapping

from .tar_header import Records, TarError, parse_pax

_ATTRIBUTE_PREFIX = b"SCHILY.xattr."
_KEYWORDS = frozenset((b"path", b"linkpath", b"size", b"uid", b"gid", b"mtime"))
# Of each attribute beside its name and value, as in ext4; and of all of them, which ext4 keeps in a block. Every entry
# is given them, of whatever size it is itself: more would make a large tree of a small archive.
_ATTRIBUTE_OVERHEAD_BYTES = 16
_ATTRIBUTES_MAX_BYTES = 4096


class GlobalRecords:
    """The records of an archive's global headers that hold at present.

    What an entry says itself has the last word. A record without value takes away what an earlier header said, and a
    header leaves alone what it does not name. All that is read of an entry's own header is read here as well (path,
    linkpath, size, uid, gid, mtime, attributes); only a sparse map cannot be of more than one file.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._values: dict[bytes, bytes] = {}
        self._bytes = 0

    def take(self, data: bytes) -> None:
        """The contents of a global header, which comes here in the archive.

        Raises:
            TarError: it is malformed, has a sparse map, or amounts to more than it may.
        """
        records = parse_pax(data)
        if records.sparse or any(key.startswith(b"GNU.sparse.") for key in records.values):
            raise TarError("a global pax header has a sparse map, which can be of one file only")
        changed = {key: value for key, value in records.values.items() if _is_read(key)}
        self._values = {key: value for key, value in (self._values | changed).items() if value}
        _check_attributes(self._values)
        self._bytes = sum(len(key) + len(value) for key, value in self._values.items())
        self._check_size(0)

    def of_entry(self, own: Records, long_name: bytes | None = None, long_link: bytes | None = None) -> Records:
        """What an entry's own records, and GNU's long names, come to with those that it has from global headers.

        Raises:
            TarError: that is more than an entry's own header may say.
        """
        if not self._values:
            return own
        self._check_size(sum(len(key) + len(value) for key, value in own.values.items()))
        long_names = {b"path": long_name, b"linkpath": long_link}
        given = {keyword: name for keyword, name in long_names.items() if name is not None}
        return Records({**self._values, **given, **own.values}, own.sparse)

    def _check_size(self, own_bytes: int) -> None:
        if self._bytes + own_bytes > self._limit_bytes:
            raise TarError(f"its extended header is larger than {self._limit_bytes} bytes")


def _is_read(keyword: bytes) -> bool:
    return keyword in _KEYWORDS or (keyword.startswith(_ATTRIBUTE_PREFIX) and len(keyword) > len(_ATTRIBUTE_PREFIX))


def _check_attributes(values: Mapping[bytes, bytes]) -> None:
    total = sum(
        len(key) - len(_ATTRIBUTE_PREFIX) + len(value) + _ATTRIBUTE_OVERHEAD_BYTES
        for key, value in values.items()
        if key not in _KEYWORDS
    )
    if total > _ATTRIBUTES_MAX_BYTES:
        raise TarError(
            f"its global pax headers give every entry more than {_ATTRIBUTES_MAX_BYTES} bytes of extended attributes"
        )
