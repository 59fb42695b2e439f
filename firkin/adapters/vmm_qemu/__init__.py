"""Sandboxes with a kernel of their own: virtual machines of QEMU."""

from .vmm import PROGRAM, QemuSettings, QemuVmm

__all__ = ["PROGRAM", "QemuSettings", "QemuVmm"]
