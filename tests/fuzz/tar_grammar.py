"""Archives at random, most of them well-formed and ill-meaning, as strategies of hypothesis.

Names are made of few words, so that entries meet: symlinks and then writes through them, hard links to what
was replaced, whiteouts of what they came with.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

import zstandard
from hypothesis import strategies as st

from firkin.vminitd.layers.applier import Whiteouts
from tests.integration.layers.golden import blocks
from tests.integration.layers.golden.blocks import BLOCK, END, Number, Wide

OUTSIDE = b"/mnt/outside"
"""Where the canaries are, in the mount namespace of the fuzzer."""

_WORDS = [b"a", b"b", b"c", b"d"]
_CANARIES = [b"outside", b"etc", b"passwd", b"directory", b"shut"]
_ODD = [
    b".",
    b"..",
    b"",
    b".wh.a",
    b".wh.b",
    b".wh.",
    b".wh..",
    b".wh...",
    b".wh..wh..opq",
    b".wh..wh.plnk",
    b"\xff",
    b"n" * 255,
]

_components = st.one_of(
    st.sampled_from(_WORDS), st.sampled_from(_WORDS), st.sampled_from(_CANARIES), st.sampled_from(_ODD)
)
_roots = st.sampled_from([b"", b"", b"", b"", b"/", b"./", b"../", b"../../", OUTSIDE + b"/"])
_paths = st.builds(lambda root, parts: root + b"/".join(parts), _roots, st.lists(_components, min_size=1, max_size=4))
_calm_paths = st.lists(st.sampled_from(_WORDS), min_size=1, max_size=4).map(b"/".join)
_targets = st.one_of(
    _paths,
    _calm_paths,
    st.sampled_from(
        [OUTSIDE, b"..", b"../outside", b"/", b".", b"", b"../../../..", b"/proc/self/cwd", b"/proc/self/root"]
    ),
)
_numbers: st.SearchStrategy[Number] = st.one_of(
    st.integers(0, 0o7777777),
    st.sampled_from([0, 1, 0o4755, 0o1777, 0o7777777]),
    st.sampled_from([-1, 2**31, 2**32 - 2, 2**32, 2**40, 2**62, 2**63 - 1]).map(Wide),
    st.binary(max_size=8),
)
_data = st.one_of(st.binary(max_size=40), st.integers(0, 3 * BLOCK).map(lambda size: b"x" * size))
_kinds = st.sampled_from(
    [b"0", b"0", b"0", b"5", b"5", b"2", b"2", b"2", b"1", b"1", b"3", b"4", b"6", b"7", b"\0", b"V"]
)


def _short(text: bytes) -> bytes:
    return text[:100]


def _entry(kind: bytes, name: bytes, link: bytes, data: bytes, mode: Number, uid: Number) -> bytes:
    data = data if kind in (b"0", b"7", b"\0") else b""
    return blocks.entry(_short(name), kind, data, link=_short(link), mode=mode, uid=uid)


_ordinary = st.builds(_entry, _kinds, _paths, _targets, _data, st.just(0o755), st.just(0))
_calm = st.builds(
    _entry, st.sampled_from([b"0", b"5", b"5", b"2"]), _calm_paths, _targets, _data, st.just(0o700), st.just(1)
)
_any_numbers = st.builds(_entry, _kinds, _paths, _targets, _data, _numbers, _numbers)
_lying_sizes = st.builds(
    lambda name, data, size: blocks.entry(_short(name), b"0", data, size=size),
    _paths,
    _data,
    st.one_of(st.integers(0, 4 * BLOCK), _numbers),
)
_long = st.builds(
    lambda name, link, kind: blocks.gnu_name(name) + blocks.gnu_link(link) + blocks.entry("x", kind, b"", link="y"),
    _paths,
    _targets,
    _kinds,
)
_devices = st.builds(
    lambda name, major, minor: blocks.character(_short(name), major, minor),
    _paths,
    _numbers,
    st.sampled_from([0, 3, Wide(2**40)]),
)

_keywords = st.sampled_from(
    b"path linkpath path linkpath size uid gid mtime hdrcharset comment GNU.sparse.major GNU.sparse.size"
    b" GNU.sparse.name GNU.sparse.realsize GNU.sparse.map GNU.sparse.offset GNU.sparse.numbytes GNU.sparse.numblocks"
    b" SCHILY.xattr.user.x SCHILY.xattr.trusted.overlay.opaque SCHILY.xattr.security.capability SCHILY.xattr."
    b" SCHILY.xattr.system.posix_acl_access".split()
)
_values = st.one_of(
    _paths,
    _targets,
    st.integers(-5, 10**6).map(lambda number: b"%d" % number),
    st.sampled_from(
        [b"", b"1", b"1.5", b"-1.5", b"1e9", b"0,1", b"0,5,10,5", b"9" * 19, b"9" * 30, b"18446744073709551617"]
    ),
    st.binary(max_size=30),
)
_records = st.lists(st.builds(blocks.record, _keywords, _values), max_size=4)
_global_keywords = st.sampled_from(
    b"path linkpath size uid gid mtime comment SCHILY.xattr.user.x SCHILY.xattr.trusted.y LIBARCHIVE.xattr.trusted.y"
    b" SCHILY.xattr.security.capability SCHILY.xattr.trusted.overlay.opaque GNU.sparse.size".split()
)
_global_records = st.one_of(
    _records,
    *[st.lists(st.builds(blocks.record, _global_keywords, _values), max_size=4)] * 2,
    st.integers(0, 60).map(lambda count: [blocks.record(f"SCHILY.xattr.user.{n}", "v" * 50) for n in range(count)]),
)
_lying_records = st.builds(
    lambda length, rest: b"%d " % length + rest,
    st.sampled_from([0, 1, 3, 9, 12, 100, 2**32, 2**64 + 12]),
    st.binary(max_size=20),
)
_pax = st.one_of(
    _records.map(lambda records: blocks.pax_data(b"".join(records))),
    _global_records.map(lambda records: blocks.global_pax_data(b"".join(records))),
    st.builds(lambda records, lie: blocks.pax_data(b"".join(records) + lie), _records, _lying_records),
    st.builds(lambda records, lie: blocks.global_pax_data(b"".join(records) + lie), _global_records, _lying_records),
)

_offsets = st.one_of(st.integers(0, 5000), st.sampled_from([2**31, 2**62, 2**63 - 1]))
_extents = st.lists(st.tuples(_offsets, st.integers(0, 600)), max_size=8)
_sparse_sizes = st.one_of(st.integers(0, 20_000), st.sampled_from([2**40, 2**63 - 1]))


def _sparse(
    form: str, name: bytes, size: int, extents: Sequence[tuple[int, int]], excess: int, in_order: bool
) -> bytes:
    if in_order:
        at = 0
        ordered = []
        for offset, length in extents:
            at += offset % 5000
            ordered.append((at, length))
            at += length
        extents, size = ordered, at + size % 5000
    data = b"s" * max(0, sum(length for _, length in extents) % 10_000 + excess)
    text = name.decode("latin-1")
    if form == "old":
        wide = [(Wide(offset), Wide(length)) for offset, length in extents]
        return blocks.old_sparse(_short(name), Wide(size), wide, data)
    if form == "0.0":
        return blocks.sparse_0_0(_short(name), size, extents, data)
    if form == "0.1":
        return blocks.sparse_0_1(text, size, extents, data)
    return blocks.sparse_1_0(text, size, extents, data, len(extents) + (excess % 3))


_sparse_files = st.builds(
    _sparse,
    st.sampled_from(["old", "0.0", "0.1", "1.0"]),
    _paths,
    _sparse_sizes,
    _extents,
    st.sampled_from([0, 0, 0, -1, 1, 600]),
    st.booleans(),
)

_parts = st.one_of(
    _ordinary,
    _ordinary,
    _ordinary,
    _ordinary,
    _any_numbers,
    _lying_sizes,
    _long,
    _devices,
    _pax,
    _pax,
    _sparse_files,
    st.just(bytes(BLOCK)),
)


class Damage(NamedTuple):
    """What is done to an archive after it was made.

    Attributes:
        bytes_at: positions (of 65,536 parts of the archive) and what is put there.
        mended: whether checksums are made right again.
        cut: the part, of 65,536, that is left; None leaves all.
    """

    bytes_at: Sequence[tuple[int, int]]
    mended: bool
    cut: int | None


_damages = st.one_of(
    *[st.just(Damage((), True, None))] * 3,
    st.builds(
        Damage,
        st.lists(st.tuples(st.integers(0, 65_535), st.integers(0, 255)), max_size=6),
        st.booleans(),
        st.one_of(st.none(), st.none(), st.integers(0, 65_535)),
    ),
)


def _damaged(archive: bytes, damage: Damage) -> bytes:
    tar = bytearray(archive)
    for at, value in damage.bytes_at if tar else ():
        tar[at * len(tar) >> 16] = value
    if damage.mended:
        for at in range(0, len(tar) - BLOCK + 1, BLOCK):
            if tar[at + 257 : at + 262] == b"ustar":
                tar[at + 148 : at + 156] = b" " * 8
                tar[at + 148 : at + 156] = b"%06o\0 " % sum(tar[at : at + BLOCK])
    return bytes(tar if damage.cut is None else tar[: damage.cut * len(tar) >> 16])


class Blob(NamedTuple):
    """A layer of a case.

    Attributes:
        parts: what the archive is made of.
        ended: whether its end mark follows.
        damage: done to the archive.
        packing: "plain", "gzip", "members" (gzip in two), "zstd" or "frames" (zstd in two).
        step: most bytes that a read gives.
        blob_damage: done to the packed bytes.
    """

    parts: Sequence[bytes]
    ended: bool
    damage: Damage
    packing: str
    step: int
    blob_damage: Damage

    def packed(self) -> bytes:
        """The blob."""
        tar = _damaged(b"".join(self.parts) + (END if self.ended else b""), self.damage)
        return _damaged(_PACKINGS[self.packing](tar), self.blob_damage._replace(mended=False))


_PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": lambda tar: gzip.compress(tar, 1, mtime=0),
    "members": lambda tar: gzip.compress(tar[: len(tar) // 2], 1) + gzip.compress(tar[len(tar) // 2 :], 1) + bytes(8),
    "zstd": lambda tar: zstandard.compress(tar, 1),
    "frames": lambda tar: zstandard.compress(tar[: len(tar) // 2], 1) + zstandard.compress(tar[len(tar) // 2 :], 1),
}

_no_damage = Damage((), False, None)
_blobs = st.builds(
    Blob,
    st.lists(_parts, max_size=12),
    st.sampled_from([True, True, True, False]),
    _damages,
    st.sampled_from(["plain", "plain", *_PACKINGS]),
    st.sampled_from([1 << 20, 4096, 513, 37]),
    st.one_of(*[st.just(_no_damage)] * 4, _damages),
)


class Case(NamedTuple):
    """Layers of one rootfs, the lowest first, and how they are applied."""

    layers: Sequence[Blob]
    whiteouts: Whiteouts
    rootless: bool


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A case as it is mostly used: whiteouts applied, by root."""
    return Case(draw(st.lists(_blobs, min_size=1, max_size=3)), Whiteouts.APPLIED, False)


def reshuffled(case: Case, chance: random.Random) -> Case:
    """Other layers of the same parts, applied in any way: drawing a part takes far longer than applying it."""
    parts = [part for blob in case.layers for part in blob.parts]
    layers = []
    for _ in range(chance.randrange(1, 4)):
        count = chance.randrange(len(parts) + 1)
        damage = _no_damage
        if chance.random() < 0.2:
            flips = [(chance.randrange(65_536), chance.randrange(256)) for _ in range(chance.randrange(1, 4))]
            damage = Damage(flips, chance.random() < 0.8, None)
        packing = chance.choice(["plain", "plain", *_PACKINGS])
        chosen = [chance.choice(parts) for _ in range(count)]
        layers.append(Blob(chosen, True, damage, packing, chance.choice([1 << 20, 513]), _no_damage))
    whiteouts = chance.choice([Whiteouts.APPLIED, Whiteouts.APPLIED, *Whiteouts])
    return Case(layers, whiteouts, chance.random() < 0.2)
