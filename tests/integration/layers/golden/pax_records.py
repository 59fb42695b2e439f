"""Extended headers (POSIX.1-2001, pax): what they override, times, attributes, and records that lie.

`test_hostile_layers.py` has the records without length, without "=", too long, and the header at the end.
"""

from __future__ import annotations

import struct

from .blocks import Wide, directory, file, global_pax, gnu_name, hard_link, layer, pax, pax_data, symlink
from .case import Golden, become, becomes, refused
from .trees import Same, d, f, link, made

_CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")


def _acl(*entries: tuple[int, int, int]) -> bytes:
    """An ACL as the kernel keeps it: version 2, then tag, permission and id of each entry."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *each) for each in entries)


_NONE = 2**32 - 1
# user::rw- user:1000:r-- group::r-- mask::r-- other::---
_ACCESS = _acl((1, 6, _NONE), (2, 4, 1000), (4, 4, _NONE), (16, 4, _NONE), (32, 0, _NONE))
# user::rwx group::r-x other::r-x
_DEFAULT = _acl((1, 7, _NONE), (4, 5, _NONE), (32, 5, _NONE))

PAX: dict[str, Golden] = {
    "path and linkpath override the header": become(
        (
            layer(
                pax({"path": "real/" + "n" * 120}),
                file("x", prefix="not/this"),
                pax({"linkpath": "t" * 200}),
                symlink("s", "x"),
                pax({"linkpath": "real/" + "n" * 120}),
                hard_link("h", "x"),
            ),
        ),
        {"real": made(), "real/" + "n" * 120: f(), "s": link("t" * 200), "h": Same("real/" + "n" * 120)},
    ),
    "a record is for the next entry only": becomes(
        layer(pax({"path": "one", "uid": "7"}), file("x"), file("two")), one=f(owner=(7, 0)), two=f()
    ),
    "ids and sizes override the header": becomes(
        layer(pax({"uid": "4294967294", "gid": "70000", "size": "5"}), file("x", b"12345", size=0, uid=1, gid=2)),
        x=f(b"12345", owner=(4_294_967_294, 70_000)),
    ),
    "an impossible size in the header matters not when pax has one": refused(
        "negative|size", layer(pax({"size": "5"}), file("x", b"12345", size=Wide(-1)))
    ),
    "an empty value leaves the header's": becomes(
        layer(pax({"path": "", "uid": "", "mtime": ""}), file("x", uid=4)), x=f(owner=(4, 0))
    ),
    "the last of two records counts": becomes(layer(pax([("path", "one"), ("path", "two")]), file("x")), two=f()),
    "the last of two headers counts, alone": becomes(
        layer(pax({"path": "one", "uid": "9"}), pax({"path": "two"}), file("x")), two=f()
    ),
    "pax wins over GNU's long name": becomes(layer(gnu_name("gnu"), pax({"path": "pax"}), file("x")), pax=f()),
    "names of users do not count": becomes(
        layer(pax({"uname": "daemon", "gname": "daemon"}), file("x", uid=3, raw={265: b"bin\0", 297: b"bin\0"})),
        x=f(owner=(3, 0)),
    ),
    "keywords that nobody knows": becomes(
        layer(
            pax({"comment": "\u20ac", "VENDOR.key": "v", "ctime": "1.5", "atime": "x", "SCHILY.dev": "8"}), file("x")
        ),
        x=f(),
    ),
    "a value with newlines and an equals sign": becomes(
        layer(pax({"comment": "a=b\n20 path=evil\n", "path": "a=b"}), file("x")), **{"a=b": f()}
    ),
    "names in no UTF-8": become(
        (layer(pax({"hdrcharset": "BINARY", "path": b"\xff\xfe"}), file("x"), pax({"path": b"\xe9"}), directory("x")),),
        {b"\xff\xfe": f(), b"\xe9": d()},
    ),
    "a path of dot segments is rewritten": becomes(
        layer(pax({"path": "/a/../b//./c"}), file("x")), **{"b": made(), "b/c": f()}
    ),
    "times to the nanosecond": becomes(
        layer(
            pax({"mtime": "1600000000.123456789"}),
            file("all"),
            pax({"mtime": "1600000000.5"}),
            file("half"),
            pax({"mtime": "1600000000.1234567899"}),
            file("cut"),
            pax({"mtime": "1600000000."}),
            file("point"),
            pax({"mtime": "12.000000001"}),
            directory("directory"),
            pax({"mtime": "13.000000001"}),
            symlink("symlink", "x"),
        ),
        all=f(mtime_ns=1_600_000_000_123_456_789),
        half=f(mtime_ns=1_600_000_000_500_000_000),
        cut=f(mtime_ns=1_600_000_000_123_456_789),
        point=f(mtime_ns=1_600_000_000_000_000_000),
        directory=d(mtime_ns=12_000_000_001),
        symlink=link("x", mtime=13.000000001),
    ),
    "times before 1970": becomes(
        layer(
            pax({"mtime": "-1"}),
            file("one"),
            pax({"mtime": "-1.25"}),
            file("more"),
            pax({"mtime": "-0.5"}),
            directory("half"),
        ),
        one=f(mtime=-1),
        more=f(mtime_ns=-1_250_000_000),
        half=d(mtime_ns=-500_000_000),
    ),
    "extended attributes of any bytes": becomes(
        layer(
            pax({"SCHILY.xattr.user.nul": b"a\0b\n\xff", "SCHILY.xattr.user.empty": "x", "SCHILY.xattr.user.d=e": "x"}),
            file("x"),
            pax({"SCHILY.xattr.user.dir": "1", "SCHILY.xattr.trusted.note": "2"}),
            directory("y"),
        ),
        x=f(xattrs={"user.nul": b"a\0b\n\xff", "user.empty": b"x", "user.d": b"e=x"}),
        y=d(xattrs={"user.dir": b"1", "trusted.note": b"2"}),
    ),
    "capabilities outlive the change of owner": becomes(
        layer(pax({"SCHILY.xattr.security.capability": _CAPABILITY}), file("ping", mode=0o4755, uid=7, gid=8)),
        ping=f(mode=0o4755, owner=(7, 8), xattrs={"security.capability": _CAPABILITY}),
    ),
    "an empty capability, which would make the file useless": refused(
        "Invalid argument", layer(pax([("SCHILY.xattr.security.capability", "")]), file("ping")), entry="ping"
    ),
    "access control lists": becomes(
        layer(
            pax({"SCHILY.xattr.system.posix_acl_access": _ACCESS}),
            file("x", mode=0o640),
            pax({"SCHILY.xattr.system.posix_acl_default": _DEFAULT}),
            directory("y"),
            file("y/z", mode=0o600),
        ),
        **{
            "x": f(mode=0o640, xattrs={"system.posix_acl_access": _ACCESS}),
            "y": d(xattrs={"system.posix_acl_default": _DEFAULT}),
            "y/z": f(mode=0o600),
        },
    ),
    "attributes that only overlayfs may write are left out": becomes(
        layer(
            pax({"SCHILY.xattr.trusted.overlay.opaque": "y", "SCHILY.xattr.user.overlay.opaque": "y"}),
            directory("d"),
            pax({"SCHILY.xattr.trusted.overlay.redirect": "/etc", "SCHILY.xattr.user.kept": "1"}),
            directory("e"),
            pax({"SCHILY.xattr.user.overlay.metacopy": "1"}),
            file("f"),
        ),
        d=d(),
        e=d(xattrs={"user.kept": b"1"}),
        f=f(),
    ),
    "user attributes that a symlink cannot have": becomes(
        layer(pax({"SCHILY.xattr.user.note": "1", "SCHILY.xattr.trusted.note": "2"}), symlink("s", "x")),
        s=link("x", xattrs={"trusted.note": b"2"}),
    ),
    "attributes of one layer are not those of the next": becomes(
        layer(pax({"SCHILY.xattr.user.a": "1"}), file("x"), pax({"SCHILY.xattr.user.b": "1"}), directory("y")),
        layer(pax({"SCHILY.xattr.user.c": "2"}), file("x"), pax({"SCHILY.xattr.user.d": "2"}), directory("y")),
        x=f(xattrs={"user.c": b"2"}),
        y=d(xattrs={"user.d": b"2"}),
    ),
    "an empty header": becomes(layer(pax({}), file("x")), x=f()),
    "a size that is larger than the data": refused(
        "ends within|checksum", layer(pax({"size": "99999"}), file("x")), entry="x"
    ),
    "a size that is smaller than the data": refused(
        "checksum|not a number", layer(pax({"size": "1"}), file("x", b"y" * 1000), file("z"))
    ),
    "a size beyond 64 bits": refused("size", layer(pax({"size": "99999999999999999999"}), file("x")), entry="x"),
    "a size in hexadecimal": refused("not a number", layer(pax({"size": "0x10"}), file("x"))),
    "an id with a sign": refused("not a number", layer(pax({"uid": "+5"}), file("x"))),
    "an id beyond 32 bits": refused(
        "uid or gid is not possible", layer(pax({"gid": "4294967295"}), file("x")), entry="x"
    ),
    "an id of a thousand digits": refused("not a number|not possible", layer(pax({"uid": "1" * 1000}), file("x"))),
    "a time that is none": refused("mtime is not a number", layer(pax({"mtime": "yesterday"}), file("x"))),
    "a time with an exponent": refused("mtime is not a number", layer(pax({"mtime": "1e9"}), file("x"))),
    "a time with two points": refused("mtime is not a number", layer(pax({"mtime": "1.2.3"}), file("x"))),
    "a time of the far future": refused("number|mtime|time", layer(pax({"mtime": "9" * 30}), file("x"))),
    "a path with NUL": refused("NUL", layer(pax({"path": b"a\0b"}), file("x"))),
    "a target with NUL": refused("NUL", layer(pax({"linkpath": b"a\0b"}), symlink("s", "x")), entry="s"),
    "a hard link's target with NUL": refused("NUL", layer(file("a"), pax({"linkpath": b"a\0b"}), hard_link("h", "x"))),
    "a path that climbs": refused("climbs above", layer(pax({"path": "../x"}), file("x")), entry="../x"),
    "a length of zero": refused("malformed", layer(pax_data(b"0 path=x\n"), file("x"))),
    "a length that ends before the equals sign": refused(
        "malformed|without", layer(pax_data(b"5 path=x\n"), file("x"))
    ),
    "a length that is one too small": refused("malformed", layer(pax_data(b"9 path=xy\n"), file("x"))),
    "a length that is negative": refused("malformed", layer(pax_data(b"-9 path=x\n"), file("x"))),
    "a length beyond the header": refused("malformed", layer(pax_data(b"4294967306 path=x\n"), file("x"))),
    "a length of twenty digits": refused("malformed", layer(pax_data(b"18446744073709551626 path=x\n"), file("x"))),
    "a record without keyword": refused("without '='|malformed", layer(pax_data(b"5 =x\n"), file("x"))),
    "NUL after the last record": refused("malformed", layer(pax_data(b"9 path=x\n\0\0"), file("x"))),
    "a header larger than the limit": refused("larger than", layer(pax({"comment": "c" * (5 * 2**20)}), file("x"))),
    "a header whose size is a lie": refused("larger than|ends within", layer(pax_data(b"", size=2**32))),
    "a header in a header": refused(
        "ends after|checksum|extended", layer(pax({"path": "a"}), global_pax({"comment": "x"}), pax({"path": "b"}))
    ),
}
