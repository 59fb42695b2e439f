"""`python -m tests.unprivileged UID GID HOME COMMAND...`: run by root in mounts of its own, becomes that user."""

from __future__ import annotations

import os
import sys

from .reachable import open_up


def main() -> None:
    """Become the user, and then the command."""
    uid, gid, home, *command = sys.argv[1:]
    open_up()
    os.setgroups([])
    os.setresgid(int(gid), int(gid), int(gid))
    os.setresuid(int(uid), int(uid), int(uid))
    os.chdir(home)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
