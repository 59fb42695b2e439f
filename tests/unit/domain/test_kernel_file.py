"""What begins like a kernel, and what does not."""

from __future__ import annotations

import struct

import pytest

from firkin.domain.kernel_file import HEAD_BYTES, may_be_kernel


def _multiboot(place: int, checksum: int) -> bytes:
    return bytes(place) + struct.pack("<III", 0x1BADB002, 3, checksum) + bytes(64)


RIGHT_CHECKSUM = 2**32 - 0x1BADB002 - 3


@pytest.mark.parametrize(
    "head",
    [
        bytes(0x202) + b"HdrS" + bytes(64),
        b"MZ" + bytes(0x200) + b"HdrS" + bytes(64),
        b"\x7fELF" + bytes(60),
        _multiboot(0, RIGHT_CHECKSUM),
        _multiboot(4096, RIGHT_CHECKSUM),
        _multiboot(HEAD_BYTES - 76, RIGHT_CHECKSUM),
        # What looks like one comes before the one that is.
        _multiboot(16, 1) + _multiboot(0, RIGHT_CHECKSUM),
    ],
    ids=[
        "bzimage",
        "bzimage for EFI",
        "elf",
        "multiboot",
        "multiboot within",
        "multiboot at the end",
        "multiboot twice",
    ],
)
def test_each_kind_of_kernel_is_known_by_how_it_begins(head: bytes) -> None:
    assert may_be_kernel(head[:HEAD_BYTES])


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"no kernel",
        b"\x7fEL",
        b"#!/bin/sh\n" + b"HdrS" * 10,
        b"\x1f\x8b\x08" + bytes(HEAD_BYTES - 3),
        b"070701" + b"0" * 1000,
        bytes(0x201) + b"HdrS" + bytes(64),
        _multiboot(0, 1),
        _multiboot(2, RIGHT_CHECKSUM),
        struct.pack("<II", 0x1BADB002, 3),
        bytes(HEAD_BYTES - 4) + struct.pack("<I", 0x1BADB002),
    ],
    ids=[
        "nothing", "text", "too short", "script", "gzip", "cpio", "elsewhere",
        "wrong sum", "not aligned", "cut off", "cut off at the end",
    ],
)  # fmt: skip
def test_what_begins_like_none_is_none(head: bytes) -> None:
    assert not may_be_kernel(head)
