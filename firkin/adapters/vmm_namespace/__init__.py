"""Sandboxes made of Linux namespaces: the host's own kernel, no VM, no daemon."""

from .vmm import NamespaceVmm

__all__ = ["NamespaceVmm"]
