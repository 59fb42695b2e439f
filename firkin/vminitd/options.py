"""The command line of the agent."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

_UNIX = "unix:"
_MAXIMUM_SOCKET_PATH_BYTES = 107


class AgentOptions(msgspec.Struct, frozen=True):
    """How the agent is to run.

    Attributes:
        socket_path: where it listens.
        host_directory: where the host's sockets are (`host-<port>.sock`).
        is_init: whether it makes its namespaces into a sandbox first, of which it is PID 1.
        host_name: of the sandbox; with `is_init`.
        store_directory: a directory of the host that the sandbox shall keep; with `is_init`.
        host_paths: volume name, kind, directory and path below it of what the sandbox shall show of the host; with
            `is_init`.
        lifeline: descriptor whose end of file means that the host is gone.
        runtime: the OCI runtime, looked up on PATH.
    """

    socket_path: str
    host_directory: str
    is_init: bool = False
    host_name: str = "firkin"
    store_directory: str | None = None
    lifeline: int | None = None
    runtime: str = "crun"
    host_paths: tuple[tuple[str, str, str, str], ...] = ()


def parsed_options(arguments: Sequence[str]) -> AgentOptions:
    """Read the command line; a mistake ends the program with a sentence and exit code 2."""
    # The agent of a virtual machine has none.
    import argparse

    parser = argparse.ArgumentParser(
        prog="firkin vminitd", description="The guest agent: runs containers for a host that speaks its two services."
    )
    parser.add_argument("--listen", required=True, metavar="unix:PATH", help="socket to listen on")
    parser.add_argument("--host-dir", required=True, metavar="DIR", help="directory of the host's stream sockets")
    parser.add_argument("--init", action="store_true", help="be the init of a sandbox (in namespaces of its own)")
    parser.add_argument("--host-name", default="firkin", metavar="NAME", help="host name of the sandbox")
    parser.add_argument("--store-directory", metavar="DIR", help="directory of the host that holds the pod store")
    parser.add_argument(
        "--host-path",
        nargs=4,
        action="append",
        default=[],
        metavar=("NAME", "KIND", "DIR", "PATH"),
        help="show PATH of the host, found below DIR without following a link, under NAME",
    )
    parser.add_argument("--lifeline-fd", type=int, metavar="N", help="end when this descriptor reaches its end of file")
    parser.add_argument("--runtime", default="crun", metavar="PATH", help="OCI runtime to run containers with")
    options = parser.parse_args(arguments)
    listen: str = options.listen
    socket_path = listen.removeprefix(_UNIX)
    if not listen.startswith(_UNIX) or not socket_path.startswith("/"):
        parser.error(f"--listen {listen!r}: give unix: and an absolute path")
    if len(socket_path.encode()) > _MAXIMUM_SOCKET_PATH_BYTES:
        parser.error(f"--listen {listen!r}: the path is longer than {_MAXIMUM_SOCKET_PATH_BYTES} bytes")
    return AgentOptions(
        socket_path=socket_path,
        host_directory=options.host_dir,
        is_init=options.init,
        host_name=options.host_name,
        store_directory=options.store_directory,
        lifeline=options.lifeline_fd,
        runtime=options.runtime,
        host_paths=tuple((name, kind, directory, path) for name, kind, directory, path in options.host_path),
    )
