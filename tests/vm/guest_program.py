"""Running a Python program of the tests as root of a booted kernel, with drivers that ordinary machines do not load."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from firkin.adapters.guest_image_host.cpio import cpio_archive
from firkin.adapters.guest_image_host.initramfs import initramfs
from firkin.adapters.guest_image_host.interpreter import INTERPRETER, LIBRARY
from firkin.adapters.guest_image_host.kernel import debian_kernel
from firkin.adapters.guest_image_host.kernel_modules import KernelModules, module_bytes
from firkin.adapters.guest_image_host.tree import GuestFile, GuestTree
from firkin.adapters.vmm_qemu.machine import ROOT_SERIAL, Disk, Machine
from firkin.ports.guest_image import GuestImage
from tests.images.cache import cache_directory

from .machines import BOOT_SECONDS, SEARCH_PATH, SMALL, guest_images

_SOURCES = Path(__file__).parents[2]
# Up to where the agent would be started; then the program is.
_AGENT_FOLLOWS = "read mounted rest"
_OF_THE_AGENT = ("domain", "_fast", "errors.pyc", "__init__.pyc")
_PROGRAM = "program.py"


async def said_in_guest(directory: Path, program: Path, packages: Sequence[str], drivers: Sequence[str]) -> str:
    """What a program writes inside a machine, which ends with it.

    Args:
        directory: for files that are needed meanwhile.
        program: a file of Python.
        packages: files of firkin that it imports beside what the agent has, by their paths.
        drivers: kernel modules that it needs.
    """
    image = await guest_images().image()
    kernel = debian_kernel(cache_directory().parent / "guest/kernels", SEARCH_PATH, lambda _: None)
    tree = initramfs(KernelModules(kernel.modules), SEARCH_PATH)
    _add_drivers(tree, KernelModules(kernel.modules), drivers)
    for name in packages:
        tree.add(f"sources/{name}", GuestFile(source=_SOURCES / name))
        for parent in Path(name).parents[:-2]:
            tree.add(f"sources/{parent}/__init__.py", GuestFile(content=b""))
    tree.add(f"sources/{_PROGRAM}", GuestFile(source=program))
    tree.add("init", GuestFile(content=_init(tree).encode(), is_executable=True))
    archive = directory / "initramfs"
    archive.write_bytes(cpio_archive(tree))
    machine = Machine(
        name="program",
        image=GuestImage("program", image.kernel, "", archive, image.root),
        accelerator="tcg",
        cpus=1,
        memory=SMALL,
        disks=(Disk(image.root, ROOT_SERIAL, True),),
        vsock_arguments=(),
        monitor_socket=directory / "monitor.sock",
        host_name="program",
    )
    return await _console_of(machine)


def _add_drivers(tree: GuestTree, modules: KernelModules, drivers: Sequence[str]) -> None:
    order = [name for name in modules.in_load_order(drivers) if f"modules/{name}" not in tree]
    for name in order:
        tree.add(f"modules/{name}", GuestFile(content=module_bytes(modules.in_load_order(drivers)[name])))
    tree.add("modules/more", GuestFile(content="".join(f"{name}\n" for name in order).encode()))


def _init(tree: GuestTree) -> str:
    ordinary = dict(tree)["init"].content
    assert ordinary is not None
    firkin = f"/newroot/{LIBRARY}/firkin"
    return f"""{ordinary.decode().partition(_AGENT_FOLLOWS)[0]}
while read module; do busybox insmod "/modules/$module" || fail "$module"; done </modules/more
busybox mount -o move /proc /newroot/proc
busybox mount -t tmpfs sources /newroot/tmp
busybox cp -r /sources/* /newroot/tmp/
for name in {" ".join(_OF_THE_AGENT)}; do busybox cp -r {firkin}/$name /newroot/tmp/firkin/; done
busybox rm -f /newroot/tmp/firkin/__init__.py
busybox chroot /newroot /{INTERPRETER} -I -S -X utf8 /tmp/{_PROGRAM} 2>&1
/bin/busybox poweroff -f
"""


async def _console_of(machine: Machine) -> str:
    arguments = machine.arguments()
    # Nobody listens for its monitor.
    del arguments[arguments.index("-mon") - 2 : arguments.index("-mon") + 2]
    process = await asyncio.create_subprocess_exec(
        *("qemu-system-x86_64", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PATH": SEARCH_PATH},
    )
    try:
        async with asyncio.timeout(BOOT_SECONDS):
            console, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return console.decode(errors="replace").replace("\r", "")
