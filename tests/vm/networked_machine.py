"""A program for a network namespace of its own: a computer with one address, and a pod in a machine on a network."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import firkin
from tests.images.busybox import busybox_layout
from tests.integration.pod.networked_machine import PROGRAM, serve
from tests.integration.pod.pods import shell

from .machines import BOOT_SECONDS, SMALL, machine_runtime


async def main(directory: Path) -> None:
    """Print what a container saw."""
    await serve()
    config = firkin.VmConfig(network="user", memory=SMALL, boot_timeout_seconds=BOOT_SECONDS)
    async with machine_runtime(directory) as runtime:
        bundle = await runtime.images.resolve(f"oci:{busybox_layout()}:latest")
        # Root of a container may not send raw packets past the guest's routes either.
        container = shell("a", bundle, f"{PROGRAM}; ip route del unreachable 10.0.2.2 && echo changed")
        async with runtime.spawn(firkin.PodBuilder("pod-1", config).container(container).build()) as pod:
            print((await pod.wait_container("a")).stdout.decode())


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
