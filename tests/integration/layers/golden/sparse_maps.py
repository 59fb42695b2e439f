"""Sparse files: GNU's first format, and the three of pax. GNU tar's own are in `test_hostile_layers.py`."""

from __future__ import annotations

from .blocks import Wide, file, layer, old_sparse, pax, sparse_0_0, sparse_0_1, sparse_1_0
from .case import Golden, becomes, refused
from .trees import f

_SIZE = 3_000_000
_EXTENTS = [(0, 3), (1_000_000, 600), (2_000_000, 5)]
_DATA = b"abc" + b"x" * 600 + b"later"
_CONTENT = b"abc" + bytes(999_997) + b"x" * 600 + bytes(999_400) + b"later" + bytes(999_995)
_MANY = [(number * 10_000, 4) for number in range(60)]
_MANY_CONTENT = (b"data" + bytes(9_996)) * 60 + bytes(400_000)

SPARSE: dict[str, Golden] = {
    "the first format": becomes(
        layer(old_sparse("s", _SIZE, _EXTENTS, _DATA, mode=0o4711, uid=5), file("after")),
        s=f(_CONTENT, 0o4711, (5, 0), sparse=True),
        after=f(),
    ),
    "the first format in three header blocks": becomes(
        layer(old_sparse("s", 1_000_000, _MANY, b"data" * 60), file("after")),
        s=f(_MANY_CONTENT, sparse=True),
        after=f(),
    ),
    "the first format with numbers in base 256": becomes(
        layer(old_sparse("s", Wide(_SIZE), [(Wide(a), Wide(b)) for a, b in _EXTENTS], _DATA)),
        s=f(_CONTENT, sparse=True),
    ),
    "format 0.0": becomes(
        layer(sparse_0_0("s", _SIZE, _EXTENTS, _DATA), file("after")), s=f(_CONTENT, sparse=True), after=f()
    ),
    "format 0.1": becomes(
        layer(sparse_0_1("s", _SIZE, _EXTENTS, _DATA), file("after")), s=f(_CONTENT, sparse=True), after=f()
    ),
    "format 1.0": becomes(
        layer(sparse_1_0("s", _SIZE, _EXTENTS, _DATA), file("after")), s=f(_CONTENT, sparse=True), after=f()
    ),
    "a map of more than one block": becomes(
        layer(sparse_1_0("s", 1_000_000, _MANY, b"data" * 60), file("after")),
        s=f(_MANY_CONTENT, sparse=True),
        after=f(),
    ),
    "nothing but a hole": becomes(
        layer(old_sparse("o", _SIZE, [], b""), sparse_0_1("p", _SIZE, [], b""), sparse_1_0("q", _SIZE, [], b"")),
        o=f(bytes(_SIZE), sparse=True),
        p=f(bytes(_SIZE), sparse=True),
        q=f(bytes(_SIZE), sparse=True),
    ),
    "an empty extent that marks the end": becomes(
        layer(sparse_1_0("s", 10_000, [(0, 2), (10_000, 0)], b"ab"), file("after")),
        s=f(b"ab" + bytes(9_998), sparse=True),
        after=f(),
    ),
    "no hole at all": becomes(layer(sparse_1_0("s", 3, [(0, 3)], b"abc")), s=f(b"abc")),
    "a sparse file over one of a lower layer": becomes(
        layer(file("s", b"y" * 5_000)),
        layer(old_sparse("s", 9_000, [(0, 1)], b"z")),
        s=f(b"z" + bytes(8_999), sparse=True),
    ),
    "extents that overlap": refused("order", layer(old_sparse("s", 9, [(0, 5), (4, 1)], b"abcdef"))),
    "extents out of order": refused("order", layer(sparse_0_1("s", 9, [(5, 1), (0, 1)], b"ab"))),
    "an extent beyond the size": refused("fit", layer(sparse_1_0("s", 9, [(8, 2)], b"ab"))),
    "less data than the map says": refused("fit", layer(sparse_0_0("s", 99, [(0, 5)], b"abcd"))),
    "more data than the map says": refused("fit", layer(sparse_0_0("s", 99, [(0, 5)], b"abcdef"))),
    "a negative offset": refused("negative", layer(old_sparse("s", 9, [(Wide(-4), 1)], b"a"))),
    "a negative length": refused("negative", layer(old_sparse("s", 9, [(0, Wide(-1))], b""))),
    "extents whose sum is more than 64 bits": refused(
        "order|fit|number|size|possible",
        layer(sparse_0_1("s", 2**63 - 1, [(0, 2**63 - 1), (2**63 - 1, 2**63 + 4)], b"abc")),
    ),
    "an offset of more than 64 bits": refused(
        "order|fit|number|size|possible", layer(sparse_1_0("s", 10, [(2**64 + 1, 3)], b"abc"))
    ),
    "a size that no file can have": refused(
        "fit|large|size|possible", layer(pax({"GNU.sparse.map": "", "GNU.sparse.size": str(2**63)}) + file("s", b""))
    ),
    "a map with a word in it": refused(
        "not a number", layer(pax({"GNU.sparse.map": "0,x", "GNU.sparse.size": "9"}) + file("s", b"a"))
    ),
    "a map of odd length": refused(
        "incomplete", layer(pax({"GNU.sparse.map": "0,1,5", "GNU.sparse.size": "9"}) + file("s", b"a"))
    ),
    "a map without a size": refused("size", layer(pax({"GNU.sparse.map": "0,1"}) + file("s", b"a"))),
    "a map that counts more than it has": refused(
        "incomplete|not a number|fit", layer(sparse_1_0("s", 9, [(0, 1)], b"a", count=2))
    ),
    "a map that counts a billion extents": refused(
        "incomplete|not a number|large|fit", layer(sparse_1_0("s", 9, [(0, 1)], b"a", count=10**9))
    ),
    "a map that counts fewer than it has": refused("fit", layer(sparse_1_0("s", 9, [(0, 1), (2, 1)], b"ab", count=1))),
    "a map that never ends": refused(
        "incomplete|number|large",
        layer(pax({"GNU.sparse.major": "1", "GNU.sparse.realsize": "9"}) + file("s", b"1" * 512)),
    ),
    "header blocks of a map at the end": refused(
        "ends within", layer(old_sparse("s", 1_000_000, _MANY, b""), end=b"")[:1024]
    ),
}
