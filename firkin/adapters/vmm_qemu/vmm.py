"""Boots virtual machines."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path

import msgspec
from qemu.qmp import QMPError

from firkin.application.task_scope import TaskScope, finished
from firkin.domain.container_spec import ResourceLimits
from firkin.domain.errors import BootFailed, MissingTool, UnsupportedFeature
from firkin.domain.layout import POD_STORE_MOUNT
from firkin.domain.mounts import Mount
from firkin.domain.network import Network
from firkin.domain.reports import Capabilities
from firkin.domain.size import Size
from firkin.host_side.console import Console
from firkin.host_side.socket_directory import abandoned, socket_directory
from firkin.ports.guest_image import BuildProgress, GuestImage, GuestImages
from firkin.ports.sandbox import Sandbox
from firkin.ports.vmm import SandboxRequest

from .acceleration import KVM, Acceleration, best_acceleration
from .guest_line import GuestLine
from .image_hold import held_image
from .machine import ROOT_SERIAL, STORE_SERIAL, Disk, Machine
from .monitor import Monitor
from .process import QemuProcess
from .promises import capabilities
from .quotas import without_project_quotas
from .sandbox import MachineParts, QemuSandbox
from .vsock_choice import AUTO, chosen_vsock
from .vsock_link import OpenVsock, opened_vsock

DEFAULT_SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEFAULT_MEMORY = Size.gib(1)
PROGRAM = "qemu-system-x86_64"
_STOP_SECONDS = 5.0
_EXIT_SECONDS = 5.0
_CPUS_WITH_KVM = 2
_PERIOD_MICROSECONDS = 100_000
_QUOTA_MINIMUM_MICROSECONDS = 1_000


class QemuSettings(msgspec.Struct, frozen=True):
    """What machines are like unless a pod's own config says otherwise.

    Attributes:
        acceleration: `kvm`, `tcg`, or `auto`: KVM once it has been seen to run a machine here, else TCG.
        cpus: processors; None: two with KVM, one without, where each costs time at boot.
        memory: bytes; None is 1 GiB. The host gives it as the guest uses it.
        kernel: kernel file; None is Debian's for cloud machines.
        vsock: `vhost` (the host kernel's device), `vhost_user` (firkin's own), or `auto`: the kernel's where it opens.
    """

    acceleration: str = AUTO
    cpus: int | None = None
    memory: Size | None = None
    kernel: Path | None = None
    vsock: str = AUTO


class QemuVmm:
    """Keeps the port Vmm with QEMU; needs neither root nor KVM."""

    def __init__(
        self,
        runtime_dir: Path,
        images: GuestImages,
        search_path: str = DEFAULT_SEARCH_PATH,
        settings: QemuSettings | None = None,
        progress: BuildProgress | None = None,
        open_vsock: OpenVsock = opened_vsock,
    ) -> None:
        """Touch nothing yet.

        Args:
            runtime_dir: holds one short-lived directory of sockets per machine; at most about 75 bytes long.
            images: what machines boot from.
            search_path: PATH on which QEMU is looked up.
            settings: what a pod's own config leaves open.
            progress: told what building a guest image does, when one has to be built.
            open_vsock: makes the host's side of a machine's vsock device.
        """
        self._open_vsock = open_vsock
        self._runtime_dir = runtime_dir.absolute()
        self._images = images
        self._search_path = search_path
        self._settings = settings or QemuSettings()
        self._progress = progress

    def capabilities(self) -> Capabilities:
        """What a virtual machine enforces."""
        return capabilities()

    @asynccontextmanager
    async def booted(self, request: SandboxRequest) -> AsyncIterator[Sandbox]:
        """Start a machine; its agent needs a few seconds more to answer.

        Raises:
            BootFailed: QEMU did not start, or the image is removed as often as it is made.
            GuestImageFailed: there is nothing to boot from.
            UnsupportedFeature: the store is a directory of the host, which a machine cannot see.
            MissingTool: QEMU is not installed.
        """
        if request.store.is_directory:
            reason = "a virtual machine cannot see a directory of the host; choose an ext4 store"
            raise UnsupportedFeature("a directory store", reason)
        if request.host_paths:
            raise UnsupportedFeature("hostPath", "a virtual machine sees no files of its host")
        qemu = self._tool(PROGRAM, "running virtual machines", "qemu-system-x86")
        setpriv = self._tool("setpriv", "running virtual machines", "util-linux")
        own_kernel = request.config.kernel or self._settings.kernel
        async with _undone_whole() as stack:
            # Held first and let go last, when QEMU has ended: nobody gives its space back in between.
            image = await held_image(self._images, own_kernel, self._progress, stack.enter_context(ExitStack()))
            if own_kernel is not None and request.store.has_project_quotas:
                request = await without_project_quotas(request, self._search_path)
            acceleration = await self._acceleration(qemu, image)
            choice = await chosen_vsock(self._settings.vsock, qemu)
            self._tidy_up()
            directory = stack.enter_context(socket_directory(self._runtime_dir, request.pod_id))
            link = await stack.enter_async_context(self._open_vsock(choice, directory))
            monitor = await stack.enter_async_context(Monitor(directory.name, directory / "monitor.sock"))
            line = GuestLine(directory, _group_files(request.limits))
            stack.callback(line.close)
            console = Console(request.config.boot_log)
            stack.callback(console.close)
            console.log(f"firkin: QEMU runs this machine by {acceleration.told}")
            machine = Machine(
                name=directory.name,
                image=image,
                accelerator=acceleration.name,
                cpus=request.config.cpus or self._settings.cpus or _default_cpus(acceleration),
                memory=request.config.memory or self._settings.memory or DEFAULT_MEMORY,
                disks=(Disk(image.root, ROOT_SERIAL, True), Disk(request.store.path, STORE_SERIAL)),
                vsock_arguments=link.arguments,
                vsock_parameters=link.parameters,
                monitor_socket=directory / "monitor.sock",
                host_name=request.host_name,
                has_user_network=request.config.network is Network.USER,
                keeps_quotas=request.store.has_project_quotas,
                command_line_extra=request.config.command_line_extra,
            )
            started = time.monotonic()
            command = [qemu, *machine.arguments()]
            process = QemuProcess(command, console, self._search_path, setpriv, link.inherited)
            stack.push_async_callback(process.close)
            await _came_up(process, monitor, console, request.config.boot_timeout_seconds)
            parts = MachineParts(process, console, monitor, line, link, acceleration)
            sandbox = QemuSandbox(directory, _store_mount(request), parts, started)
            watching = TaskScope()
            stack.push_async_callback(watching.aclose)
            if link.device is not None:
                watching.start(sandbox.watch_device(link.device), f"watch the vsock device of {sandbox.id}")
            stack.push_async_callback(sandbox.stop, _STOP_SECONDS)
            yield sandbox

    async def _acceleration(self, qemu: str, image: GuestImage) -> Acceleration:
        wanted = self._settings.acceleration
        if wanted == AUTO:
            return await best_acceleration(qemu, image)
        return Acceleration(wanted)

    def _tool(self, name: str, purpose: str, package: str) -> str:
        found = shutil.which(name, path=self._search_path)
        if found is None:
            raise MissingTool(name, purpose, package)
        return found

    def _tidy_up(self) -> None:
        """Remove what machines of crashed hosts left: their QEMUs died with them."""
        with abandoned(self._runtime_dir) as directories:
            for directory in directories:
                shutil.rmtree(directory, ignore_errors=True)


def _group_files(limits: ResourceLimits) -> dict[str, str]:
    """Limits as the files of a control group hold them (kernel documentation, cgroup-v2.rst)."""
    files: dict[str, str] = {}
    if limits.memory_bytes is not None:
        files |= {"memory.max": str(int(limits.memory_bytes)), "memory.swap.max": "0"}
    if limits.cpus is not None:
        quota = max(round(limits.cpus * _PERIOD_MICROSECONDS), _QUOTA_MINIMUM_MICROSECONDS)
        files["cpu.max"] = f"{quota} {_PERIOD_MICROSECONDS}"
    if limits.pids is not None:
        files["pids.max"] = str(limits.pids)
    return files


def _default_cpus(acceleration: Acceleration) -> int:
    return min(_CPUS_WITH_KVM, os.cpu_count() or 1) if acceleration.name == KVM else 1


@asynccontextmanager
async def _undone_whole() -> AsyncIterator[AsyncExitStack]:
    """A stack whose unwinding no cancellation tears in half."""
    stack = AsyncExitStack()
    try:
        yield stack
    finally:
        await finished(TaskScope().start(stack.aclose(), "end the sandbox"))


def _store_mount(request: SandboxRequest) -> Mount:
    # noinit_itable: a sparse image reads as zeros already. discard would trim at every removal; the pod trims at once.
    options = ("rw", "noatime", "noinit_itable", *(("prjquota",) if request.store.has_project_quotas else ()))
    return Mount(POD_STORE_MOUNT, request.store.filesystem, f"/dev/disk/by-id/virtio-{STORE_SERIAL}", options)


async def _came_up(process: QemuProcess, monitor: Monitor, console: Console, timeout_seconds: float) -> None:
    """Wait until QEMU has made the machine.

    Raises:
        BootFailed: it exited first, or took too long.
    """
    scope = TaskScope()
    try:
        connected = scope.start(monitor.connected(), "wait for QEMU's monitor")
        ended = scope.start(process.wait_ended(), "wait for QEMU's end")
        done, _ = await asyncio.wait({connected, ended}, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            raise BootFailed("start QEMU", f"it made no machine within {timeout_seconds:g} s", console.tail)
        if connected not in done:
            raise _exited(process, console)
        try:
            await connected
        except (QMPError, OSError, EOFError) as error:
            # A QEMU that refuses its machine may have connected before it exits.
            if await process.ends_within(_EXIT_SECONDS):
                raise _exited(process, console) from error
            raise BootFailed("start QEMU", f"its monitor does not answer: {error}", console.tail) from error
    finally:
        await scope.aclose()


def _exited(process: QemuProcess, console: Console) -> BootFailed:
    status = process.exit_status
    return BootFailed("start QEMU", f"it exited with status {status}", console.tail, exit_status=status)
