"""A VMM outside of firkin, as small as one can be: its sandbox is a child process that waits for its end.

It isolates nothing, and says so. What it shows is the shape of an adapter, and how its promises are tested: beside this
file are `test_tiny_vmm.py`, one import and one assignment, and `conftest.py`. Run `pytest` in this directory.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from firkin.domain.layout import POD_STORE_MOUNT
from firkin.domain.mounts import Mount
from firkin.domain.reports import Capabilities, Capability, Promise, SandboxExit
from firkin.errors import BootFailed
from firkin.ports.vmm import SandboxRequest

_NUMBERS = itertools.count(1)
_PROMISES = ("memory limit", "cpu limit", "pids limit", "kernel isolation", "network isolation")


class TinySandbox:
    """A process that ends when its standard input does."""

    def __init__(self, request: SandboxRequest, directory: Path, process: asyncio.subprocess.Process) -> None:
        self.id = f"tiny-{request.pod_id}-{next(_NUMBERS)}"
        self.socket_directory = directory
        self.store_mount = Mount.bind(str(request.store.path), POD_STORE_MOUNT)
        self._process = process

    async def expose_guest_port(self, port: int) -> None:
        """The guest shares the directory of the sockets."""

    async def wait_ended(self) -> SandboxExit:
        """Wait for the process; asyncio lets many wait, and tells the code again after the end."""
        return SandboxExit(f"exit code {await self._process.wait()}")

    async def stop(self, grace_seconds: float) -> SandboxExit:
        """Close its input; kill it when it does not end within the grace period."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(grace_seconds):
                await self._process.wait()
        except TimeoutError:
            self.kill()
        return await self.wait_ended()

    def kill(self) -> None:
        """End it at once; twice is fine."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()


class TinyVmm:
    """Boots sandboxes that are processes."""

    def capabilities(self) -> Capabilities:
        """Nothing is enforced, for the reason that is told."""
        return Capabilities("tiny", tuple(Capability(name, Promise.UNAVAILABLE, "an example") for name in _PROMISES))

    @contextlib.asynccontextmanager
    async def booted(self, request: SandboxRequest) -> AsyncIterator[TinySandbox]:
        """Start the process; leaving ends it. Each undo stands beside what it undoes."""
        async with contextlib.AsyncExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tiny-vmm-")))
            try:
                process = await asyncio.create_subprocess_exec("cat", stdin=asyncio.subprocess.PIPE)
            except OSError as error:
                raise BootFailed("start the sandbox's process", str(error)) from error
            sandbox = TinySandbox(request, directory, process)
            stack.push_async_callback(_ended, sandbox)
            yield sandbox


async def _ended(sandbox: TinySandbox) -> None:
    sandbox.kill()
    await sandbox.wait_ended()
