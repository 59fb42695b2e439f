"""Sandboxes made of Linux namespaces: the host's own kernel, no VM, no daemon."""

from .vmm import DEFAULT_SEARCH_PATH, NamespaceVmm

__all__ = ["DEFAULT_SEARCH_PATH", "NamespaceVmm"]
