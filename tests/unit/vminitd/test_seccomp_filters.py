"""Filters of system calls as the kernel reads them: compiled, loaded in a child process, and tried."""

from __future__ import annotations

import base64
import ctypes
import errno
import gc
import os
import random
from collections.abc import Sequence

import msgspec

from firkin.domain.linux_capabilities import DEFAULT_CAPABILITIES
from firkin.domain.seccomp import default_seccomp
from firkin.vminitd.seccomp_filter import compiled_filter

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_INSTRUCTION_BYTES = 8
_SYS_IOCTL = 16  # x86-64
SET_ATTRIBUTES, SET_FLAGS, SET_FLAGS_32 = 0x401C5820, 0x40086602, 0x40046602


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def answers(requests: Sequence[int], *, keeps_projects: bool) -> list[int]:
    """The errno of ioctl(2) on /dev/null for each request, below a container's filter."""
    profile = default_seccomp(DEFAULT_CAPABILITIES, "amd64", keeps_projects=keeps_projects)
    compiled = compiled_filter(msgspec.json.encode(profile))
    assert compiled is not None
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        gc.disable()  # gRPC's objects would wait for threads that are not here
        try:
            os.write(writing, msgspec.json.encode(_tried(base64.b64decode(compiled), requests)))
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        told = answer.read()
    os.waitpid(child, 0)
    return msgspec.json.decode(told, type=list[int])


def _tried(program: bytes, requests: Sequence[int]) -> list[int]:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_uint64, ctypes.c_long)
    null = os.open("/dev/null", os.O_RDONLY)
    assert libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    loaded = _Program(len(program) // _INSTRUCTION_BYTES, program)
    assert libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(loaded), 0, 0) == 0
    found = []
    for request in requests:
        assert libc.syscall(_SYS_IOCTL, null, request, 0) == -1
        found.append(ctypes.get_errno())
    return found


def test_a_container_with_a_quota_cannot_change_the_project_of_a_file_by_any_spelling_of_the_request() -> None:
    refused = [SET_ATTRIBUTES, SET_FLAGS, SET_FLAGS_32]
    # The kernel drops what lies above the 32 bits of a request.
    spelt = [request | high << 32 for request in refused for high in (0, 1, 0x80000000, 0xFFFFFFFF)]
    assert set(answers(spelt, keeps_projects=True)) == {errno.EPERM}


def test_every_other_request_is_as_it_was() -> None:
    refused = [SET_ATTRIBUTES, SET_FLAGS, SET_FLAGS_32]
    neighbours = [request ^ 1 << bit for request in refused for bit in range(32)]
    drawn = [random.Random(4).getrandbits(32) for _ in range(500)]
    others = [0, 0xFFFFFFFF, 0x5401, 0x541B, *neighbours, *drawn]
    others = [request for request in others if request not in refused]
    assert set(answers(others, keeps_projects=True)) == {errno.ENOTTY}
    # The null device has none of these, and there is no address to read from.
    assert set(answers(refused, keeps_projects=False)) <= {errno.ENOTTY, errno.EFAULT}
