"""The kernel that the sandbox runs on: its own in a VM, the host's where the sandbox is made of namespaces."""

from __future__ import annotations

import errno
import os
import time

from firkin.domain.errors import AgentError, InvalidArgument
from firkin.domain.sysctls import is_namespaced_sysctl, is_sysctl_name, sysctl_path

from .error_numbers import number_of
from .filesystem.beneath import Resolution, open_beneath, opened_directory, refusing

# linux/proc_ns.h: PROC_PID_INIT_INO, the first process namespace of a kernel.
_FIRST_PID_NAMESPACE = 0xEFFFFFFC
_SETTINGS = "/proc/sys"
BINARY_FORMATS = "/proc/sys/fs/binfmt_misc"
_MICROSECONDS = 1_000_000


def owns_kernel() -> bool:
    """True for the init of a whole machine: what it sets for the kernel is seen by nobody else."""
    return os.getpid() == 1 and os.stat("/proc/self/ns/pid").st_ino == _FIRST_PID_NAMESPACE


def set_time(seconds: int, microseconds: int) -> None:
    """Set the clock (settimeofday(2)).

    Raises:
        InvalidArgument: there is no such time.
        AgentError: EPERM: the clock is the host's, or the kernel refuses.
    """
    if not 0 <= microseconds < _MICROSECONDS or not 0 <= seconds < 1 << 40:
        raise InvalidArgument(f"{seconds} s and {microseconds} us since 1970 are not a time")
    if not owns_kernel():
        raise AgentError("set the time", "the sandbox shares its host's clock", errno=errno.EPERM)
    try:
        time.clock_settime_ns(time.CLOCK_REALTIME, (seconds * _MICROSECONDS + microseconds) * 1000)
    except OSError as error:
        raise AgentError("set the time", "the kernel refuses", errno=number_of(error)) from error


def set_sysctls(settings: dict[str, str]) -> None:
    """Write kernel settings; all names are checked before the first is written.

    Raises:
        InvalidArgument: a name or value is none.
        AgentError: EPERM: it would change the host's kernel. Otherwise as the kernel has it (ENOENT, EINVAL).
    """
    for name, value in settings.items():
        if not is_sysctl_name(name):
            raise InvalidArgument(f"{name!r} is not the name of a kernel setting")
        if not value.isascii() or "\0" in value:
            raise InvalidArgument(f"the value of {name} is not ASCII")
        if not is_namespaced_sysctl(name) and not owns_kernel():
            reason = f"{name} belongs to the kernel, which the sandbox shares with its host"
            raise AgentError("set sysctl", reason, path=f"{_SETTINGS}/{sysctl_path(name)}", errno=errno.EPERM)
    for name, value in settings.items():
        _write_setting(sysctl_path(name), value)


def _write_setting(path: str, value: str) -> None:
    where = f"{_SETTINGS}/{path}"
    try:
        with refusing(where), opened_directory(_SETTINGS) as settings:
            file = open_beneath(settings, path, os.O_WRONLY, Resolution.NO_SYMLINKS)
            try:
                os.write(file, value.encode())
            finally:
                os.close(file)
    except OSError as error:
        reason = f"the kernel refuses {value!r}" if error.errno == errno.EINVAL else os.strerror(number_of(error))
        raise AgentError("set sysctl", reason, path=where, errno=number_of(error)) from error


def send_signal(pid: int, number: int, *, is_init: bool) -> None:
    """Send a signal to a process of the sandbox; -1 means all of them, and none is fine then.

    Raises:
        InvalidArgument: there is no such signal.
        AgentError: ESRCH: there is no such process. EPERM: it is none of the sandbox, or the agent itself.
    """
    if pid == -1 and is_init:
        # From an init this reaches every process of its namespace but itself.
        _kill(-1, number, missing_is_fine=True)
        return
    if pid <= 0 or pid == os.getpid():
        raise AgentError("kill", f"process {pid} is not one of the sandbox's, or the agent itself", errno=errno.EPERM)
    if not is_init and not _is_descendant(pid):
        raise AgentError("kill", f"process {pid} is not one of the agent's", errno=errno.EPERM)
    _kill(pid, number, missing_is_fine=False)


def _kill(pid: int, number: int, *, missing_is_fine: bool) -> None:
    if not 0 <= number <= 64:
        raise InvalidArgument(f"{number} is not a signal")
    try:
        os.kill(pid, number)
    except ProcessLookupError as error:
        if not missing_is_fine:
            raise AgentError("kill", f"there is no process {pid}", errno=errno.ESRCH) from error
    except OSError as error:
        raise AgentError("kill", f"process {pid}", errno=number_of(error)) from error


def _is_descendant(pid: int) -> bool:
    """False also for a process that is gone, which then nobody can confuse with another of the same number."""
    own = os.getpid()
    while pid > 1:
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                pid = int(file.read().rpartition(b")")[2].split()[1])
        except OSError:
            return False
        if pid == own:
            return True
    return False
