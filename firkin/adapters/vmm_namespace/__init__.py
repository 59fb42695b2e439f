"""Sandboxes made of Linux namespaces: the host's own kernel, no VM, no daemon."""

from .remains import SandboxLeftovers
from .vmm import DEFAULT_SEARCH_PATH, NamespaceVmm

__all__ = ["DEFAULT_SEARCH_PATH", "NamespaceVmm", "SandboxLeftovers"]
