"""A running namespace sandbox."""

from __future__ import annotations

from pathlib import Path

from firkin.domain.mounts import Mount
from firkin.domain.reports import SandboxExit, SandboxState
from firkin.host_side.console import Console

from .cgroups import SandboxCgroups
from .process import SandboxProcess


class NamespaceSandbox:
    """Keeps the ports Sandbox and TellsState."""

    def __init__(
        self,
        socket_directory: Path,
        store_mount: Mount,
        process: SandboxProcess,
        console: Console,
        cgroups: SandboxCgroups,
    ) -> None:
        self._socket_directory = socket_directory
        self._store_mount = store_mount
        self._process = process
        self._console = console
        self._cgroups = cgroups
        self._exit: SandboxExit | None = None

    @property
    def id(self) -> str:
        """Unique on this host while the sandbox lives."""
        return self._socket_directory.name

    @property
    def socket_directory(self) -> Path:
        """Private directory of unix sockets."""
        return self._socket_directory

    @property
    def store_mount(self) -> Mount:
        """The mount by which the agent gets the pod store."""
        return self._store_mount

    async def expose_guest_port(self, port: int) -> None:
        """The guest makes the socket itself, in the directory that it shares with the host."""

    async def wait_ended(self) -> SandboxExit:
        """Wait until the sandbox has ended; its reason has unshare's exit status, which is vminitd's."""
        await self._process.wait_ended()
        return self._recorded_exit()

    async def state(self) -> SandboxState:
        """Whether somebody has stopped its init; it has no phases."""
        condition = "its init was stopped, by SIGSTOP or a debugger" if self._process.is_stopped else "its init runs"
        return SandboxState(condition, self._console.tail)

    async def stop(self, grace_seconds: float) -> SandboxExit:
        """Cut the lifeline, upon which vminitd ends in order; kill it after the grace period."""
        await self._process.stop(grace_seconds)
        return self._recorded_exit()

    def _recorded_exit(self) -> SandboxExit:
        if self._exit is None:
            reason = f"its init {self._process.status}"
            if self._process.was_killed and self._cgroups.out_of_memory_kills():
                reason += ", after the kernel had killed processes of the sandbox for want of memory"
            if self._process.cause:
                reason = f"{self._process.cause}, and {reason}"
            self._exit = SandboxExit(reason, self._console.tail)
        return self._exit
