"""`python without_namespaces.py COMMAND...`: run by root, where nobody below may make user namespaces.

The setting is that of a user namespace around all of it, in which every id is its own: nobody else is concerned.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_CLONE_NEWUSER = 0x10000000
_EVERY_ID = f"0 0 {2**32 - 1}"


def main() -> None:
    """Become the command, in the namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    held, release = os.pipe()
    made, tell = os.pipe()
    child = os.getpid()
    if os.fork() == 0:
        os.read(made, 1)
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{child}/{name}").write_text(_EVERY_ID)
        os.write(release, b"x")
        os._exit(0)
    if libc.unshare(_CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWUSER)")
    os.write(tell, b"x")
    os.read(held, 1)
    Path("/proc/sys/user/max_user_namespaces").write_text("0")
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
