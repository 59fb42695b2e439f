"""Kernels on the command line: files that a machine may boot."""

from __future__ import annotations

import os
from pathlib import Path

import click


class KernelType(click.Path):
    """Takes a file unless it plainly is no kernel, which otherwise shows when a machine was to boot from it."""

    def __init__(self) -> None:
        super().__init__(exists=True, dir_okay=False, path_type=Path)

    def convert(self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None) -> Path:
        from firkin.domain.kernel_file import HEAD_BYTES, may_be_kernel

        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        if not may_be_kernel(head):
            self.fail(f"{str(path)!r} is no kernel: neither a bzImage nor an ELF or Multiboot file", param, ctx)
        return path
