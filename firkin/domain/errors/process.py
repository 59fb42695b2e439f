"""A process that could not be started, by what the user can do about it."""

from __future__ import annotations

from errno import EACCES, ECANCELED, EINVAL, EIO, ENOENT, ENOTTY

from .base import FirkinError


class StartFailed(FirkinError):
    """The process was not started; nothing of it is left."""

    code = "start-failed"
    errno = EIO


class CommandNotFound(StartFailed):
    """The command does not exist in the rootfs (exit code 127, as docker and shells have it)."""

    code = "command-not-found"
    errno = ENOENT
    exit_code = 127

    def __init__(self, command: str, reason: str = "no such file in the rootfs or on its PATH") -> None:
        super().__init__(f"command {command!r} was not found: {reason}")
        self.command = command
        self.reason = reason


class CommandNotExecutable(StartFailed):
    """The command exists but cannot be executed (exit code 126)."""

    code = "command-not-executable"
    exit_code = 126

    def __init__(self, command: str, reason: str, *, errno: int = EACCES) -> None:
        super().__init__(f"command {command!r} cannot be executed: {reason}")
        self.command = command
        self.reason = reason
        self.errno = errno


class PostStartFailed(StartFailed):
    """The command that a container runs right after its start failed; the container was killed."""

    code = "post-start-failed"
    errno = ECANCELED

    def __init__(self, container_id: str, reason: str) -> None:
        FirkinError.__init__(self, f"container {container_id!r} was killed, because its post-start command {reason}")
        self.container_id = container_id
        self.reason = reason


class NoTerminal(FirkinError):
    """A process without a terminal was asked for something that only one with a terminal can do."""

    code = "no-terminal"
    errno = ENOTTY

    def __init__(self, process_id: str) -> None:
        super().__init__(f"process {process_id!r} has no terminal")
        self.process_id = process_id


class UserUnknown(StartFailed):
    """The user or group is not in the rootfs's passwd or group file."""

    code = "user-unknown"
    errno = ENOENT

    def __init__(self, user: str, reason: str) -> None:
        super().__init__(f"user {user!r} cannot be used: {reason}")
        self.user = user
        self.reason = reason


class UserNotMapped(StartFailed):
    """The user or group is not among the ids that the sandbox's user namespace has."""

    code = "user-not-mapped"
    errno = EINVAL

    def __init__(self, user: str, unmapped_id: str) -> None:
        super().__init__(
            f"user {user!r} cannot be used: {unmapped_id} is not among the ids that containers of this user have; "
            "`firkin doctor` tells how to get more, and --user 0 runs as root of the container"
        )
        self.user = user
        self.unmapped_id = unmapped_id


class RuntimeFailed(StartFailed):
    """The OCI runtime refused the container for a reason of its own, which the message carries."""

    code = "runtime-failed"

    def __init__(self, runtime: str, reason: str, *, errno: int = EIO) -> None:
        super().__init__(f"{runtime} could not start the process: {reason}")
        self.runtime = runtime
        self.reason = reason
        self.errno = errno
