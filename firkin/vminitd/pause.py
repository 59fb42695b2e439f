"""The first process of a pod's shared process namespace: it reaps orphans, and does nothing else.

A program of its own, run by path with nothing but the standard library. The containers of the pod see it, so it
gives them nothing: an empty root, no capabilities, and its program on a mount that nobody can write to.
Standard input ends when the agent does, and then it ends, and with it all processes of the namespace.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys

_NEW_MOUNTS, _NEW_PIDS = 0x00020000, 0x20000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_PRIVATE = 1, 2, 4, 8, 0x4000, 0x40000
_MNT_DETACH = 2
_SYS_MOUNT_SETATTR = 442
_AT_RECURSIVE = 0x8000
_PR_SET_DUMPABLE, _PR_SET_NAME, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 4, 15, 24, 38
_CAPABILITY_VERSION = 0x20080522
_ROOT = "/run"
_INSIDE = "inside"

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"cannot {what}: {os.strerror(ctypes.get_errno())}")


def _make_namespace() -> None:
    """Fork the first process of a new namespace, and tell its number outside."""
    _checked(_libc.unshare(_NEW_MOUNTS | _NEW_PIDS), "make a process namespace")
    pid = os.fork()
    if pid:
        os.write(1, f"{pid}\n".encode())
        return
    _checked(_libc.mount(b"none", b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None), "make the mounts private")
    attributes = struct.pack("=QQQQ", _MS_RDONLY, 0, 0, 0)
    # Before Linux 5.12 it does not exist; then what the containers cannot reach is merely writable.
    _libc.syscall(_SYS_MOUNT_SETATTR, -100, b"/", _AT_RECURSIVE, attributes, len(attributes))
    # Anew, so that also the program itself is used from the mount that cannot be written to.
    os.execv(sys.executable, [sys.executable, "-I", "-S", __file__, _INSIDE])


def _confine() -> None:
    """Give up everything but waiting."""
    flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    null = os.open("/dev/null", os.O_RDWR)
    _checked(_libc.mount(b"pause", _ROOT.encode(), b"tmpfs", ctypes.c_ulong(flags | _MS_RDONLY), b"size=4k"), "mount")
    os.chdir(_ROOT)
    # pivot_root(2): the C library has no function for it, and the number differs.
    number = {"x86_64": 155, "aarch64": 41, "riscv64": 41}[os.uname().machine]
    _checked(_libc.syscall(number, b".", b"."), "change the root")
    _checked(_libc.umount2(b".", _MNT_DETACH), "leave the old root")
    os.chdir("/")
    _libc.prctl(_PR_SET_NAME, b"pause", 0, 0, 0)
    _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "renounce privileges")
    for capability in range(64):
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    _checked(_libc.capset(header, bytes(24)), "drop the capabilities")
    # Nobody without CAP_SYS_PTRACE may look into it (ptrace(2)).
    _checked(_libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0), "become unreadable")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    os.write(1, b"ready\n")
    os.dup2(null, 1)
    os.dup2(null, 2)
    os.close(null)


def main() -> None:
    """Run the stage that the command line names."""
    if sys.argv[1:] != [_INSIDE]:
        _make_namespace()
        return
    _confine()
    while os.read(0, 1):
        pass


if __name__ == "__main__":
    main()
