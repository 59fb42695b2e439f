"""A process that takes its mounts, its memory files and everything it started with it, however it ends."""

from __future__ import annotations

import ctypes
import os
import select
import signal
from collections.abc import Callable

_CLONE_NEWNS, _CLONE_NEWPID = 0x00020000, 0x20000000
_MS_REC, _MS_PRIVATE = 16384, 1 << 18
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def isolated(work: Callable[[], int], memory: str = "/dev/shm") -> int:
    """Run `work` in a process of its own, and return what it returns.

    That process is the first of a process namespace, with mounts that nobody else sees and an empty filesystem in
    memory at `memory`. When it or the caller ends, be it by SIGKILL, the kernel ends all that it started and takes
    back its mounts, loop devices and memory. It must not have threads yet.

    Raises:
        OSError: the caller is not root.
    """
    heard, held = os.pipe()
    _checked(_libc.unshare(_CLONE_NEWNS | _CLONE_NEWPID), "benchmarks of layers run as root: unshare")
    child = os.fork()
    if child:
        os.close(heard)
        return _ended(child)
    os.close(held)
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
    if select.select([heard], [], [], 0)[0]:
        os._exit(1)  # the caller ended before it could be tied to it
    _checked(_libc.mount(None, b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None), "make the mounts private")
    _checked(_libc.mount(b"proc", b"/proc", b"proc", ctypes.c_ulong(0), None), "mount /proc")
    _checked(_libc.mount(b"tmpfs", memory.encode(), b"tmpfs", ctypes.c_ulong(0), b"size=90%"), f"mount {memory}")
    return work()


def _ended(child: int) -> int:
    """The exit status of the child; a signal ends the caller at once, and the kernel the child."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
