"""Running a test in a mount namespace of its own, so that what it mounts is gone with it."""

from __future__ import annotations

import ctypes
import functools
import gc
import os
import traceback
from collections.abc import Callable
from typing import ParamSpec

import pytest

_CLONE_NEWNS = 0x00020000
_MS_REC, _MS_PRIVATE = 16384, 1 << 18
_LIBC = ctypes.CDLL(None, use_errno=True)

Parameters = ParamSpec("Parameters")


def in_private_mounts(test: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Run the test in a child process whose mounts nobody else sees; its failure fails the test."""

    @functools.wraps(test)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            # gRPC's threads did not come along: to collect one of its channels here would wait for them for ever.
            gc.disable()
            os.close(reading)
            status = 1
            try:
                _enter_private_mounts()
                test(*args, **kwargs)
                status = 0
            except BaseException:
                with os.fdopen(writing, "w", errors="backslashreplace") as report:
                    report.write(traceback.format_exc())
            finally:
                os._exit(status)
        os.close(writing)
        with os.fdopen(reading) as report:
            text = report.read()
        _, status = os.waitpid(child, 0)
        if status != 0:
            pytest.fail(f"in a private mount namespace:\n{text}", pytrace=False)

    return run


def _enter_private_mounts() -> None:
    if _LIBC.unshare(_CLONE_NEWNS) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "unshare(CLONE_NEWNS); these tests run as root")
    if _LIBC.mount(None, b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None) != 0:
        raise OSError(ctypes.get_errno(), "cannot make mounts private")
