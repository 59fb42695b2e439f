"""What stopping, using and promising amount to."""

from __future__ import annotations

import enum

import msgspec

from .process import ExitStatus


class ContainerStopReport(msgspec.Struct, frozen=True):
    """How one container was stopped.

    Attributes:
        container_id: which one.
        status: how it ended; None when that could not be learned.
        killed: True when it outlived its grace period and was killed.
        seconds: from the request to its end.
        problems: what went wrong while stopping or cleaning up, in sentences.
    """

    container_id: str
    status: ExitStatus | None
    killed: bool
    seconds: float
    problems: tuple[str, ...] = ()


class StopReport(msgspec.Struct, frozen=True):
    """How a pod was stopped.

    Attributes:
        containers: one report each, in the order they were added.
        trimmed_bytes: what trimming gave back, or None when it was not asked for.
        problems: what went wrong beside the containers, in sentences; empty for a clean stop.
        seconds: the whole stop.
    """

    containers: tuple[ContainerStopReport, ...] = ()
    trimmed_bytes: int | None = None
    problems: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def clean(self) -> bool:
        """True when nothing went wrong."""
        return not self.problems and not any(container.problems for container in self.containers)


class StoreUsage(msgspec.Struct, frozen=True):
    """How full a store is: statvfs(3) of its filesystem, in blocks of `block_size` bytes."""

    block_size: int
    total_blocks: int
    free_blocks: int
    available_blocks: int

    @property
    def used_bytes(self) -> int:
        """Bytes in use, those reserved for root not among them."""
        return max(self.total_blocks - self.free_blocks, 0) * self.block_size

    @property
    def available_bytes(self) -> int:
        """Bytes that an unprivileged writer may still use."""
        return self.available_blocks * self.block_size


class Promise(enum.StrEnum):
    """How much of a promise an adapter keeps on this machine."""

    ENFORCED = "enforced"
    BEST_EFFORT = "best effort"
    UNAVAILABLE = "not here"


OOM_REPORTS = "OOM reports"
"""The promise to tell a kill for want of memory from others."""

STATISTICS = "statistics"
"""The promise to tell what all processes of a container use, and used."""

IMAGE_USERS = "users of images"
"""The promise that whoever an image names, as the user of a process or the owner of a file, has an id."""

IMAGE_DEVICES = "devices of images"
"""The promise that device files of an image are device files."""

IMAGE_ATTRIBUTES = "attributes of images"
"""The promise that the extended attributes of an image's files are kept."""


class Capability(msgspec.Struct, frozen=True):
    """One promise: its name, how far it is kept, and why when not in full."""

    name: str
    promise: Promise
    reason: str = ""


class Capabilities(msgspec.Struct, frozen=True):
    """What a VMM enforces on this machine, and what it only tries."""

    vmm: str
    promises: tuple[Capability, ...] = ()

    def __getitem__(self, name: str) -> Capability:
        for capability in self.promises:
            if capability.name == name:
                return capability
        raise KeyError(name)


class SandboxExit(msgspec.Struct, frozen=True):
    """How a sandbox ended.

    Attributes:
        console_tail: the last lines it wrote.
        phase: of its life when it ended: `boot`, `running` or `stopping`; "" when nobody kept count.
        exit_status: of the process that held it, negative for a signal; None when that is not known.
    """

    reason: str
    console_tail: str = ""
    phase: str = ""
    exit_status: int | None = None


class SandboxState(msgspec.Struct, frozen=True):
    """How a sandbox is that has not ended, as far as its host can see.

    Attributes:
        condition: a clause, such as "its QEMU runs in the phase 'running'".
        console_tail, phase: as of SandboxExit.
    """

    condition: str
    console_tail: str = ""
    phase: str = ""


class AgentInfo(msgspec.Struct, frozen=True):
    """What the guest agent says of itself.

    Attributes:
        version: of its package.
        features: names of what it can do beyond the first service.
        runtime: the OCI runtime it runs containers with, with version.
        boot_seconds: from its start to listening.
    """

    version: str
    features: frozenset[str] = frozenset()
    runtime: str = ""
    boot_seconds: float = 0.0
