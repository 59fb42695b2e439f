"""A sandbox in which nothing answers."""

from __future__ import annotations

import asyncio
from pathlib import Path

from firkin.domain.layout import POD_STORE_MOUNT
from firkin.domain.mounts import Mount
from firkin.domain.reports import SandboxExit


class SilentSandbox:
    """Keeps the port Sandbox with a directory of sockets, until it is stopped."""

    def __init__(self, socket_directory: Path) -> None:
        self.id = "silent"
        self.socket_directory = socket_directory
        self.store_mount = Mount.bind("/nowhere", POD_STORE_MOUNT)
        self._ended: asyncio.Future[SandboxExit] = asyncio.get_running_loop().create_future()

    async def expose_guest_port(self, port: int) -> None:
        """Nobody listens on any."""

    async def wait_ended(self) -> SandboxExit:
        """Wait until it is stopped."""
        return await asyncio.shield(self._ended)

    async def stop(self, grace_seconds: float) -> SandboxExit:
        """End it at once."""
        if not self._ended.done():
            self._ended.set_result(SandboxExit("stopped"))
        return self._ended.result()
