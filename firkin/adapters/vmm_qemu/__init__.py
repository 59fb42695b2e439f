"""Sandboxes with a kernel of their own: virtual machines of QEMU."""

from .vmm import QemuSettings, QemuVmm

__all__ = ["QemuSettings", "QemuVmm"]
