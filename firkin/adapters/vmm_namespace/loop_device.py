"""Loop devices: a filesystem image as a block device (loop(4))."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from firkin.domain.errors import BootFailed, PermissionMissing

_LOOP_CLR_FD = 0x4C01
_LOOP_CONFIGURE = 0x4C0A
_LOOP_CTL_GET_FREE = 0x4C82
_LO_FLAGS_AUTOCLEAR = 4
# struct loop_config with its struct loop_info64, linux/loop.h
_LOOP_CONFIG = struct.Struct("=II5Q4I64s64s32s2Q64x")
_ATTEMPTS = 64
_OPERATION = "attach the pod store"


@contextmanager
def attached(image: Path) -> Iterator[Path]:
    """Attach `image` to a free loop device, and detach it at the end, after whoever mounted it has gone.

    The descriptor that is held keeps the device; with the autoclear flag the kernel detaches it as well when
    this process dies and the last mount is gone.

    Raises:
        PermissionMissing: loop devices cannot be used here.
        BootFailed: the image cannot be attached.
    """
    device, descriptor = _configured(image)
    try:
        yield device
    finally:
        with suppress(OSError):
            fcntl.ioctl(descriptor, _LOOP_CLR_FD)
        os.close(descriptor)


def _configured(image: Path) -> tuple[Path, int]:
    try:
        backing = os.open(image, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise BootFailed(_OPERATION, f"cannot open {image}: {error.strerror}") from error
    try:
        for _ in range(_ATTEMPTS):
            attempt = _attempt(backing, image)
            if attempt is not None:
                return attempt
    except PermissionError as error:
        raise PermissionMissing("use loop devices", "run as root, on a machine that has /dev/loop-control") from error
    except OSError as error:
        raise BootFailed(_OPERATION, f"{error.filename or image}: {error.strerror}") from error
    finally:
        os.close(backing)
    raise BootFailed(_OPERATION, "every free loop device was taken by somebody else at once")


def _attempt(backing: int, image: Path) -> tuple[Path, int] | None:
    """Take the loop device that is free now; None when somebody else was quicker."""
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    try:
        device = Path(f"/dev/loop{fcntl.ioctl(control, _LOOP_CTL_GET_FREE)}")
    finally:
        os.close(control)
    descriptor = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    name = os.fsencode(image)[-63:]
    settings = _LOOP_CONFIG.pack(backing, 0, *[0] * 5, 0, 0, 0, _LO_FLAGS_AUTOCLEAR, name, b"", b"", 0, 0)
    try:
        fcntl.ioctl(descriptor, _LOOP_CONFIGURE, settings)
    except OSError as error:
        os.close(descriptor)
        if error.errno in (errno.EBUSY, errno.ENXIO):
            return None
        raise
    return device, descriptor
