"""What an entry does to what is there already: in its own layer, and in one below."""

from __future__ import annotations

import itertools

from .blocks import block_device, character, directory, fifo, file, hard_link, layer, pax, symlink
from .case import Golden, become, becomes, refused
from .trees import PREPARED, Expected, Same, d, device, f, link, made, pipe

_OLD: dict[str, tuple[bytes, dict[str, Expected]]] = {
    "a file": (file("x", b"old", mode=0o600, uid=1, mtime=50), {"x": f(b"old", 0o600, (1, 0), 50)}),
    "a full directory": (
        directory("x", mode=0o700, uid=2, mtime=60) + file("x/y") + directory("x/z", mtime=70) + file("x/z/deep"),
        {"x": d(0o700, (2, 0), 60), "x/y": f(), "x/z": d(mtime=70), "x/z/deep": f()},
    ),
    "a symlink": (symlink("x", "aside", uid=3), {"x": link("aside", (3, 0))}),
    "a fifo": (fifo("x", uid=4), {"x": pipe(owner=(4, 0))}),
    "a device": (block_device("x", 8, 1), {"x": device("block", 8, 1)}),
    "a hard link": (hard_link("x", "aside/f"), {"x": Same("aside/f")}),
}
_NEW: dict[str, tuple[bytes, dict[str, Expected]]] = {
    "a file": (file("x", b"new", mode=0o4755, uid=11, mtime=150), {"x": f(b"new", 0o4755, (11, 0), 150)}),
    "a directory": (directory("x", mode=0o2711, uid=12, mtime=160), {"x": d(0o2711, (12, 0), 160)}),
    "a symlink": (symlink("x", "aside/f", gid=13), {"x": link("aside/f", (0, 13))}),
    "a fifo": (fifo("x", mode=0o666, uid=14), {"x": pipe(0o666, (14, 0))}),
    "a device": (character("x", 5, 2, mode=0o620, gid=5), {"x": device("character", 5, 2, 0o620, (0, 5))}),
    "a hard link": (hard_link("x", "aside/g"), {"x": Same("aside/g")}),
}
_ASIDE = directory("aside", mtime=10) + file("aside/f", b"f") + file("aside/g", b"g")
_ASIDE_NODES: dict[str, Expected] = {"aside": d(mtime=10), "aside/f": f(b"f"), "aside/g": f(b"g")}


def _replaced(old: str, new: str, *, in_one_layer: bool) -> Golden:
    layers = (_ASIDE + _OLD[old][0], _NEW[new][0])
    kept = _OLD[old][1] if (old, new) == ("a full directory", "a directory") else {}
    return become(
        (layer(*layers),) if in_one_layer else tuple(layer(each) for each in layers),
        _ASIDE_NODES | kept | _NEW[new][1],
    )


REPLACING: dict[str, Golden] = {
    f"{new} over {old} of {'the same layer' if one else 'a lower layer'}": _replaced(old, new, in_one_layer=one)
    for old, new, one in itertools.product(_OLD, _NEW, (True, False))
} | {
    "the last of many duplicates": becomes(
        layer(*(file("x", b"%d" % number, mtime=number) for number in range(20))), x=f(b"19", mtime=19)
    ),
    "a shorter file leaves nothing of a longer one": becomes(
        layer(file("x", b"long" * 500)), layer(file("x", b"s")), x=f(b"s")
    ),
    "a directory twice has the last one's attributes": becomes(
        layer(
            pax({"SCHILY.xattr.user.a": "1"}), directory("x", mode=0o777, uid=1), file("x/y"), directory("x", mtime=5)
        ),
        **{"x": d(mtime=5), "x/y": f()},
    ),
    "times of directories outlive their children": become(
        (
            layer(
                file("late/a/b"),
                directory("late/a", mtime=11),
                directory("late", mtime=12),
                directory("early", mtime=13),
                directory("early/a", mtime=14),
                file("early/a/b"),
                symlink("early/a/c", "b"),
                hard_link("early/a/d", "early/a/b"),
                fifo("early/e"),
            ),
        ),
        {
            "late": d(mtime=12),
            "late/a": d(mtime=11),
            "late/a/b": f(),
            "early": d(mtime=13),
            "early/a": d(mtime=14),
            "early/a/b": f(),
            "early/a/c": link("b"),
            "early/a/d": Same("early/a/b"),
            "early/e": pipe(),
        },
    ),
    "a lower directory keeps its time and mode when things are added to it": become(
        (layer(directory("a", mode=0o1777, uid=3, mtime=5), file("a/x")), layer(file("a/y")), layer(directory("a/z"))),
        {"a": d(0o1777, (3, 0), 5), "a/x": f(), "a/y": f(), "a/z": d()},
    ),
    "a lower directory keeps its time when something in it is replaced": become(
        (
            layer(directory("a", mtime=5), directory("a/x", mtime=6), file("a/x/y"), file("a/z")),
            layer(file("a/x", b"file"), file("a/z", b"new")),
        ),
        {"a": d(mtime=5), "a/x": f(b"file"), "a/z": f(b"new")},
    ),
    "a directory that was replaced and came back has its new time": become(
        (layer(directory("x", mtime=5), file("x/y"), file("x", b"f"), directory("x", mtime=6), file("x/z")),),
        {"x": d(mtime=6), "x/z": f()},
    ),
    "missing parents belong to root": become(
        (layer(file("a/b/c"), symlink("d/e", "x"), fifo("g/h"), directory("i/j", mode=0o700), file("k/l/.wh.m", b"")),),
        {
            "a": made(),
            "a/b": made(),
            "a/b/c": f(),
            "d": made(),
            "d/e": link("x"),
            "g": made(),
            "g/h": pipe(),
            "i": made(),
            "i/j": d(0o700),
        },
    ),
    "missing parents in a set-group-id directory": becomes(
        layer(directory("a", mode=0o2770, gid=9), file("a/b/c", mode=0o640)),
        **{"a": d(0o2770, (0, 9)), "a/b": made(), "a/b/c": f(mode=0o640)},
    ),
    "directories that nobody may enter": become(
        (layer(directory("a", mode=0), file("a/b"), directory("a/c", mode=0), file("a/c/d")), layer(file("a/c/e"))),
        {"a": d(0), "a/b": f(), "a/c": d(0), "a/c/d": f(), "a/c/e": f()},
    ),
    "a file as a parent": refused("not a directory", layer(file("a"), file("a/b")), entry="a/b"),
    "a lower file as a parent": refused("not a directory", layer(file("a")), layer(file("a/b/c")), entry="a/b/c"),
    "a fifo as a parent": refused("not a directory", layer(fifo("a")), layer(directory("a/b")), entry="a/b"),
    "the rootfs keeps its time": become(
        (layer(file("x")), layer(file("y"))), {".": d(mtime=PREPARED), "x": f(), "y": f()}
    ),
}
