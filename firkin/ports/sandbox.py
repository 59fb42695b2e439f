"""A running sandbox."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

from firkin.domain.boot_timing import BootTiming
from firkin.domain.mounts import Mount
from firkin.domain.reports import SandboxExit, SandboxState


class Sandbox(Protocol):
    """A sandbox that was booted and not yet ended."""

    @property
    def id(self) -> str:
        """Unique on this host while the sandbox lives."""
        ...

    @property
    def socket_directory(self) -> Path:
        """Private directory of unix sockets, the two ends of every connection with the guest.

        `guest-<port>.sock`: the guest listens, the host connects. `host-<port>.sock`: the host listens, the
        guest connects.
        """
        ...

    @property
    def store_mount(self) -> Mount:
        """The mount by which the agent gets the pod store, in the sandbox's own names."""
        ...

    async def expose_guest_port(self, port: int) -> None:
        """Let the host connect to `guest-<port>.sock` as soon as the guest listens on the port; twice is fine."""
        ...

    async def wait_ended(self) -> SandboxExit:
        """Wait until the sandbox has ended, and tell why; may be awaited by many, and after the end."""
        ...

    async def stop(self, grace_seconds: float) -> SandboxExit:
        """Ask the sandbox to end, then kill it after the grace period; twice is fine."""
        ...


@runtime_checkable
class TakesFiles(Protocol):
    """What a sandbox may have beside `Sandbox`: streams that take whole files."""

    @property
    def takes_files(self) -> bool:
        """Whether a file may be handed to a stream of the socket directory.

        Sent with one byte (SCM_RIGHTS), a regular file then reaches the guest from its position to its end, in place of
        that byte, without passing through the sender.
        """
        ...


@runtime_checkable
class TimedBoot(Protocol):
    """What a sandbox may have beside `Sandbox`: an account of its boot."""

    @property
    def boot_timing(self) -> BootTiming | None:
        """Where the time of the boot went; None until the agent listens."""
        ...


@runtime_checkable
class TellsState(Protocol):
    """What a sandbox may have beside `Sandbox`: how it is when its agent is silent."""

    async def state(self) -> SandboxState:
        """How it is; asks nothing of the guest, and takes a second at most."""
        ...
