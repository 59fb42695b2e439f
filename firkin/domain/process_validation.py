"""Everything that can be wrong with how a process is to be run."""

from __future__ import annotations

from collections.abc import Iterator

from .container_spec import ProcessOptions
from .errors import SpecProblem
from .linux_capabilities import normalised_capability

_RLIM_INFINITY = 2**64 - 1
_GID_MAXIMUM = 2**32 - 2
_RLIMIT_TYPES = frozenset(
    "RLIMIT_" + name
    for name in (
        "AS", "CORE", "CPU", "DATA", "FSIZE", "LOCKS", "MEMLOCK", "MSGQUEUE", "NICE", "NOFILE", "NPROC", "RSS",
        "RTPRIO", "RTTIME", "SIGPENDING", "STACK",
    )
)  # fmt: skip


def process_problems(process: ProcessOptions, where: str) -> Iterator[SpecProblem]:
    """Yield every problem of how a process, init or exec, is to be run; it may leave its command to the image."""
    for index, argument in enumerate(process.args):
        yield from text_problems(f"{where}.command[{index}]", argument)
    if process.args and not process.args[0]:
        yield SpecProblem(f"{where}.command[0]", "command-missing", "the command is empty")
    for index, (key, value) in enumerate(process.environment):
        at = f"{where}.env[{index}]"
        if not key or "=" in key:
            yield SpecProblem(at, "env-key", f"environment variable {key!r} is empty or contains '='")
        yield from text_problems(at, key)
        yield from text_problems(at, value)
    if process.working_dir is not None:
        yield from text_problems(f"{where}.workingDir", process.working_dir)
        if not process.working_dir.startswith("/"):
            message = f"working directory {process.working_dir!r} is not absolute"
            yield SpecProblem(f"{where}.workingDir", "working-dir", message)
    if process.user is not None:
        yield from text_problems(f"{where}.user", process.user)
        if not process.user or process.user.count(":") > 1:
            message = f"user {process.user!r} is not `user` or `user:group`"
            yield SpecProblem(f"{where}.user", "user", message)
    for name in (*process.capabilities_add, *process.capabilities_drop):
        try:
            if name.upper() != "ALL":
                normalised_capability(name)
        except ValueError as error:
            yield SpecProblem(f"{where}.capabilities", "capability", str(error))
    for gid in process.additional_gids:
        yield from group_problems(gid, f"{where}.additionalGids")
    for limit in process.rlimits:
        if limit.type not in _RLIMIT_TYPES:
            yield SpecProblem(f"{where}.rlimits", "rlimit", f"{limit.type!r} is not a limit of setrlimit(2)")
        elif not 0 <= limit.soft <= limit.hard <= _RLIM_INFINITY:
            message = f"{limit.type}: soft limit {limit.soft} must lie between 0 and the hard limit {limit.hard}"
            yield SpecProblem(f"{where}.rlimits", "rlimit", message)


def text_problems(where: str, text: str) -> Iterator[SpecProblem]:
    """Yield every problem of a text that goes into a sandbox."""
    if "\0" in text:
        yield SpecProblem(where, "nul", f"{text!r} contains NUL")
    try:
        text.encode()
    except UnicodeEncodeError:
        yield SpecProblem(where, "not-utf-8", f"{text!r} cannot be written as UTF-8")


def group_problems(gid: int, where: str) -> Iterator[SpecProblem]:
    """Yield the problem of a group id, if there is one."""
    if not 0 <= gid <= _GID_MAXIMUM:
        yield SpecProblem(where, "group", f"{gid} is not a group id")
