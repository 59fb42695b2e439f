"""Telling a file that may be the kernel of a machine from one that plainly is none, by how it begins."""

from __future__ import annotations

import struct

HEAD_BYTES = 8192
"""How much of a file has to be read."""

# Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header": `header`.
_SETUP_MAGIC, _SETUP_MAGIC_OFFSET = b"HdrS", 0x202
_ELF_MAGIC = b"\x7fELF"
# Multiboot Specification 0.6.96, 3.1.1: aligned to 32 bits, and magic, flags and checksum add up to nothing.
_MULTIBOOT = struct.Struct("<III")
_MULTIBOOT_MAGIC = 0x1BADB002
_WORD_BYTES = 4


def may_be_kernel(head: bytes) -> bool:
    """Whether QEMU's `-kernel` for x86 knows what a file is that begins so: bzImage, ELF or Multiboot.

    Args:
        head: the file's first HEAD_BYTES bytes, or the whole of a shorter one.
    """
    return (
        head.startswith(_SETUP_MAGIC, _SETUP_MAGIC_OFFSET) or head.startswith(_ELF_MAGIC) or _has_multiboot_header(head)
    )


def _has_multiboot_header(head: bytes) -> bool:
    place = head.find(_MULTIBOOT_MAGIC.to_bytes(_WORD_BYTES, "little"))
    while 0 <= place <= len(head) - _MULTIBOOT.size:
        if place % _WORD_BYTES == 0 and sum(_MULTIBOOT.unpack_from(head, place)) % 2**32 == 0:
            return True
        place = head.find(_MULTIBOOT_MAGIC.to_bytes(_WORD_BYTES, "little"), place + 1)
    return False
