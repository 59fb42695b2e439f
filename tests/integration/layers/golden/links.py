"""Hard links, symlinks, and paths through them; nothing of it leaves the rootfs.

`test_hostile_layers.py` has some twenty layers that try to reach a canary beside the rootfs (`ESCAPES`).
"""

from __future__ import annotations

from .blocks import (
    character,
    directory,
    fifo,
    file,
    gnu_link,
    hard_link,
    layer,
    opaque,
    symlink,
    whiteout,
)
from .case import Golden, become, becomes, refused
from .trees import Same, d, device, f, link, made, pipe

_CHAIN = b"".join(symlink(f"l{number}", f"l{number + 1}") for number in range(1, 40))

LINKS: dict[str, Golden] = {
    "hard links to everything that can have them": become(
        (
            layer(file("f"), symlink("s", "f"), fifo("p"), character("c", 1, 3)),
            layer(*(hard_link(f"d/{name}2", name) for name in "fspc"), hard_link("d/f3", "d/f2")),
        ),
        {
            "f": f(),
            "s": link("f"),
            "p": pipe(),
            "c": device("character", 1, 3),
            "d": made(),
            "d/f2": Same("f"),
            "d/f3": Same("f"),
            "d/s2": Same("s"),
            "d/p2": Same("p"),
            "d/c2": Same("c"),
        },
    ),
    "a hard link's own attributes do not count": becomes(
        layer(file("a", mode=0o600, uid=1, mtime=5), hard_link("b", "a", mode=0o777, uid=9, gid=9, mtime=99)),
        a=f(mode=0o600, owner=(1, 0), mtime=5),
        b=Same("a"),
    ),
    "a hard link to a hard link of a lower layer": become(
        (layer(file("a"), hard_link("b", "a")), layer(hard_link("c", "b")), layer(whiteout("a"))),
        {"b": f(), "c": Same("b")},
    ),
    "a hard link's target in odd spellings": become(
        (layer(file("d/a"), hard_link("b", "./d//a"), hard_link("c", "/d/a"), hard_link("e", "d/x/../a")),),
        {"d": made(), "d/a": f(), "b": Same("d/a"), "c": Same("d/a"), "e": Same("d/a")},
    ),
    "a hard link to itself": becomes(layer(file("a"), hard_link("a", "a"), hard_link("./a", "/a")), a=f()),
    "a hard link onto another of its names": becomes(
        layer(file("a"), hard_link("b", "a"), hard_link("a", "b"), hard_link("b", "a")), a=f(), b=Same("a")
    ),
    "a target that is replaced later": becomes(
        layer(file("a", b"1"), hard_link("b", "a"), file("a", b"2")), a=f(b"2"), b=f(b"1")
    ),
    "a lower file changes under one of its names only": becomes(
        layer(file("a", b"1"), hard_link("b", "a")), layer(file("b", b"2", mode=0o600)), a=f(b"1"), b=f(b"2", 0o600)
    ),
    "a hard link through a symlink in the rootfs": become(
        (layer(directory("real"), file("real/a"), symlink("way", "/real")), layer(hard_link("way/b", "way/a"))),
        {"real": d(), "real/a": f(), "real/b": Same("real/a"), "way": link("/real")},
    ),
    "a hard link to a symlink is not to what it means": becomes(
        layer(file("a"), symlink("s", "a"), hard_link("h", "s")), a=f(), s=link("a"), h=Same("s")
    ),
    "a hard link to what comes later": refused("does not exist", layer(hard_link("b", "a"), file("a")), entry="b"),
    "a hard link to what an opaque directory hides": refused(
        "does not exist", layer(file("d/a")), layer(opaque("d"), hard_link("d/b", "d/a")), entry="d/b"
    ),
    "a hard link to what a lower layer removed": refused(
        "does not exist", layer(file("a")), layer(whiteout("a")), layer(hard_link("b", "a")), entry="b"
    ),
    "a hard link to a directory": refused("is a directory", layer(directory("d"), hard_link("b", "d")), entry="b"),
    "a hard link to the rootfs": refused("rootfs itself", layer(hard_link("b", "./")), entry="b"),
    "a hard link without target": refused("empty", layer(hard_link("b", "")), entry="b"),
    "a hard link to what it replaces": refused(
        "replaces|does not exist", layer(file("d/a"), hard_link("d", "d/a")), entry="d"
    ),
    "a hard link that climbs": refused("climbs above", layer(hard_link("b", "d/../../etc/passwd")), entry="b"),
    "a hard link that climbs through a symlink": refused(
        "does not exist", layer(symlink("up", "../.."), hard_link("b", "up/etc/passwd")), entry="b"
    ),
    "a hard link in a hard link": refused("not a directory", layer(file("a"), hard_link("b", "a"), file("b/c"))),
    "symlinks of any text": become(
        (
            layer(
                symlink("a", "/etc/passwd"),
                symlink("b", "../../../.."),
                symlink("c", "."),
                symlink("d", " x\n"),
                symlink("e", "e"),
                symlink("f", "/proc/self/root"),
                symlink("g", "//a//b/"),
            ),
        ),
        {
            "a": link("/etc/passwd"),
            "b": link("../../../.."),
            "c": link("."),
            "d": link(" x\n"),
            "e": link("e"),
            "f": link("/proc/self/root"),
            "g": link("//a//b/"),
        },
    ),
    "a path through a symlink that climbs stays inside": become(
        (layer(directory("d/e"), symlink("d/e/up", "../../../../../../../etc")), layer(file("d/e/up/motd", b"inside"))),
        {"d": made(), "d/e": d(), "d/e/up": link("../../../../../../../etc"), "etc": made(), "etc/motd": f(b"inside")},
    ),
    "a path through an absolute symlink stays inside": become(
        (layer(symlink("abs", "/var/lib")), layer(file("abs/x"), directory("abs/y", mode=0o700))),
        {"abs": link("/var/lib"), "var": made(), "var/lib": made(), "var/lib/x": f(), "var/lib/y": d(0o700)},
    ),
    "a path through a symlink of the same layer": become(
        (layer(symlink("lib", "usr/lib"), file("lib/x"), directory("usr/lib", mode=0o711, mtime=5)),),
        {"lib": link("usr/lib"), "usr": made(), "usr/lib": d(0o711, mtime=5), "usr/lib/x": f()},
    ),
    "a path through a symlink with dots": become(
        (layer(directory("a/b"), symlink("s", "a/b/../c/./d"), file("s/x")),),
        {"a": made(), "a/b": d(), "s": link("a/b/../c/./d"), "a/c": made(), "a/c/d": made(), "a/c/d/x": f()},
    ),
    "a path through magic links of the host stays inside": become(
        (layer(symlink("s", "/proc/self/root"), file("s/x")),),
        {
            "s": link("/proc/self/root"),
            "proc": made(),
            "proc/self": made(),
            "proc/self/root": made(),
            "proc/self/root/x": f(),
        },
    ),
    "a path through two symlinks of two layers": become(
        (layer(directory("x"), symlink("a", "x")), layer(symlink("b", "/a")), layer(file("b/f"))),
        {"x": d(), "a": link("x"), "b": link("/a"), "x/f": f()},
    ),
    "a directory takes a symlink's place, and what it led to stays": become(
        (layer(directory("real"), file("real/a"), symlink("way", "real")), layer(directory("way"), file("way/b"))),
        {"real": d(), "real/a": f(), "way": d(), "way/b": f()},
    ),
    "a symlink takes a full directory's place": become(
        (layer(directory("way"), file("way/a")), layer(symlink("way", "real"), directory("real"), file("way/b"))),
        {"way": link("real"), "real": d(), "real/b": f()},
    ),
    "a symlink that is turned while it is in use": become(
        (layer(symlink("s", "a"), file("s/1"), symlink("s", "b"), file("s/2"), symlink("s", "/a"), file("s/3")),),
        {"s": link("/a"), "a": made(), "a/1": f(), "a/3": f(), "b": made(), "b/2": f()},
    ),
    "a directory on a symlink's way is replaced by a symlink": become(
        (
            layer(
                directory("one/in"),
                directory("two/in"),
                symlink("s", "one/in"),
                file("s/1"),
                symlink("one", "two"),
                file("s/2"),
            ),
        ),
        {"one": link("two"), "two": made(), "two/in": d(), "two/in/2": f(), "s": link("one/in")},
    ),
    "forty symlinks on one path": become(
        (layer(_CHAIN, symlink("l40", "end"), directory("end"), file("l1/x")),),
        {f"l{number}": link(f"l{number + 1}") for number in range(1, 40)}
        | {"l40": link("end"), "end": d(), "end/x": f()},
    ),
    "forty-one symlinks on one path": refused(
        "symlinks|symbolic links",
        layer(_CHAIN, symlink("l40", "l41"), symlink("l41", "end"), file("l1/x")),
        entry="l1/x",
    ),
    "a symlink to itself on the way": refused(
        "symlinks|symbolic links", layer(symlink("s", "s"), file("s/x")), entry="s/x"
    ),
    "two symlinks to each other on the way": refused(
        "symlinks|symbolic links", layer(symlink("a", "b/x"), symlink("b", "a/y")), layer(file("a/b/c")), entry="a/b/c"
    ),
    "a symlink to a file on the way": refused(
        "not a directory", layer(file("f"), symlink("s", "f")), layer(file("s/x")), entry="s/x"
    ),
    "a target that leads through a loop": refused(
        "symlinks|symbolic links", layer(symlink("s", "s"), hard_link("h", "s/x")), entry="h"
    ),
    "a long target on the way": become(
        (layer(gnu_link("d/" * 400 + "e"), symlink("s", "x")), layer(whiteout("s/none"))), {"s": link("d/" * 400 + "e")}
    ),
}
