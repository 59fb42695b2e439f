"""Stores for kernels of which nobody knows whether they keep project quotas."""

from __future__ import annotations

import asyncio
import shutil

from msgspec.structs import replace

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
    process = await asyncio.create_subprocess_exec(
        *(tune2fs, "-O", "^project,^quota", str(request.store.path)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"LANG": "C"},
        start_new_session=True,  # Ctrl-C must not leave the filesystem half changed
    )
    output, _ = await process.communicate()
    if process.returncode:
        said = output.decode(errors="replace").strip()
        raise StoreError(f"project quotas of the pod store {request.store.path} cannot be taken off: {said}")
    return replace(request, store=replace(request.store, has_project_quotas=False))
