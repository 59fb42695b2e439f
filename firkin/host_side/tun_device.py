"""The device that the user network of a namespace sandbox is made with (kernel documentation, tuntap.rst)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

TUN_DEVICE = Path("/dev/net/tun")


class TunObstacle(NamedTuple):
    """Why the device cannot be used, as a sentence's second half, and the command that mends it."""

    detail: str
    remedy: str


def tun_obstacle(device: Path = TUN_DEVICE) -> TunObstacle | None:
    """What keeps this user from opening the device; None when nothing does. Distributions open it to everybody."""
    if not device.exists():
        return TunObstacle(f"there is no {device}", "sudo modprobe tun")
    if not os.access(device, os.R_OK | os.W_OK):
        return TunObstacle(f"{device} may not be opened", f"sudo chmod 666 {device}")
    return None
