"""The private directory of unix sockets that a sandbox and the host share."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from firkin.domain.errors import BootFailed, ConfigurationError, PermissionMissing
from firkin.domain.ids import PodId

_SUN_PATH_BYTES = 107  # unix(7): 108 with the closing NUL
_LONGEST_SOCKET = len("/host-4294967295.sock")
_SUFFIX_DIGITS = 8
_ATTEMPTS = 16


@contextmanager
def socket_directory(runtime_dir: Path, pod_id: PodId) -> Iterator[Path]:
    """Make `<runtime_dir>/<pod id>-<random>` (0700) and remove it at the end.

    Its owner holds a lock on the directory, which the kernel drops when the owner dies: so `abandoned` tells a
    crashed owner's directory from a living one's. The pod's id is shortened where sockets would get too long a path.

    Raises:
        ConfigurationError: `runtime_dir` is too long for unix sockets below it, or is no directory.
        PermissionMissing: it cannot be written to.
    """
    room = _SUN_PATH_BYTES - len(os.fsencode(runtime_dir)) - 1 - _LONGEST_SOCKET - _SUFFIX_DIGITS
    if room < 0:
        raise ConfigurationError(
            f"runtime directory {str(runtime_dir)!r} is {-room} bytes too long: unix sockets below it need short paths"
        )
    _make_runtime_dir(runtime_dir)
    path, lock = _made_and_locked(runtime_dir, pod_id[: max(room - 1, 0)])
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def _make_runtime_dir(runtime_dir: Path) -> None:
    try:
        runtime_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError as error:
        raise ConfigurationError(f"runtime directory {str(runtime_dir)!r} is not a directory") from error
    except OSError as error:
        raise _not_writable(runtime_dir, error) from error


def _not_writable(runtime_dir: Path, error: OSError) -> PermissionMissing:
    return PermissionMissing(
        f"write to the runtime directory {str(runtime_dir)!r} ({error.strerror})",
        "choose another one, or run as the user that owns it",
    )


def _made_and_locked(runtime_dir: Path, prefix: str) -> tuple[Path, int]:
    for _ in range(_ATTEMPTS):
        suffix = secrets.token_hex(_SUFFIX_DIGITS // 2)
        path = runtime_dir / (f"{prefix}-{suffix}" if prefix else suffix)
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            continue
        except OSError as error:
            raise _not_writable(runtime_dir, error) from error
        lock = _locked(path)
        if lock is not None:
            return path, lock
    raise BootFailed("make the socket directory", f"no free name below {runtime_dir}")


def _locked(path: Path) -> int | None:
    """Hold the lock of a directory; None when another process holds it, or has removed the directory."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False)):
            return descriptor
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.ENOENT):
            os.close(descriptor)
            raise
    os.close(descriptor)
    return None


@contextmanager
def abandoned(runtime_dir: Path, only: Path | None = None) -> Iterator[list[Path]]:
    """The directories whose owners died, held so that nobody else tidies them up at the same time."""
    looked_at = [path for path in _directories(runtime_dir) if only in (None, path)]
    held = [(path, lock) for path in looked_at if (lock := _locked(path)) is not None]
    try:
        yield [path for path, _ in held]
    finally:
        for _, lock in held:
            os.close(lock)


def abandoned_now(runtime_dir: Path) -> list[Path]:
    """The directories whose owners died, by a look that disturbs nobody."""
    return [path for path in sorted(_directories(runtime_dir)) if not _is_locked(path)]


def _is_locked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return True  # it is gone, or somebody else's
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _directories(runtime_dir: Path) -> list[Path]:
    try:
        return [Path(entry.path) for entry in os.scandir(runtime_dir) if _is_ours(entry)]
    except OSError:
        return []


def _is_ours(entry: os.DirEntry[str]) -> bool:
    suffix = entry.name.rpartition("-")[2]
    digits = set("0123456789abcdef")
    return len(suffix) == _SUFFIX_DIGITS and digits.issuperset(suffix) and entry.is_dir(follow_symlinks=False)
