"""Makes a booted kernel into a sandbox: what vminitd does first as the init of a virtual machine.

The initramfs has mounted the read-only root, and /proc, /sys and /dev in it. A failing step raises OSError whose
message names it; vminitd then ends, and with it the machine.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

from firkin.domain.errors import AgentError
from firkin.domain.network import USER_NETWORK_ADDRESS, USER_NETWORK_GATEWAY

from .control_groups import CGROUP_ROOT
from .kernel_parameters import HOST_NAME, USER_NETWORK, kernel_parameter
from .sandbox_init import (
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    SECURE,
    bring_up,
    delegate_controllers,
    mount,
    step,
)

PROGRAM_DIRECTORY = "/usr/bin"
_DISKS = "/dev/disk/by-id"
_CONTAINERS = "container"
_CARD = "eth0"


def set_up_machine() -> None:
    """Mount what every sandbox has, and give disks, loopback interface and the machine itself their names.

    Raises:
        OSError: a step was refused; its message says which.
    """
    os.environ["PATH"] = PROGRAM_DIRECTORY
    mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    for directory, kind, options in (("pts", "devpts", "gid=5,mode=620,ptmxmode=666"), ("shm", "tmpfs", "mode=1777")):
        os.makedirs(f"/dev/{directory}", mode=0o755, exist_ok=True)
        mount(kind, f"/dev/{directory}", kind, MS_NOSUID | (MS_NOEXEC if kind == "devpts" else MS_NODEV), options)
    mount("cgroup2", CGROUP_ROOT, "cgroup2", SECURE)
    delegate_controllers()
    with step("name the disks"):
        _name_disks()
    with step("set the host name"):
        socket.sethostname(kernel_parameter(HOST_NAME, "firkin"))
    with step("bring the loopback interface up"):
        bring_up("lo")
    if kernel_parameter(USER_NETWORK, ""):
        _join_user_network()


def limit_containers(limits: Mapping[str, str]) -> None:
    """Hold all containers together to limits, by the control group that all of theirs are in.

    Raises:
        OSError: the kernel refuses one.
    """
    if not limits:
        return
    group = f"{CGROUP_ROOT}/{_CONTAINERS}"
    os.makedirs(group, exist_ok=True)
    for name, value in limits.items():
        with step(f"set {name} of the containers to {value!r}"), open(f"{group}/{os.path.basename(name)}", "w") as file:
            file.write(value)


def _join_user_network() -> None:
    """Give the network card the address that QEMU expects, and keep the host's loopback out of reach.

    Raises:
        OSError: there is no card, or the kernel refused.
    """
    # Loaded by who has a network: most machines have only their loopback interface.
    from .network import add_addresses, add_default_routes, refuse_destination, set_link

    try:
        set_link(_CARD, up=True, mtu=None)
        add_addresses(_CARD, USER_NETWORK_ADDRESS, "")
        add_default_routes(_CARD, USER_NETWORK_GATEWAY, "")
        refuse_destination(USER_NETWORK_GATEWAY)
    except AgentError as error:
        raise OSError(error.errno, f"join the user network: {error}") from error


def _name_disks() -> None:
    """Make /dev/disk/by-id/virtio-SERIAL for every virtio disk with a serial, as udev would."""
    os.makedirs(_DISKS, mode=0o755)
    for name in os.listdir("/sys/block"):
        serial = _serial(name)
        if serial:
            os.symlink(f"/dev/{name}", f"{_DISKS}/virtio-{serial}")


def _serial(block: str) -> str:
    if not block.startswith("vd"):
        return ""
    with open(f"/sys/block/{block}/serial") as file:
        return file.read().strip().replace("/", "_")
