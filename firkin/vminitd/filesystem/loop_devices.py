"""Loop devices: a file as a block device (loop(4))."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager

_LOOP_CONFIGURE = 0x4C0A
_LOOP_CTL_GET_FREE = 0x4C82
_LO_FLAGS_AUTOCLEAR = 4
# struct loop_config with its struct loop_info64, linux/loop.h
_LOOP_CONFIG = struct.Struct("=II5Q4I64s64s32s2Q64x")
_ATTEMPTS = 64


@contextmanager
def attached(image: str) -> Iterator[str]:
    """Attach `image` to a free loop device for the block; yields the device's path.

    After the block the device lives as long as it is mounted: the kernel detaches it with the last mount, also when
    that goes because its mount namespace died.

    Raises:
        OSError: with the path that stood in the way; EBUSY when every free device was taken by somebody else.
    """
    backing = os.open(image, os.O_RDWR | os.O_CLOEXEC)
    try:
        device, descriptor = _configured(backing, image)
    finally:
        os.close(backing)
    try:
        yield device
    finally:
        os.close(descriptor)


def _configured(backing: int, image: str) -> tuple[str, int]:
    name = os.fsencode(image)[-63:]
    settings = _LOOP_CONFIG.pack(backing, 0, *[0] * 5, 0, 0, 0, _LO_FLAGS_AUTOCLEAR, name, b"", b"", 0, 0)
    for _ in range(_ATTEMPTS):
        device = f"/dev/loop{_free_number()}"
        descriptor = os.open(device, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.ioctl(descriptor, _LOOP_CONFIGURE, settings)
        except OSError as error:
            os.close(descriptor)
            # Somebody else was quicker to take it.
            if error.errno in (errno.EBUSY, errno.ENXIO):
                continue
            raise OSError(error.errno, error.strerror, device) from error
        return device, descriptor
    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), "/dev/loop-control")


def _free_number() -> int:
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    try:
        return fcntl.ioctl(control, _LOOP_CTL_GET_FREE)
    finally:
        os.close(control)
