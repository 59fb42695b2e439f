"""Users that exist for a test only, with or without subordinate ids."""

from __future__ import annotations

import contextlib
import pwd
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .reachable import SOURCES

SEARCH_PATH = "/usr/local/bin:/usr/bin:/bin"
"""What an ordinary user has: no programs for administrators."""

_NO_RANGES = ("-K", "SUB_UID_COUNT=0", "-K", "SUB_GID_COUNT=0")
_ATTEMPTS = 5


class UnprivilegedUser(NamedTuple):
    """Somebody without any privilege."""

    name: str
    uid: int
    gid: int
    home: Path
    has_ids: bool

    def command(self, *arguments: str, **environment: str) -> list[str]:
        """A command that runs as this user, with nothing but this environment; only root can start it."""
        own = {"HOME": str(self.home), "USER": self.name, "PATH": SEARCH_PATH, "LANG": "C.UTF-8"}
        # The sources belong to root, and nothing is to be written beside them.
        own |= {"PYTHONPATH": str(SOURCES), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "120"}
        settings = [f"{name}={value}" for name, value in {**own, **environment}.items()]
        become = [sys.executable, "-P", "-m", "tests.unprivileged", str(self.uid), str(self.gid), str(self.home)]
        mounts = ["unshare", "--mount", "--propagation", "private", "--"]
        return [*mounts, "env", f"PYTHONPATH={SOURCES}", *become, "env", "-i", *settings, *arguments]


@contextlib.contextmanager
def fresh_user(*, has_ids: bool) -> Iterator[UnprivilegedUser]:
    """Make a user, with ranges in /etc/subuid and /etc/subgid or without, and remove it with all that is his."""
    # In /tmp itself: a path of pytest's own is closed to others, and too long for sockets below it.
    home = Path(tempfile.mkdtemp(prefix="fk-", dir="/tmp"))
    name = f"firkin-{secrets.token_hex(4)}"
    try:
        _run("useradd", "--no-create-home", "--home-dir", str(home), "--shell", "/bin/sh", *_NO_RANGES, name)
        try:
            entry = pwd.getpwnam(name)
            shutil.chown(home, entry.pw_uid, entry.pw_gid)
            user = UnprivilegedUser(name, entry.pw_uid, entry.pw_gid, home, has_ids)
            if has_ids:
                grant_ids(user)
            yield user
        finally:
            _run("userdel", "--force", name)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def grant_ids(user: UnprivilegedUser) -> None:
    """Give the user subordinate ids by the command that firkin itself recommends."""
    from firkin.user_namespace.subordinate_ids import granting_command

    sudo, *command = granting_command(user.uid).split()
    assert sudo == "sudo"
    _run(*command)


def _run(*command: str) -> None:
    """Run a program of shadow(5), whose files somebody else may hold locked for a while."""
    for _ in range(_ATTEMPTS):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if "lock" not in done.stderr:
            break
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
