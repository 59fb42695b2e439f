"""Global extended headers (POSIX.1-2001, pax): what they say of all entries that follow, and what none may say.

`test_global_headers.py` compares them with other readers.
"""

from __future__ import annotations

import dataclasses

from firkin.domain.layer_limits import LayerLimits

from .blocks import (
    character,
    directory,
    fifo,
    file,
    global_pax,
    global_pax_data,
    gnu_link,
    gnu_name,
    hard_link,
    layer,
    pax,
    symlink,
    whiteout,
)
from .case import Golden, Refused, become, becomes, refused
from .trees import Same, d, device, f, link, made, pipe

_ALL = {"uid": "5", "gid": "70000", "mtime": "12.5", "SCHILY.xattr.trusted.note": "all"}
_NOTED = {"trusted.note": b"all"}
_OWNER = (5, 70_000)


def _wide(count: int) -> dict[str, str]:
    """Attributes that count for 100 bytes each."""
    return {f"SCHILY.xattr.trusted.{number:04}": "v" * 72 for number in range(count)}


GLOBAL: dict[str, Golden] = {
    "owners, times and attributes of all that follows": becomes(
        layer(
            file("before", uid=3),
            global_pax(_ALL),
            file("f", uid=4),
            directory("d"),
            symlink("s", "f"),
            fifo("p"),
            character("c", 1, 3),
        ),
        before=f(owner=(3, 0)),
        f=f(owner=_OWNER, mtime=12.5, xattrs=_NOTED),
        d=d(owner=_OWNER, mtime=12.5, xattrs=_NOTED),
        s=link("f", owner=_OWNER, mtime=12.5, xattrs=_NOTED),
        p=dataclasses.replace(pipe(owner=_OWNER, mtime=12.5), xattrs=_NOTED),
        c=dataclasses.replace(device("character", 1, 3, owner=_OWNER, mtime=12.5), xattrs=_NOTED),
    ),
    "comments, names of users and keywords that nobody knows": becomes(
        layer(
            global_pax({"comment": "0123456789abcdef" * 3, "uname": "daemon", "VENDOR.key": "v", "ctime": "x"}),
            file("x", uid=4),
        ),
        x=f(owner=(4, 0)),
    ),
    "a later header changes what it names, and nothing else": becomes(
        layer(
            global_pax(_ALL),
            file("one"),
            global_pax({"gid": "8", "SCHILY.xattr.trusted.more": "2"}),
            file("two"),
            global_pax({"SCHILY.xattr.trusted.note": "other"}),
            file("three"),
        ),
        one=f(owner=_OWNER, mtime=12.5, xattrs=_NOTED),
        two=f(owner=(5, 8), mtime=12.5, xattrs={"trusted.note": b"all", "trusted.more": b"2"}),
        three=f(owner=(5, 8), mtime=12.5, xattrs={"trusted.note": b"other", "trusted.more": b"2"}),
    ),
    "a record without value takes an earlier one away": becomes(
        layer(
            global_pax(_ALL | {"LIBARCHIVE.xattr.trusted.more": "Mg=="}),
            file("one"),
            global_pax({"uid": "", "SCHILY.xattr.trusted.note": "", "mtime": ""}),
            file("two", uid=4),
            global_pax({"gid": "", "LIBARCHIVE.xattr.trusted.more": "", "path": ""}),
            file("three", uid=4),
        ),
        one=f(owner=_OWNER, mtime=12.5, xattrs=_NOTED | {"trusted.more": b"2"}),
        two=f(owner=(4, 70_000), xattrs={"trusted.more": b"2"}),
        three=f(owner=(4, 0)),
    ),
    "the last of two records in a header counts": becomes(
        layer(
            global_pax(
                [
                    ("uid", "1"),
                    ("SCHILY.xattr.trusted.a", "1"),
                    ("SCHILY.xattr.trusted.b", "1"),
                    ("uid", "2"),
                    ("SCHILY.xattr.trusted.a", "2"),
                    ("SCHILY.xattr.trusted.b", ""),
                ]
            ),
            file("x"),
        ),
        x=f(owner=(2, 0), xattrs={"trusted.a": b"2"}),
    ),
    "an entry's own records have the last word": becomes(
        layer(
            global_pax(_ALL),
            pax({"uid": "9", "SCHILY.xattr.trusted.note": "own", "SCHILY.xattr.trusted.more": "2"}),
            file("own"),
            pax({"uid": "", "mtime": ""}),
            file("taken", uid=4),
            pax({"LIBARCHIVE.xattr.trusted.note": "b3du"}),
            file("encoded"),
            file("none"),
        ),
        own=f(owner=(9, 70_000), mtime=12.5, xattrs={"trusted.note": b"own", "trusted.more": b"2"}),
        taken=f(owner=(4, 70_000), xattrs=_NOTED),
        encoded=f(owner=_OWNER, mtime=12.5, xattrs={"trusted.note": b"own"}),
        none=f(owner=_OWNER, mtime=12.5, xattrs=_NOTED),
    ),
    "an attribute of an entry's own that is empty": becomes(
        layer(global_pax(_ALL), pax([("SCHILY.xattr.trusted.note", "")]), file("x")),
        x=f(owner=_OWNER, mtime=12.5, xattrs={"trusted.note": b""}),
    ),
    "between an entry's own header and the entry": becomes(
        layer(pax({"path": "real", "uid": "9"}), global_pax(_ALL | {"path": "all"}), file("x"), file("y")),
        real=f(owner=(9, 70_000), mtime=12.5, xattrs=_NOTED),
        all=f(owner=_OWNER, mtime=12.5, xattrs=_NOTED),
    ),
    "one path for all entries, of which the last one stays": becomes(
        layer(global_pax({"path": "all/of/them"}), directory("x"), file("y", b"1"), file("z", b"2")),
        **{"all": made(), "all/of": made(), "all/of/them": f(b"2")},
    ),
    "one path for all entries that have none of their own": becomes(
        layer(
            global_pax({"path": "all", "linkpath": "target"}),
            gnu_name("long"),
            file("x"),
            pax({"path": "own"}),
            symlink("x", "y"),
            gnu_name("linked"),
            gnu_link("elsewhere"),
            symlink("x", "y"),
            symlink("x", "y"),
        ),
        long=f(),
        own=link("target"),
        linked=link("elsewhere"),
        all=link("target"),
    ),
    "one target for all links": becomes(
        layer(file("x"), global_pax({"linkpath": "x"}), hard_link("y", "nowhere"), symlink("s", "nowhere"), file("z")),
        x=f(),
        y=Same("x"),
        s=link("x"),
        z=f(),
    ),
    "one size for all files": becomes(
        layer(global_pax({"size": "3"}), file("x", b"123", size=0), directory("d"), file("y", b"456", size=0)),
        x=f(b"123"),
        d=d(),
        y=f(b"456"),
    ),
    "whiteouts are named by it as well": become(
        (layer(file("gone"), file("kept")), layer(global_pax({"path": ".wh.gone"}), file("x"))), {"kept": f()}
    ),
    "what one layer says is not of the next": becomes(
        layer(global_pax(_ALL), file("x")),
        layer(file("y"), whiteout("z")),
        x=f(owner=_OWNER, mtime=12.5, xattrs=_NOTED),
        y=f(),
    ),
    "attributes that only overlayfs may write are left out": becomes(
        layer(global_pax({"SCHILY.xattr.trusted.overlay.opaque": "y"}), directory("x"), file("y")), x=d(), y=f()
    ),
    "a directory of a lower layer loses attributes that the global header does not have": becomes(
        layer(pax({"SCHILY.xattr.trusted.old": "1", "SCHILY.xattr.trusted.note": "1"}), directory("x")),
        layer(global_pax(_ALL), directory("x")),
        x=d(owner=_OWNER, mtime=12.5, xattrs=_NOTED),
    ),
    "many headers, each with another comment and the same owner": becomes(
        layer(
            *(global_pax({"comment": "c" * 5000, "uid": str(n), f"SCHILY.xattr.trusted.{n}": ""}) for n in range(99)),
            file("x"),
        ),
        x=f(owner=(98, 0)),
    )._replace(limits=LayerLimits(header_bytes=6000)),
    "an empty one": becomes(layer(global_pax({}), file("x")), x=f()),
    "attributes of as many bytes as there may be": becomes(
        layer(global_pax(_wide(40)), pax({"SCHILY.xattr.trusted.0003": "own"}), file("x")),
        x=f(xattrs={f"trusted.{n:04}": b"v" * 72 for n in range(40)} | {"trusted.0003": b"own"}),
    ),
    "attributes of more bytes than there may be": refused(
        "more than 4096 bytes of extended attributes", layer(global_pax(_wide(41)), file("x")), entry=""
    ),
    "attributes of more bytes than there may be, in two headers": refused(
        "more than 4096 bytes of extended attributes",
        layer(global_pax(_wide(40)), file("x"), global_pax({"SCHILY.xattr.trusted.more": "v" * 99}), file("y")),
    ),
    "the same attribute more often than there may be of all": refused(
        "more than 4096 bytes of extended attributes",
        layer(global_pax([("SCHILY.xattr.user.x", "v")] * 300), file("x")),
    ),
    "more with an entry's own header than that may have alone": Golden(
        (layer(global_pax({"mtime": "1." + "0" * 300}), file("x"), pax({"comment": "c" * 300}), file("y")),),
        Refused("extended header is larger than 500 bytes"),
        LayerLimits(header_bytes=500),
    ),
    "more in all headers than one may have": Golden(
        (layer(global_pax({"mtime": "1." + "0" * 300}), global_pax({"linkpath": "l" * 300}), file("x")),),
        Refused("extended header is larger than 500 bytes"),
        LayerLimits(header_bytes=500),
    ),
    "one that is larger than the limit": refused(
        "larger than", layer(global_pax({"comment": "c" * (5 * 2**20)}), file("x"))
    ),
    **{
        f"a sparse map, by {keyword}": refused(
            "a global pax header has a sparse map", layer(global_pax({keyword: value}), file("x")), entry=""
        )
        for keyword, value in {
            "GNU.sparse.major": "1",
            "GNU.sparse.name": "x",
            "GNU.sparse.map": "0,1",
            "GNU.sparse.size": "10",
            "GNU.sparse.realsize": "10",
            "GNU.sparse.offset": "0",
            "GNU.sparse.numbytes": "",
        }.items()
    },
    "a malformed record": refused("malformed", layer(global_pax_data(b"9 path=xy\n"), file("x")), entry=""),
    "a record without '='": refused("without '='", layer(global_pax_data(b"7 path\n"), file("x"))),
    "an attribute whose name has NUL": refused(
        "malformed extended attribute", layer(global_pax({"SCHILY.xattr.a\0b": "x"}), file("x"))
    ),
    "an id that is no number": refused("not a number", layer(global_pax({"uid": "root"}), file("x")), entry="x"),
    "an id that means none": refused("not possible", layer(global_pax({"gid": "4294967295"}), file("x")), entry="x"),
    "a time that is none": refused("mtime is not a number", layer(global_pax({"mtime": "now"}), file("x"))),
    "a size beyond 64 bits": refused("size", layer(global_pax({"size": "9" * 20}), file("x")), entry="x"),
    "a size that leads into the next header": refused(
        "checksum|not a number", layer(global_pax({"size": "0"}), file("x", b"data"), file("y"))
    ),
    "a size that leads beyond the archive": refused(
        "ends within|checksum", layer(global_pax({"size": "99999"}), file("x"))
    ),
    "a path that climbs": refused("climbs above", layer(global_pax({"path": "../x"}), file("x")), entry="../x"),
    "a path with NUL": refused("NUL", layer(global_pax({"path": b"a\0b"}), file("x"))),
    "a path that is the rootfs": refused("rootfs itself", layer(global_pax({"path": "."}), directory("d"), file("x"))),
    "a path that is too long": Golden(
        (layer(global_pax({"path": "a/" * 60}), file("x")),),
        Refused("longer than 100 bytes"),
        LayerLimits(name_bytes=100),
    ),
    "a target that climbs": refused("climbs above", layer(global_pax({"linkpath": "../y"}), hard_link("x", "y"))),
    "one that is cut": refused("ends within", layer(global_pax({"comment": "c" * 2000}), end=b"")[:1000]),
}
