"""What the host says on the kernel's command line."""

from __future__ import annotations

HOST_NAME = "firkin.host_name"
HOST_PORT = "firkin.host_port"
USER_NETWORK = "firkin.network"

_COMMAND_LINE = "/proc/cmdline"


def kernel_parameter(name: str, default: str = "") -> str:
    """The value of `name=value`, of the last one when it is said more than once."""
    with open(_COMMAND_LINE, encoding="utf-8", errors="replace") as file:
        words = file.read().split()
    named = [word.partition("=")[2] for word in words if word.startswith(f"{name}=")]
    return named[-1] if named else default
