"""A running virtual machine."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import msgspec

from firkin._fast import vsock as vsock_devices
from firkin.application.task_scope import TaskScope
from firkin.domain.boot_timing import BootTiming
from firkin.domain.mounts import Mount
from firkin.domain.reports import SandboxExit, SandboxState
from firkin.host_side.console import Console

from .acceleration import Acceleration
from .guest_line import GuestLine
from .monitor import Monitor
from .process import QemuProcess
from .vsock_choice import VsockChoice
from .vsock_link import VsockLink

AGENT_PORT = 1024
_QUIT_SECONDS = 2.0
# An answer that a busy host delays must not cost the guest its end in order.
_STATUS_SECONDS = 5.0
_STATE_SECONDS = 3.0
# When QEMU exits, its vsock device goes first.
_FOLLOWS_SECONDS = 0.3
# One that is about to exit is only late: on a busy host, taking a machine down takes seconds.
_ENDS_SECONDS = 3.0
_KILLED_SECONDS = 0.3


class MachineParts(msgspec.Struct, frozen=True):
    """What a machine consists of on the host; whoever made them closes them."""

    process: QemuProcess
    console: Console
    monitor: Monitor
    line: GuestLine
    link: VsockLink
    acceleration: Acceleration


class QemuSandbox:
    """Keeps the ports Sandbox, TakesFiles, TellsState and TimedBoot."""

    def __init__(self, socket_directory: Path, store_mount: Mount, parts: MachineParts, started: float) -> None:
        """`started` is when QEMU was, by `time.monotonic`."""
        self._socket_directory = socket_directory
        self._store_mount = store_mount
        self._parts = parts
        self._started = started
        self._phase = "boot"
        self._broken = ""
        self._is_doomed = asyncio.Event()
        self._exposed_ports: set[int] = set()
        self._exit: SandboxExit | None = None
        self._boot_timing: BootTiming | None = None
        parts.line.when_listening(self._agent_listens)

    @property
    def id(self) -> str:
        """Unique on this host while the sandbox lives."""
        return self._socket_directory.name

    @property
    def socket_directory(self) -> Path:
        """Private directory of unix sockets."""
        return self._socket_directory

    @property
    def store_mount(self) -> Mount:
        """The mount by which the agent gets the pod store."""
        return self._store_mount

    @property
    def boot_timing(self) -> BootTiming | None:
        """Where the time of the boot went; None until the agent listens."""
        return self._boot_timing

    @property
    def takes_files(self) -> bool:
        """Keeps TakesFiles: firkin's own device reads a file straight into the guest's memory."""
        return self._parts.link.device is not None

    @property
    def vsock(self) -> VsockChoice:
        """What carries the streams, and why not the host kernel's device."""
        return self._parts.link.choice

    @property
    def acceleration(self) -> Acceleration:
        """What runs the guest's instructions, and why not KVM."""
        return self._parts.acceleration

    @property
    def qemu_pid(self) -> int:
        """The process that holds the machine."""
        return self._parts.process.pid

    async def interrupt_processors(self) -> None:
        """Send a non-maskable interrupt, upon which a kernel that was told so (`unknown_nmi_panic`) shows its state."""
        await self._parts.monitor.interrupt()

    def _agent_listens(self) -> None:
        # Only now does the agent's socket appear: nobody dials a machine that is still booting.
        self._parts.link.listen(AGENT_PORT)
        self._phase = "running"
        marks, run_by = self._parts.line.phases or {}, self._parts.acceleration.told
        self._boot_timing = BootTiming.from_marks(self._started, time.monotonic(), marks, run_by)

    async def expose_guest_port(self, port: int) -> None:
        """Let the device have a socket for the port, until it ends."""
        if port not in self._exposed_ports:
            self._parts.link.listen(port)
            self._exposed_ports.add(port)

    async def watch_device(self, device: vsock_devices.VsockDevice) -> None:
        """End the machine when its vsock device ends first: nobody could speak with it any more."""
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        descriptor = device.fileno()
        loop.add_reader(descriptor, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(descriptor)
        end = device.end
        if end is None or await self._ends_by_itself():
            return
        self._broken = f"its vsock device ended ({end.kind}: {end.reason})"
        self._parts.process.kill()
        # What it left unsaid by then is not worth the wait.
        await self._parts.process.ends_within(_KILLED_SECONDS)
        self._is_doomed.set()

    async def _ends_by_itself(self) -> bool:
        """Whether QEMU ends of its own, and with a status of its own, soon after its device."""
        process = self._parts.process
        if await process.ends_within(_FOLLOWS_SECONDS):
            return True
        is_ending = process.is_exiting or self._parts.monitor.has_shut_down
        return is_ending and await process.ends_within(_ENDS_SECONDS)

    async def wait_ended(self) -> SandboxExit:
        """Wait until the machine has ended, or is certain to."""
        scope = TaskScope()
        try:
            ended = scope.start(self._parts.process.wait_ended(), "wait for QEMU's end")
            doomed = scope.start(self._is_doomed.wait(), "wait for the machine's end")
            await asyncio.wait({ended, doomed}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await scope.aclose()
        return self._recorded_exit()

    async def state(self) -> SandboxState:
        """How the machine is by what QEMU says, and by what its process is."""
        condition = f"{await self._condition()} in the phase {self._phase!r}"
        return SandboxState(condition, self.console_tail, self._phase)

    async def _condition(self) -> str:
        process = self._parts.process
        if process.exit_status is not None:
            return f"its QEMU {_ending(process.exit_status)}"
        if process.is_frozen:
            return "its QEMU was stopped, by SIGSTOP or a debugger,"
        try:
            async with asyncio.timeout(_STATE_SECONDS):
                status = await self._parts.monitor.status()
        except TimeoutError:
            status = ""
        return f"its machine is {status}" if status else "its QEMU answers nothing"

    async def stop(self, grace_seconds: float) -> SandboxExit:
        """Hang up: the guest unmounts and switches itself off. After the grace QEMU is told to quit, then killed."""
        if self._exit is None and self._parts.process.exit_status is None:
            self._phase = "stopping"
        listens = self._parts.line.is_connected and await self._runs()
        self._parts.line.close()
        if not (listens and await self._parts.process.ends_within(grace_seconds)):
            await self._quit()
        return self._recorded_exit()

    async def _runs(self) -> bool:
        """False for a machine that was frozen, from outside or by QEMU's monitor: it does not hear."""
        if self._parts.process.is_frozen:
            return False
        try:
            async with asyncio.timeout(_STATUS_SECONDS):
                return await self._parts.monitor.status() == "running"
        except TimeoutError:
            return False

    async def _quit(self) -> None:
        """Let QEMU flush its disks if it still listens; the guest gets no say."""
        if self._parts.process.is_frozen:
            await self._parts.process.close()
            return
        try:
            async with asyncio.timeout(_QUIT_SECONDS):
                await self._parts.monitor.quit()
                await self._parts.process.wait_ended()
        except TimeoutError:
            await self._parts.process.close()

    def _recorded_exit(self) -> SandboxExit:
        if self._exit is None:
            status = self._parts.process.exit_status
            cause = self._parts.monitor.shutdown_cause() or self._broken
            said = f"its QEMU {_ending(status)} in the phase {self._phase!r}"
            reason = f"{cause}; {said}" if cause else said
            self._exit = SandboxExit(reason, self.console_tail, self._phase, status)
        return self._exit

    @property
    def console_tail(self) -> str:
        """The last lines that QEMU and the guest wrote, at most 16 KiB."""
        return self._parts.console.tail.replace("\r", "")


def _ending(status: int | None) -> str:
    if status is None:
        return "has not ended yet"
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"exited with status {status}"
