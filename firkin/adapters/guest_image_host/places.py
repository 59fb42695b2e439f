"""Names in the directory where guest images are kept."""

from __future__ import annotations

IMAGES, KERNELS, RECIPES = "images", "kernels", "recipes"
"""Directories in it."""

BUILDING = ".building-"
"""How the names of images begin that are being built."""

KERNEL, INITRAMFS, ROOT = "vmlinuz", "initramfs", "root.erofs"
"""Files of an image."""
