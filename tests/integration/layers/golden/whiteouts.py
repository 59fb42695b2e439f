"""Whiteouts (OCI image-spec v1.1, layer.md), plain and opaque: of lower layers, and never of their own.

`test_applier.py` has: of each kind of thing, sparing their own layer's, opaque before and after its siblings, the
rootfs opaque, and other aufs files.
"""

from __future__ import annotations

from .blocks import character, directory, fifo, file, hard_link, layer, opaque, pax, symlink, whiteout
from .case import Golden, become, becomes, refused
from .trees import Same, d, device, f, link, made

_LOWER = layer(
    directory("d", mode=0o750, uid=5, mtime=100),
    file("d/a", b"a"),
    file("d/b", b"b"),
    directory("d/sub", mtime=200),
    file("d/sub/c", b"c"),
    directory("e", mtime=300),
)
_D = d(0o750, (5, 0), 100)

WHITEOUTS: dict[str, Golden] = {
    "opaque, then a plain one in the same directory": become(
        (_LOWER, layer(opaque("d"), whiteout("d/a"), file("d/new"))), {"d": _D, "d/new": f(), "e": d(mtime=300)}
    ),
    "plain, then an opaque one in the same directory": become(
        (_LOWER, layer(whiteout("d/a"), file("d/new"), opaque("d"))), {"d": _D, "d/new": f(), "e": d(mtime=300)}
    ),
    "opaque, and plain ones below it": become(
        (_LOWER, layer(opaque("d"), whiteout("d/sub/c"), whiteout("d/sub"), file("d/sub/new"))),
        {"d": _D, "d/sub": made(), "d/sub/new": f(), "e": d(mtime=300)},
    ),
    "of what is not there, in what is not there": become(
        (_LOWER, layer(whiteout("x/y/z"), whiteout("d/none"), opaque("x"), opaque("y/z"))),
        {
            "d": _D,
            "d/a": f(b"a"),
            "d/b": f(b"b"),
            "d/sub": d(mtime=200),
            "d/sub/c": f(b"c"),
            "e": d(mtime=300),
        },
    ),
    "the same twice": become(
        (_LOWER, layer(whiteout("d/a"), whiteout("d/a"), opaque("d/sub"), opaque("d/sub"))),
        {"d": _D, "d/b": f(b"b"), "d/sub": d(mtime=200), "e": d(mtime=300)},
    ),
    "a directory that comes back as another": become(
        (_LOWER, layer(whiteout("d"), directory("d", mode=0o700), file("d/a", b"new"))),
        {"d": d(0o700), "d/a": f(b"new"), "e": d(mtime=300)},
    ),
    "a directory that came back before it went": become(
        (_LOWER, layer(directory("d", mode=0o700), file("d/a", b"new"), whiteout("d"))),
        {"d": d(0o700), "d/a": f(b"new"), "e": d(mtime=300)},
    ),
    "a file that comes back as a directory, and the other way round": become(
        (_LOWER, layer(whiteout("e"), file("e"), whiteout("d/a"), directory("d/a"), file("d/a/x"))),
        {
            "d": _D,
            "d/a": d(),
            "d/a/x": f(),
            "d/b": f(b"b"),
            "d/sub": d(mtime=200),
            "d/sub/c": f(b"c"),
            "e": f(),
        },
    ),
    "an opaque directory has its own entry's attributes": become(
        (_LOWER, layer(directory("d", mode=0o711, mtime=400), opaque("d"), file("d/a", b"new"))),
        {"d": d(0o711, mtime=400), "d/a": f(b"new"), "e": d(mtime=300)},
    ),
    "everything, and then something": become((_LOWER, layer(opaque(), file("x"))), {"x": f()}),
    "whatever kind of entry it is": become(
        (
            _LOWER,
            layer(
                directory("d/.wh.a"),
                symlink("d/.wh.b", "/etc/passwd"),
                hard_link("d/sub/.wh.c", "missing"),
                character(".wh.e", 0, 0),
                fifo("d/sub/.wh..wh..opq"),
            ),
        ),
        {"d": _D, "d/sub": d(mtime=200)},
    ),
    "one that has content": become(
        (_LOWER, layer(file(".wh.d", b"x" * 2000), file("x"))), {"e": d(mtime=300), "x": f()}
    ),
    "of a name that begins like a whiteout's": become(
        (layer(file("wh.x"), file(".wh"), file("a.wh.b")), layer(whiteout("wh.x"))), {".wh": f(), "a.wh.b": f()}
    ),
    "names that only look like one": becomes(
        layer(file(".wh"), file("x.wh."), file("wh.y"), file(".WH.z")),
        **{".wh": f(), "x.wh.": f(), "wh.y": f(), ".WH.z": f()},
    ),
    "what lies below a whiteout is left out": become(
        (layer(file(".wh.x/y"), file("z/.wh.x/a/b"), file("k")),), {"k": f()}
    ),
    "nothing of aufs comes in": become(
        (
            layer(
                directory(".wh..wh.plnk"), file(".wh..wh.plnk/1.2"), file(".wh..wh.aufs"), hard_link("d/.wh..wh.x", "y")
            ),
        ),
        {},
    ),
    "one layer's is not the next one's": become(
        (_LOWER, layer(whiteout("d"), whiteout("e")), layer(file("d/a"))), {"d": made(), "d/a": f()}
    ),
    "in a directory that a symlink leads to": become(
        (
            layer(
                directory("real", mtime=9), file("real/a"), file("real/b"), symlink("way", "/real"), symlink("w", "way")
            ),
            layer(whiteout("w/a")),
        ),
        {"real": d(mtime=9), "real/b": f(), "way": link("/real"), "w": link("way")},
    ),
    "opaque where a symlink leads to": become(
        (
            layer(directory("real", mtime=9), file("real/a"), symlink("way", "real")),
            layer(opaque("way"), file("way/new")),
        ),
        {"real": d(mtime=9), "real/new": f(), "way": link("real")},
    ),
    "of a symlink takes the link only": become(
        (layer(directory("real"), file("real/a"), symlink("way", "real")), layer(whiteout("way"))),
        {"real": d(), "real/a": f()},
    ),
    "of one of two names": become((layer(file("a"), hard_link("b", "a")), layer(whiteout("a"))), {"b": f()}),
    "of a file, then a hard link to it": refused(
        "does not exist", layer(file("a")), layer(whiteout("a"), hard_link("b", "a")), entry="b"
    ),
    "of a file that a hard link has saved": become(
        (layer(file("a", b"1")), layer(hard_link("b", "a"), whiteout("a"))), {"b": f(b"1")}
    ),
    "opaque over a file that a hard link of this layer names": become(
        (layer(file("d/a", b"1"), file("d/b", b"2")), layer(hard_link("d/c", "d/a"), opaque("d"))),
        {"d": made(), "d/c": f(b"1")},
    ),
    "of a directory, from which a hard link was taken": become(
        (layer(directory("d"), file("d/a", b"1")), layer(hard_link("x", "d/a"), hard_link("y", "d/a"), whiteout("d"))),
        {"x": f(b"1"), "y": Same("x")},
    ),
    "of what a layer replaced in another's place": become(
        (layer(file("a", b"1")), layer(file("a", b"2")), layer(whiteout("a"))), {}
    ),
    "in the middle of three layers": become(
        (layer(file("d/a"), file("d/b")), layer(opaque("d"), file("d/c")), layer(file("d/a", b"new"), whiteout("d/c"))),
        {"d": made(), "d/a": f(b"new")},
    ),
    "a deep one keeps the times of all above it": become(
        (
            layer(directory("a", mtime=1), directory("a/b", mtime=2), directory("a/b/c", mtime=3), file("a/b/c/x")),
            layer(whiteout("a/b/c/x")),
        ),
        {"a": d(mtime=1), "a/b": d(mtime=2), "a/b/c": d(mtime=3)},
    ),
    "one in a file's place": refused("not a directory", layer(file("a")), layer(whiteout("a/b"))),
    "of nothing": refused("whiteout of nothing", layer(file("d/.wh.", b"")), entry="d/.wh."),
    "of the directory itself": refused("whiteout of nothing", layer(file("d/.wh..", b"")), entry="d/.wh.."),
    "of the directory above": refused("whiteout of nothing", layer(file("d/.wh...", b"")), entry="d/.wh..."),
    "one above the rootfs": refused("climbs above", layer(file("../.wh.x", b"")), entry="../.wh.x"),
    "a device that overlayfs would take for one is a device": become(
        (layer(file("x"), file("y")), layer(character("x", 0, 0))), {"x": device("character", 0, 0), "y": f()}
    ),
    "by a long name of pax": become(
        (layer(pax({"path": "n" * 150}), file("x")), layer(pax({"path": ".wh." + "n" * 150}), file("x", b""))), {}
    ),
}
