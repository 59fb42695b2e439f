"""Stores for kernels of which nobody knows whether they keep project quotas."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from msgspec.structs import replace

from firkin.application.task_scope import TaskScope, finished
from firkin.domain.errors import MissingTool, StoreError
from firkin.ports.vmm import SandboxRequest


async def without_project_quotas(request: SandboxRequest, search_path: str) -> SandboxRequest:
    """Take project quotas off the request's store, which a kernel without them would only read.

    What containers write is then limited by filesystem images.

    Raises:
        MissingTool: tune2fs is not installed.
        StoreError: it refused.
    """
    tune2fs = shutil.which("tune2fs", path=search_path)
    if tune2fs is None:
        raise MissingTool("tune2fs", "a pod store for a kernel of one's own", "e2fsprogs")
    # Whole: a cancellation must not leave the filesystem half changed, or let go of it while it is being changed.
    await finished(TaskScope().start(_taken_off(tune2fs, request.store.path), "take project quotas off the store"))
    return replace(request, store=replace(request.store, has_project_quotas=False))


async def _taken_off(tune2fs: str, image: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(tune2fs, "-O", "^project,^quota", str(image)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"LANG": "C"},
        start_new_session=True,  # nor must Ctrl-C
    )
    output, _ = await process.communicate()
    if process.returncode:
        said = output.decode(errors="replace").strip()
        raise StoreError(f"project quotas of the pod store {image} cannot be taken off: {said}")
