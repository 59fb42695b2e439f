"""The sandbox of a pod."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import force_setattr

from .network import Network
from .size import Size

MINIMUM_MEMORY = Size.mib(128)


class VmConfig(msgspec.Struct, frozen=True):
    """How a pod's sandbox is made; a namespace sandbox has the host's kernel and takes no kernel settings.

    Attributes:
        cpus: processors of a VM; None for the adapter's default.
        memory: memory of a VM in bytes, at least 128 MiB; None for the adapter's default.
        kernel: kernel file of a VM; None for the one that firkin brings.
        command_line_extra: appended to the kernel's command line.
        boot_log: host file that receives what the sandbox's console says; None keeps the tail only.
        boot_timeout_seconds: how long boot and the agent's first answer may take.
        network: what the sandbox reaches beside its own loopback.
    """

    cpus: int | None = None
    memory: Size | None = None
    kernel: Path | None = None
    command_line_extra: tuple[str, ...] = ()
    boot_log: Path | None = None
    boot_timeout_seconds: float = 60.0
    network: Network = Network.NONE

    if TYPE_CHECKING:

        def __init__(
            self,
            cpus: int | None = None,
            memory: int | None = None,
            kernel: str | Path | None = None,
            command_line_extra: Iterable[str] = (),
            boot_log: str | Path | None = None,
            boot_timeout_seconds: float = 60.0,
            network: Network | str = Network.NONE,
        ) -> None: ...

    def __post_init__(self) -> None:
        if self.memory is not None:
            force_setattr(self, "memory", Size(self.memory))
        for name in ("kernel", "boot_log"):
            path = getattr(self, name)
            if path is not None:
                force_setattr(self, name, Path(path))
        force_setattr(self, "command_line_extra", tuple(self.command_line_extra))
        force_setattr(self, "network", Network(self.network))
