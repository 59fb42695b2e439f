"""The peer: the same kernel and QEMU, busybox alone, and a kernel's command line as anybody writes it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from firkin.adapters.guest_image_host.cpio import cpio_archive
from firkin.adapters.guest_image_host.tree import GuestFile, GuestTree
from firkin.adapters.vmm_qemu.machine import Machine
from firkin.domain.size import Size
from firkin.ports.guest_image import GuestImage

from .cpu_time import cpu_seconds

_SAID = b"busybox runs"
_COMMAND_LINE = "console=ttyS0 quiet panic=-1"
_INIT = f"#!/bin/busybox sh\necho {_SAID.decode()}\nexec busybox sleep 1000\n"


def bare_image(directory: Path, image: GuestImage) -> GuestImage:
    """What boots the image's kernel into busybox."""
    busybox = shutil.which("busybox")
    assert busybox is not None, "install busybox-static"
    tree = GuestTree()
    tree.add("dev", GuestFile())
    tree.add("bin/busybox", GuestFile(source=Path(busybox), is_executable=True))
    tree.add("init", GuestFile(content=_INIT.encode(), is_executable=True))
    initramfs = directory / "bare-initramfs"
    initramfs.write_bytes(cpio_archive(tree))
    return GuestImage("bare", image.kernel, image.kernel_version, initramfs, image.root)


def bare_boot(directory: Path, image: GuestImage, memory: Size) -> tuple[float, float]:
    """Boot once; the seconds until busybox has spoken, and those of CPU time that QEMU took for them."""
    machine = Machine(
        name="bare",
        image=image,
        accelerator="tcg",
        cpus=1,
        memory=memory,
        disks=(),
        vsock_arguments=(),
        monitor_socket=directory / "bare-monitor.sock",
        host_name="bare",
    )
    arguments = machine.arguments()
    # Nobody listens for its monitor.
    del arguments[arguments.index("-mon") - 2 : arguments.index("-mon") + 2]
    arguments[arguments.index("-append") + 1] = _COMMAND_LINE
    begun = time.perf_counter()
    with subprocess.Popen(
        ["qemu-system-x86_64", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        said = b""
        while _SAID not in said:
            piece = os.read(process.stdout.fileno(), 4096)
            assert piece, said.decode(errors="replace")
            said += piece
        seconds = time.perf_counter() - begun
        taken = cpu_seconds(process.pid)
        process.kill()
    return seconds, taken
