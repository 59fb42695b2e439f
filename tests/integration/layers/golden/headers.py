"""Header blocks: ustar, v7, GNU and star; numbers, names, checksums, and the rootfs's own entry.

Not repeated here, for they are in `test_hostile_layers.py`: sizes that are negative or beyond base 256, wrong
checksums, numbers that are none, entries without a name, and data after the end.
"""

from __future__ import annotations

from .blocks import (
    BLOCK,
    END,
    Wide,
    block_device,
    character,
    directory,
    entry,
    fifo,
    file,
    global_pax,
    gnu_link,
    gnu_name,
    hard_link,
    layer,
    pax,
    symlink,
)
from .case import Golden, become, becomes, refused
from .trees import Same, d, device, f, link, made, pipe

_LONG = "/".join(["l" * 120, "o" * 120, "n" * 120])
# 20 components of 203 bytes and a slash, and a name: 4090 bytes, with PATH_MAX at 4096.
_NEAR_PATH_MAX = "/".join(["p" * 203] * 20) + "/" + "f" * 10
_LATIN = b"caf\xe9/\xff\xfe"

HEADERS: dict[str, Golden] = {
    "an empty archive": become((layer(),), {}),
    "every kind of entry": become(
        (
            layer(
                directory("d", mode=0o2750, uid=3, gid=4),
                file("d/f", b"data", mode=0o6755, uid=1000, gid=1001),
                symlink("d/s", "f", uid=5, gid=6),
                hard_link("h", "d/f"),
                fifo("p", mode=0o620, uid=7),
                character("c", 1, 3, mode=0o666),
                block_device("b", 4095, 1048575, gid=6),
                directory("sticky", mode=0o1777),
            ),
        ),
        {
            "d": d(0o2750, (3, 4)),
            "d/f": f(b"data", 0o6755, (1000, 1001)),
            "d/s": link("f", (5, 6)),
            "h": Same("d/f"),
            "p": pipe(0o620, (7, 0)),
            "c": device("character", 1, 3, 0o666),
            "b": device("block", 4095, 1048575, owner=(0, 6)),
            "sticky": d(0o1777),
        },
    ),
    "a ustar prefix goes before the name": become(
        (layer(file("file", prefix="a/b")),), {"a": made(), "a/b": made(), "a/b/file": f()}
    ),
    "a full prefix and a full name need no NUL": become(
        (layer(file("n" * 100, prefix="p" * 155)),), {"p" * 155: made(), "p" * 155 + "/" + "n" * 100: f()}
    ),
    "a GNU header has no prefix, but times in its place": becomes(
        layer(file("file", style="gnu", raw={345: b"14077000000\x0014077000000\0"})), file=f()
    ),
    "a v7 header has neither magic nor prefix": becomes(layer(file("file", style="v7")), file=f()),
    "a star header keeps times behind a shorter prefix": become(
        (layer(file("file", style="star", prefix="dir")),), {"dir": made(), "dir/file": f()}
    ),
    "GNU long names and targets": become(
        (
            layer(
                gnu_name(_LONG),
                file("short", b"1", style="gnu"),
                gnu_link("t" * 300),
                gnu_name("link" * 40),
                symlink("short", "short", style="gnu"),
                gnu_name("hard" * 40),
                gnu_link(_LONG),
                hard_link("short", "short", style="gnu"),
            ),
        ),
        {
            "l" * 120: made(),
            "l" * 120 + "/" + "o" * 120: made(),
            _LONG: f(b"1"),
            "link" * 40: link("t" * 300),
            "hard" * 40: Same(_LONG),
        },
    ),
    "a GNU long name without its NUL": become((layer(gnu_name("n" * 200, end=b""), file("x")),), {"n" * 200: f()}),
    "the last of two GNU long names counts": become(
        (layer(gnu_name("one"), gnu_name("two"), file("x")),), {"two": f()}
    ),
    "a GNU long name is for the next entry only": become(
        (layer(gnu_name("one"), file("x"), file("y")),), {"one": f(), "y": f()}
    ),
    "numbers in base 256": become(
        (
            layer(
                file("ids", uid=Wide(3_000_000_000), gid=Wide(4_294_967_294)),
                file("size", b"12345", size=Wide(5)),
                file("late", mtime=Wide(2**33 + 5)),
                file("early", mtime=Wide(-5)),
                directory("early-too", mtime=Wide(-86_400)),
            ),
        ),
        {
            "ids": f(owner=(3_000_000_000, 4_294_967_294)),
            "size": f(b"12345"),
            "late": f(mtime=2**33 + 5),
            "early": f(mtime=-5),
            "early-too": d(mtime=-86_400),
        },
    ),
    "numbers with blanks around, without an end, or not there": become(
        (
            layer(
                file(
                    "blanks", b"123", mode=b"   640 \0", uid=b"    12 \0", size=b"          3 ", mtime=b"      0001  "
                ),
                file("full", b"12", mode=b"00000600", size=b"000000000002", mtime=b"077777777777"),
                file("nothing", b"", mode=b"\0" * 8, uid=b" " * 8, size=b"\0" * 12, mtime=b" " * 12),
            ),
        ),
        {
            "blanks": f(b"123", 0o640, (0o12, 0), mtime=1),
            "full": f(b"12", 0o600, mtime=2**33 - 1),
            "nothing": f(b"", 0, mtime=0),
        },
    ),
    "the type's bits in the mode are no permission": becomes(
        layer(file("file", mode=0o100640), directory("dir", mode=0o40711)), file=f(mode=0o640), dir=d(0o711)
    ),
    "checksums of all forms": become(
        (
            layer(
                file("spaces", checksum="spaces"),
                file("seven", checksum="seven digits"),
                file(b"signed\xff\xfe", checksum="signed"),
                file(b"unsigned\xff\xfe"),
            ),
        ),
        {b"spaces": f(), b"seven": f(), b"signed\xff\xfe": f(), b"unsigned\xff\xfe": f()},
    ),
    "a checksum off by one": refused("checksum", layer(file("ok"), file("bad", checksum="wrong"))),
    "names in no UTF-8": become(
        (layer(file(_LATIN), symlink(b"\x80", b"\xc3\x28"), hard_link(b"\xfe", _LATIN)),),
        {b"caf\xe9": made(), _LATIN: f(), b"\x80": link(b"\xc3\x28"), b"\xfe": Same(_LATIN)},
    ),
    "names with every odd character": become(
        (
            layer(
                *(file(f"d/{name}") for name in ("a b", "a\nb", "%s", "\\", "\x01", "\x7f", "..x", "...", "-rf", "~"))
            ),
        ),
        {"d": made()} | {f"d/{n}": f() for n in ("a b", "a\nb", "%s", "\\", "\x01", "\x7f", "..x", "...", "-rf", "~")},
    ),
    "a name of 255 bytes": become((layer(gnu_name("n" * 255), file("x")),), {"n" * 255: f()}),
    "a name of 256 bytes": refused("too long", layer(gnu_name("n" * 256), file("x")), entry="n" * 256),
    "a directory of 256 bytes on the way": refused("too long", layer(gnu_name("n" * 256 + "/x"), file("x"))),
    "a path near PATH_MAX": become(
        (layer(gnu_name(_NEAR_PATH_MAX), file("x"), gnu_link(_NEAR_PATH_MAX), hard_link("h", "x")),),
        {"/".join(["p" * 203] * depth): made() for depth in range(1, 21)}
        | {_NEAR_PATH_MAX: f(), "h": Same(_NEAR_PATH_MAX)},
    ),
    "a path beyond PATH_MAX": refused("longer than 4096", layer(gnu_name(_NEAR_PATH_MAX + "/" + "x" * 6), file("x"))),
    "a symlink's target of 4095 bytes": becomes(layer(gnu_link("t" * 4095), symlink("s", "x")), s=link("t" * 4095)),
    "a symlink's target of 4096 bytes": refused("too long|longer than", layer(gnu_link("t" * 4096), symlink("s", "x"))),
    "the same name in four spellings": become(
        (layer(directory("a"), file("./a/1"), file("/a/2"), file("a//3"), file("a/./b/../4")),),
        {"a": d(), "a/1": f(), "a/2": f(), "a/3": f(), "a/4": f()},
    ),
    "names that are rewritten make no more than they name": become((layer(file("x/../y")),), {"y": f()}),
    "trailing slashes": become(
        (
            layer(
                directory("d//"), symlink("s/", "d"), entry("old/", b"0", mode=0o700), entry("v7/", b"\0", style="v7")
            ),
        ),
        {"d": d(), "s": link("d"), "old": d(0o700), "v7": d(0o644)},
    ),
    "the rootfs's own entry": become(
        (layer(directory("./", mode=0o1711, uid=8, gid=9, mtime=77), file("x")),),
        {".": d(0o1711, (8, 9), 77), "x": f()},
    ),
    "the rootfs's own entry after its children": become(
        (layer(file("x"), directory(".", mode=0o700, mtime=77)), layer(file("y"))),
        {".": d(0o700, mtime=77), "x": f(), "y": f()},
    ),
    "the rootfs's own entry in odd spellings": become(
        (layer(directory("/", mode=0o711)), layer(directory("././/", mode=0o750, mtime=5)), layer(file("a/../b"))),
        {".": d(0o750, mtime=5), "b": f()},
    ),
    "the last of the rootfs's entries counts": become(
        (layer(directory(".", mode=0o700), directory("x/..", mode=0o755, mtime=9)),), {".": d(mtime=9)}
    ),
    "the rootfs as a fifo": refused("rootfs itself", layer(fifo("a/..")), entry="a/.."),
    "files without content": become(
        (layer(file("zero", b""), file("block", b"x" * BLOCK), file("more", b"x" * (BLOCK + 1))),),
        {"zero": f(b""), "block": f(b"x" * BLOCK), "more": f(b"x" * (BLOCK + 1))},
    ),
    "a file of many megabytes": becomes(
        layer(file("large", b"0123456789abcdef" * 300_000)), large=f(b"0123456789abcdef" * 300_000)
    ),
    "twenty zero blocks at the end": becomes(layer(file("x"), end=bytes(20 * BLOCK)), x=f()),
    "one zero block at the end, vouched for": becomes(layer(file("x"), end=bytes(BLOCK)), x=f()),
    "one zero block at the end": refused("end mark", layer(file("x"), end=bytes(BLOCK)))._replace(vouched=False),
    "a size that is never delivered": refused("ends within this file", layer(file("x", b"", size=2**30)), entry="x"),
    "a size of eight exbibytes": refused("ends within|size|limit", layer(file("x", b"", size=Wide(2**62))), entry="x"),
    "a size of which the last block is missing": refused(
        "ends within", layer(file("x", b"x" * 1000), end=b"")[:-BLOCK], entry="x"
    ),
    "headers of no known type": refused("type 'V' is not supported", layer(entry("volume", b"V")), entry="volume"),
    "a GNU directory dump": refused(
        "type 'D' is not supported", layer(entry("dump", b"D", b"Yfile\0\0")), entry="dump"
    ),
    "a device number of more than 12 bits": refused(
        "device number|invalid argument", layer(character("c", 4096, 0)), entry="c"
    ),
    "a minor number of more than 20 bits": refused(
        "device number|invalid argument", layer(block_device("b", 1, 2**20)), entry="b"
    ),
    "a device number in base 256": refused(
        "device number|invalid argument", layer(character("c", Wide(2**40), 0)), entry="c"
    ),
    "a negative device number": refused("negative|device number", layer(character("c", Wide(-1), 3))),
    "the id that means none": refused("uid or gid", layer(file("x", uid=Wide(2**32 - 1))), entry="x"),
    "an id of more than 32 bits": refused("uid or gid", layer(file("x", gid=Wide(2**32))), entry="x"),
    "a negative id": refused("negative", layer(file("x", uid=Wide(-2)))),
    "a symlink to nothing": refused("empty", layer(symlink("s", "")), entry="s"),
    "an extended header before the end": refused("after an extended header", layer(gnu_name("x"))),
    "a global header at the end": becomes(layer(file("x"), global_pax({"comment": "by git"})), x=f()),
    "two archives, one after the other": refused("goes on|follows the end", layer(file("x")) + layer(file("y"))),
    "an end mark in a file's data": becomes(layer(file("x", END + b"more"), file("y")), x=f(END + b"more"), y=f()),
    "a tar in a tar": becomes(layer(file("x.tar", layer(file("../inner")))), **{"x.tar": f(layer(file("../inner")))}),
    "a header's leftovers in fields of other types": become(
        (
            layer(
                file("f", link="elsewhere", device=(9, 9)), directory("d", link="f"), symlink("s", "f", device=(1, 1))
            ),
        ),
        {"f": f(), "d": d(), "s": link("f")},
    ),
    "times of the epoch": becomes(layer(file("x", mtime=0), directory("y", mtime=0)), x=f(mtime=0), y=d(mtime=0)),
    "pax before GNU": becomes(layer(pax({"path": "of-pax"}), gnu_name("of-gnu"), file("x")), **{"of-pax": f()}),
    "GNU before pax": becomes(layer(gnu_name("of-gnu"), pax({"path": "of-pax"}), file("x")), **{"of-pax": f()}),
}
