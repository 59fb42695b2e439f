"""A machine that boots a kernel and one program, with a vsock device and QEMU's user network."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Self

from firkin.adapters.guest_image_host.cpio import cpio_archive
from firkin.adapters.guest_image_host.kernel import Kernel, debian_kernel
from firkin.adapters.guest_image_host.kernel_modules import KernelModules, module_bytes
from firkin.adapters.guest_image_host.tree import GuestFile, GuestTree
from tests.images.cache import cache_directory

ECHO, COUNT, SEND = 1024, 1025, 1026
_DRIVERS = ("virtio_pci", "virtio_net", "vmw_vsock_virtio_transport")
_INIT = """#!/bin/busybox sh
while read module; do busybox insmod "/modules/$module"; done </modules/order
busybox ifconfig eth0 10.0.2.15 up
exec /guest {scheduling}
"""
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def kernel() -> Kernel:
    """The kernel that firkin's own guests have."""
    return debian_kernel(cache_directory().parent / "guest/kernels", os.environ["PATH"], lambda _: None)


def initramfs(directory: Path, of: Kernel, *, batch: bool) -> Path:
    """Compile the guest's program, and pack it with busybox and the drivers."""
    program = directory / "guest"
    source = Path(__file__).with_name("guest.c")
    subprocess.run(
        ["gcc", "-O2", "-Wall", "-Wextra", "-D_GNU_SOURCE", "-static", "-pthread", "-o", program, source], check=True
    )
    tree = GuestTree()
    for name in ("dev", "proc"):
        tree.add(name, GuestFile())
    busybox = shutil.which("busybox")
    assert busybox is not None, "install busybox-static"
    tree.add("bin/busybox", GuestFile(source=Path(busybox), is_executable=True))
    tree.add("guest", GuestFile(source=program, is_executable=True))
    modules = KernelModules(of.modules).in_load_order(_DRIVERS)
    for name, path in modules.items():
        tree.add(f"modules/{name}", GuestFile(content=module_bytes(path)))
    tree.add("modules/order", GuestFile(content="".join(f"{name}\n" for name in modules).encode()))
    script = _INIT.format(scheduling="batch" if batch else "")
    tree.add("init", GuestFile(content=script.encode(), is_executable=True))
    image = directory / "initramfs"
    image.write_bytes(cpio_archive(tree))
    return image


class Machine:
    """A QEMU without hardware acceleration, whose vsock device listens at `vsock_socket`."""

    def __init__(self, of: Kernel, image: Path, vsock_socket: Path) -> None:
        self.tcp_ports = {port: _free_port() for port in (ECHO, COUNT, SEND)}
        forwards = "".join(f",hostfwd=tcp:127.0.0.1:{host}-:{guest}" for guest, host in self.tcp_ports.items())
        self._process = subprocess.Popen(
            [
                *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
                *("-machine", "q35,accel=tcg,memory-backend=memory", "-m", "256"),
                *("-object", "memory-backend-memfd,id=memory,size=256M,share=on"),
                *("-chardev", f"socket,id=vsock,path={vsock_socket}", "-device", "vhost-user-vsock-pci,chardev=vsock"),
                *("-netdev", f"user,id=net{forwards}", "-device", "virtio-net-pci,netdev=net,romfile="),
                *("-kernel", str(of.path), "-initrd", str(image), "-append", "console=ttyS0 quiet panic=-1"),
                *("-serial", "stdio"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )

    def __enter__(self) -> Self:
        assert self._process.stdout is not None
        said = b""
        while b"serving" not in said:
            piece = os.read(self._process.stdout.fileno(), 4096)
            if not piece:
                raise RuntimeError(f"the machine did not boot: {said.decode(errors='replace')}")
            said += piece
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def cpu_seconds(self) -> float:
        """What the machine's process has taken of all CPUs."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS

    def tcp(self, port: int) -> socket.socket:
        """A connection to the guest's port through QEMU's user network."""
        connection = socket.create_connection(("127.0.0.1", self.tcp_ports[port]))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection


def thread_cpu_seconds(thread_id: int) -> float:
    """What a thread of this process has taken."""
    fields = Path(f"/proc/self/task/{thread_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        assert isinstance(port, int)
        return port
