"""A QEMU that takes its time to exit: its vsock device has gone by then, and its exit status is not known yet."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from firkin._fast.vsock import VsockDevice
from firkin.adapters.vmm_qemu import sandbox as sandbox_module
from firkin.adapters.vmm_qemu.acceleration import TCG, Acceleration
from firkin.adapters.vmm_qemu.guest_line import GuestLine
from firkin.adapters.vmm_qemu.monitor import Monitor
from firkin.adapters.vmm_qemu.process import QemuProcess
from firkin.adapters.vmm_qemu.sandbox import MachineParts, QemuSandbox
from firkin.adapters.vmm_qemu.vmm import DEFAULT_SEARCH_PATH
from firkin.adapters.vmm_qemu.vsock_choice import VHOST_USER, VsockChoice
from firkin.adapters.vmm_qemu.vsock_link import GUEST_CID, VsockLink
from firkin.application.task_scope import TaskScope
from firkin.domain.guest_path import GuestPath
from firkin.domain.mounts import Mount
from firkin.host_side.console import Console

pytestmark = pytest.mark.real_time

_ENDS_SECONDS = 60.0
# Its first thread ends, which begins the end of the whole; then its connection; then, by and by, its last thread.
_SLOW_QEMU = """
import ctypes, os, socket, sys, threading, time
device = socket.socket(socket.AF_UNIX)
device.connect(sys.argv[1])

def state():
    with open("/proc/self/stat") as file:
        return file.read().rpartition(")")[2].split()[0]

def linger():
    while state() != "Z":
        time.sleep(0.001)
    device.close()
    time.sleep(1)
    os._exit(7)

threading.Thread(target=linger).start()
ctypes.CDLL(None).syscall(60, 0)  # exit(2), of this thread alone
"""


@contextlib.asynccontextmanager
async def _machine(directory: Path) -> AsyncIterator[QemuSandbox]:
    async with contextlib.AsyncExitStack() as stack:
        device = stack.enter_context(VsockDevice(directory / "vsock.sock", GUEST_CID, directory))
        monitor = await stack.enter_async_context(Monitor("slow", directory / "monitor.sock"))
        line = GuestLine(directory, {})
        stack.callback(line.close)
        console = Console(None)
        stack.callback(console.close)
        command = [sys.executable, "-c", _SLOW_QEMU, str(directory / "vsock.sock")]
        process = QemuProcess(command, console, DEFAULT_SEARCH_PATH, "setpriv")
        stack.push_async_callback(process.close)
        link = VsockLink(VsockChoice(VHOST_USER), (), (), (), device.listen, device)
        parts = MachineParts(process, console, monitor, line, link, Acceleration(TCG))
        machine = QemuSandbox(directory, Mount(GuestPath("/store"), "ext4", "store", ()), parts, 0.0)
        watching = TaskScope()
        stack.push_async_callback(watching.aclose)
        watching.start(machine.watch_device(device), "watch the device")
        yield machine


async def test_a_qemu_that_has_begun_to_exit_is_waited_for_and_its_own_status_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox_module, "_ENDS_SECONDS", _ENDS_SECONDS)
    async with _machine(tmp_path) as machine, asyncio.timeout(_ENDS_SECONDS):
        end = await machine.wait_ended()
    assert end.exit_status == 7, end
    assert end.reason == "its QEMU exited with status 7 in the phase 'boot'"
