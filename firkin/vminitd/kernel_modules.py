"""Kernel modules that a machine loads only when they are wanted: none of them costs time at boot."""

from __future__ import annotations

import ctypes
import errno
import os
import platform

from firkin.domain.layout import KERNEL_MODULES

from .sandbox_init import step

# finit_module in the kernel's tables of system calls; no C library has a function for it.
_FINIT_MODULE = {"x86_64": 313, "aarch64": 273, "riscv64": 273}

_libc = ctypes.CDLL(None, use_errno=True)


def load_kernel_module(name: str) -> None:
    """Load a module of the guest image; one that is loaded already, or that the image does not have, is fine.

    Raises:
        OSError: the kernel refuses; its message names the module.
    """
    path = str(KERNEL_MODULES.below(f"{name}.ko"))
    with step(f"load the kernel module {name}"):
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            _load(file)
        finally:
            os.close(file)


def _load(file: int) -> None:
    number = _FINIT_MODULE.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if _libc.syscall(ctypes.c_long(number), ctypes.c_int(file), b"", ctypes.c_int(0)) != 0:
        code = ctypes.get_errno()
        if code != errno.EEXIST:
            raise OSError(code, os.strerror(code))
