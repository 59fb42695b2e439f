"""What lies beside a rootfs and must stay as it is."""

from __future__ import annotations

import os
from pathlib import Path

State = dict[str, tuple[object, ...]]


def lay_out(outside: Path) -> None:
    """Make the canaries: files, a directory, links and a directory that is shut."""
    (outside / "etc").mkdir(parents=True)
    (outside / "etc" / "passwd").write_text("root:x:0:0::/:/bin/sh\n")
    for name in ("a", "b", "c"):
        (outside / name).write_text(f"canary {name}\n")
    (outside / "directory").mkdir()
    (outside / "directory" / "a").write_text("canary below\n")
    (outside / "shut").mkdir(mode=0o700)
    (outside / "d").symlink_to("directory")
    os.link(outside / "a", outside / "directory" / "b")
    os.mkfifo(outside / "fifo")


def state(outside: Path) -> State:
    """Everything about the canaries that an entry could change; the change time shows what was changed back too."""
    found: State = {}
    for path in [outside, *outside.rglob("*")]:
        status = path.lstat()
        content = b""
        if path.is_symlink():
            content = os.fsencode(os.readlink(path))
        elif path.is_file():
            content = path.read_bytes()
        found[str(path)] = (
            status.st_mode,
            status.st_ino,
            status.st_nlink,
            status.st_uid,
            status.st_gid,
            status.st_rdev,
            status.st_mtime_ns,
            status.st_ctime_ns,
            tuple(os.listxattr(path, follow_symlinks=False)),
            content,
        )
    return found
