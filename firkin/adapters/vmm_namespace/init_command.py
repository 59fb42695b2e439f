"""The command that starts a sandbox, and its environment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from firkin._fast import PURE_PYTHON
from firkin.user_namespace import held_command

from .host_paths import LocatedHostPath

GUEST_HOST_DIRECTORY = "/run/firkin/host"
GUEST_STORE_MEDIUM = "/run/firkin/store-medium"
AGENT_SOCKET = "guest-1024.sock"

_NAMESPACES = ("--pid", "--mount", "--uts", "--ipc", "--net")
# Moves itself into each control group that is named before the "--", then becomes the command after it.
_JOIN = 'while [ "$1" != -- ]; do echo 0 > "$1" || exit 125; shift; done; shift; exec "$@"'


class InitCommand(msgspec.Struct, frozen=True):
    """What vminitd is told, and where it runs.

    Attributes:
        python: the interpreter.
        unshare: path of unshare(1).
        host_dir: the socket directory, as the host names it.
        host_name: of the sandbox.
        lifeline: descriptor of the pipe whose end of file means that the host is gone.
        join_files: files of control groups to join, before the namespaces are made.
        init_join_files: the same, after the cgroup namespace was made (version 2).
        store_directory: a store that is a directory of the host.
        runtime: the OCI runtime.
        host_paths: what of the host the sandbox is to show.
        is_held: the sandbox gets a user namespace of its own, and is held until that has its ids.
    """

    python: str
    unshare: str
    host_dir: Path
    host_name: str
    lifeline: int
    join_files: Sequence[Path]
    init_join_files: Sequence[Path]
    store_directory: Path | None
    runtime: str
    host_paths: Sequence[LocatedHostPath] = ()
    is_held: bool = False

    def arguments(self) -> list[str]:
        """The whole command line.

        Of version 2 the root of the cgroup namespace must hold no process, or it could not hand controllers
        on: so the namespace is made first, and everything then moves to a group below its root.
        """
        unshare = [self.unshare, "--fork", "--kill-child", *_NAMESPACES, "--mount-proc"]
        if self.init_join_files:
            unshare = [self.unshare, "--cgroup", "--", *_joined(self.init_join_files), *unshare]
        elif Path("/proc/self/ns/cgroup").exists():
            unshare.append("--cgroup")
        unshare.append("--")
        command = [*unshare, *self._vminitd()]
        return [*_joined(self.join_files), *(held_command(self.unshare, command) if self.is_held else command)]

    def _vminitd(self) -> list[str]:
        store = [] if self.store_directory is None else ["--store-directory", str(self.store_directory)]
        # -P: nothing is imported from the current directory. -s: nor from the user's own site-packages.
        return [
            *(self.python, "-P", "-s", "-m", "firkin.vminitd", "--init"),
            *("--listen", f"unix:{GUEST_HOST_DIRECTORY}/{AGENT_SOCKET}"),
            *("--host-dir", str(self.host_dir)),
            *("--host-name", self.host_name),
            *store,
            *(word for path in self.host_paths for word in ("--host-path", *path)),
            *("--lifeline-fd", str(self.lifeline)),
            *("--runtime", self.runtime),
        ]


def _joined(files: Sequence[Path]) -> list[str]:
    return ["/bin/sh", "-c", _JOIN, "sh", *(str(file) for file in files), "--"]


def environment(search_path: str) -> dict[str, str]:
    """Everything that vminitd has in its environment; nothing of the caller's."""
    variables = {"PATH": search_path, "LANG": "C.UTF-8"}
    package_parent = Path(__file__).resolve().parents[3]
    if package_parent.name not in ("site-packages", "dist-packages"):
        variables["PYTHONPATH"] = str(package_parent)
    if PURE_PYTHON:
        variables["FIRKIN_PURE_PYTHON"] = "1"
    return variables
