"""Processes that somebody has stopped, or that end (proc(5))."""

from __future__ import annotations

_FLAGS = 6
_EXITING = 0x4  # linux/sched.h: PF_EXITING


def is_stopped(pid: int) -> bool:
    """Whether a process was stopped by a signal (SIGSTOP) or a debugger; False when there is none."""
    return _status(pid)[:1] in ([b"T"], [b"t"])


def is_exiting(pid: int) -> bool:
    """Whether a process has begun to end, which can take the kernel a while; False when there is none."""
    status = _status(pid)
    return bool(status) and (status[0] in (b"Z", b"X") or bool(int(status[_FLAGS]) & _EXITING))


def _status(pid: int) -> list[bytes]:
    """The fields behind its name; none when there is no process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return []
