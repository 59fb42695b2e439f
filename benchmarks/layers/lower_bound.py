"""What no way to apply a layer can undercut: to inflate it, and to make its files, each alone.

    python -m benchmarks.layers.lower_bound inflate FILE...

Inflating is done by ISA-L (gzip) and libzstd, into one buffer after another that nobody looks at. The files are made by
`create_files.c` from a prepared list and the tar in memory, with as few system calls as there can be, by one thread.
"""

from __future__ import annotations

import os
import struct
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

import zstandard
from isal import isal_zlib

_RECORD = struct.Struct("<BBHIIIIIIqQQ")
_BUFFER = 1 << 20


def write_list(tars: Sequence[Path], target: Path) -> None:
    """Write the list of everything that the archives hold; a name that comes again is left out."""
    records: list[bytes] = []
    times: dict[str, float] = {}
    seen: set[str] = set()
    here = ""
    for number, tar in enumerate(tars):
        with tarfile.open(tar) as reader:
            for member in reader:
                name = os.path.normpath("/" + member.name).strip("/")
                if member.isdir():
                    times[name] = member.mtime
                if not name or name in seen:
                    continue
                seen.add(name)
                parent, _, last = name.rpartition("/")
                if parent != here:
                    records.append(_record(b"c", os.path.relpath("/" + parent, "/" + here)))
                    here = parent
                link = member.linkname
                if member.islnk():
                    link = os.path.relpath(os.path.normpath("/" + link), "/" + parent)
                records.append(_record(_kind(member), last, link, number, member))
    records.append(_record(b"c", os.path.relpath("/", "/" + here)))
    records += [_record(b"t", name or ".", seconds=int(time)) for name, time in times.items()]
    target.write_bytes(b"".join(records))


def _kind(member: tarfile.TarInfo) -> bytes:
    return b"0" if member.isreg() else member.type


def _record(
    kind: bytes, name: str, link: str = "", tar: int = 0, member: tarfile.TarInfo | None = None, seconds: int = 0
) -> bytes:
    raw_name, raw_link = os.fsencode(name), os.fsencode(link)
    numbers = (0, 0, 0, 0, 0, len(raw_name), len(raw_link), seconds, 0, 0)
    if member is not None:
        device = (member.devmajor, member.devminor) if member.isdev() else (0, 0)
        size = member.size if member.isreg() else 0
        numbers = (
            member.mode & 0o7777, member.uid, member.gid, *device, len(raw_name), len(raw_link), int(member.mtime),
            member.offset_data, size,
        )  # fmt: skip
    return _RECORD.pack(kind[0], tar, *numbers) + raw_name + b"\0" + raw_link + b"\0"


def inflate(path: Path) -> int:
    """Decompress a file, and return the number of bytes."""
    total = 0
    with path.open("rb", buffering=0) as reader:
        if path.suffix == ".zst":
            with zstandard.ZstdDecompressor().stream_reader(reader, read_size=_BUFFER) as stream:
                while piece := stream.read(_BUFFER):
                    total += len(piece)
            return total
        decompressor = isal_zlib.decompressobj(31)
        while data := reader.read(_BUFFER // 4):
            while data:
                total += len(decompressor.decompress(data, _BUFFER))
                data = decompressor.unconsumed_tail
    return total


if __name__ == "__main__":
    for each in sys.argv[2:]:
        inflate(Path(each))
