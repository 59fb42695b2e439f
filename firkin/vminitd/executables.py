"""Whether the kernel would execute a command, told before it is started.

An OCI runtime that detaches answers before execve(2), so what that refuses would look like a program that failed.
A command that is not found is left to the runtime; so is one that only a mount of the container brings. Below an init,
which has no better way to tell it than to fail, it is told here, unless a mount may bring it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import stat
from collections.abc import Iterator, Sequence

import msgspec

from firkin.domain.errors import CommandNotExecutable, CommandNotFound, UnsupportedFeature
from firkin.domain.layout import CONTAINER_INIT_PROGRAM

from .filesystem.beneath import Resolution, open_beneath, opened_directory
from .kernel import BINARY_FORMATS

_HEAD_BYTES = 256
_INIT_REMEDY = "apt-get install catatonit, and machines take it from their host"
# What containers have without asking for it, or at most as a file; there are no commands in it.
_WITHOUT_COMMANDS = ("/dev", "/etc/", "/proc", "/sys")
_DIRECTORY_REFUSED = "it is a directory"
_FORMAT_REFUSED = "it is no program of this machine (exec format error)"
# e_machine of elf(5), with what the kernel runs besides its own.
_ELF_MACHINES = {
    "x86_64": (62, 3),
    "aarch64": (183, 40),
    "riscv64": (243,),
    "ppc64le": (21,),
    "s390x": (22,),
    "armv7l": (40,),
    "i686": (3,),
}


class Command(msgspec.Struct, frozen=True):
    """A command as execvpe(3) would find it; `mounts` are the container's mount points.

    With `has_init` an init runs it, as its child.
    """

    name: str
    working_directory: str
    search_path: str
    mounts: Sequence[str] = ()
    has_init: bool = False


def check_executable(root: str, command: Command) -> None:
    """Refuse a command that is there but that the kernel will not execute.

    Raises:
        CommandNotExecutable: its format is none of this machine, or it is a directory.
        CommandNotFound: the interpreter that its first line names does not exist.
        UnsupportedFeature: it wants an init, which is not installed here.
    """
    if command.has_init and not os.access(CONTAINER_INIT_PROGRAM, os.X_OK):
        raise UnsupportedFeature("an init in containers", f"there is no {CONTAINER_INIT_PROGRAM}: {_INIT_REMEDY}")
    try:
        with opened_directory(root) as directory:
            for path in _candidates(command):
                head = _head(directory, path, command)
                if head is not None:
                    _check_head(directory, head, command)
                    return
            if command.has_init and all(point.startswith(_WITHOUT_COMMANDS) for point in command.mounts):
                _refuse_missing(directory, command)
    except OSError:
        # The runtime says it better.
        return


def _refuse_missing(root: int, command: Command) -> None:
    """Say what an init would say of a command only after the start, as a failure of its own.

    Raises:
        CommandNotExecutable, CommandNotFound: always.
    """
    for path in _candidates(command):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.close(open_beneath(root, path.lstrip("/"), os.O_PATH, Resolution.IN_ROOT))
            raise CommandNotExecutable(command.name, os.strerror(errno.EACCES))
    raise CommandNotFound(command.name)


def _candidates(command: Command) -> Iterator[str]:
    if "/" in command.name:
        yield os.path.join(command.working_directory, command.name)
        return
    for directory in command.search_path.split(":"):
        yield os.path.join(command.working_directory, directory, command.name)


def _head(root: int, path: str, command: Command) -> bytes | None:
    """The first bytes of an executable file; None when there is none.

    Raises:
        CommandNotExecutable: it is a directory, and no other path is left to try.
        OSError: it lies under a mount point, so that the container may see another file.
    """
    try:
        file = open_beneath(root, path.lstrip("/"), os.O_RDONLY | os.O_NONBLOCK, Resolution.IN_ROOT)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    try:
        mode = os.fstat(file).st_mode
        is_named_directory = stat.S_ISDIR(mode) and "/" in command.name
        if not is_named_directory and (not stat.S_ISREG(mode) or not mode & 0o111):
            return None
        where = os.readlink(f"/proc/self/fd/{file}").removeprefix(os.readlink(f"/proc/self/fd/{root}"))
        if any(where.startswith(f"{point.rstrip('/')}/") or where == point for point in command.mounts):
            raise OSError("only the container sees what is mounted there")
        if is_named_directory:
            raise CommandNotExecutable(command.name, _DIRECTORY_REFUSED, errno=errno.EISDIR)
        return os.read(file, _HEAD_BYTES)
    finally:
        os.close(file)


def _check_head(root: int, head: bytes, command: Command) -> None:
    if head.startswith(b"#!"):
        words = head[2:].split(b"\n")[0].split()
        if words and not _exists(root, os.fsdecode(words[0]), command):
            reason = f"its interpreter {os.fsdecode(words[0])!r} does not exist in the rootfs"
            raise CommandNotFound(command.name, reason)
        return
    if head.startswith(b"\x7fELF") and len(head) >= 20:
        machines = _ELF_MACHINES.get(platform.machine())
        if machines is None or int.from_bytes(head[18:20], "big" if head[5] == 2 else "little") in machines:
            return
    if not _has_emulators():
        raise CommandNotExecutable(command.name, _FORMAT_REFUSED, errno=errno.ENOEXEC)


def _exists(root: int, path: str, command: Command) -> bool:
    if any(path.startswith(f"{point.rstrip('/')}/") or path == point for point in command.mounts):
        return True
    try:
        os.close(open_beneath(root, path.lstrip("/"), os.O_PATH, Resolution.IN_ROOT))
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _has_emulators() -> bool:
    try:
        return bool(set(os.listdir(BINARY_FORMATS)) - {"register", "status"})
    except OSError:
        return False
