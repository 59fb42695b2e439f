"""`--vmm` and the options of virtual machines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from .kernel_type import KernelType
from .pod_end import tell
from .size_type import SizeType

if TYPE_CHECKING:
    from firkin.domain.vm_config import VmConfig

VMM_KINDS = ("namespace", "qemu")
ACCELERATIONS = ("auto", "kvm", "tcg")
VSOCK_DEVICES = ("auto", "vhost", "vhost_user")
_META = "firkin.machine"

F = TypeVar("F", bound=Callable[..., object])


class MachineOptions(NamedTuple):
    """What the sandbox is to be; None is what is configured."""

    vmm: str | None = None
    acceleration: str | None = None
    cpus: int | None = None
    memory: int | None = None
    kernel: Path | None = None
    vsock: str | None = None

    def vm_config(self) -> VmConfig:
        """The part of it that a pod's spec holds."""
        from firkin.domain.vm_config import VmConfig

        return VmConfig(cpus=self.cpus, memory=self.memory, kernel=self.kernel)


AS_CONFIGURED = MachineOptions()


def _collected(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    chosen = ctx.meta.setdefault(_META, {})
    chosen[parameter.name] = value


_OPTIONS = (
    click.Option(
        ["--vmm"],
        type=click.Choice(VMM_KINDS),
        help="Kind of sandbox: namespace shares the host's kernel, qemu is a virtual machine.",
    ),
    click.Option(["--cpus"], type=click.IntRange(min=1), metavar="N", help="Processors of the sandbox."),
    click.Option(["--memory"], type=SizeType(), metavar="SIZE", help="Memory of the sandbox, for example 512MiB."),
    click.Option(
        ["--kernel"],
        type=KernelType(),
        metavar="FILE",
        help="Kernel of the virtual machine instead of firkin's own.",
    ),
    click.Option(
        ["--accel", "acceleration"],
        type=click.Choice(ACCELERATIONS),
        help="Acceleration of the virtual machine; auto takes KVM where it works.",
    ),
    click.Option(
        ["--vsock"],
        type=click.Choice(VSOCK_DEVICES),
        help="What carries a virtual machine's streams; auto takes the kernel's device, vhost, where it opens.",
    ),
)


def machine_options(command: click.Command) -> click.Command:
    """Give a command the options; `chosen_machine` tells what was chosen."""
    for option in _OPTIONS:
        option.expose_value = False
        option.callback = _collected
        command.params.append(option)
    return command


def tell_build(step: str) -> None:
    """Tell a step of building a guest image, on standard error; from any thread."""
    tell(f"guest image: {step}")


def chosen_machine() -> MachineOptions:
    """What the options of the command that runs now say."""
    return MachineOptions(**click.get_current_context().meta.get(_META, {}))
