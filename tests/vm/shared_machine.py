"""One machine for many tests: booted once, in a thread of its own, and lent to one pod at a time."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path

from msgspec.structs import replace

from firkin.adapters.vmm_qemu import QemuVmm
from firkin.domain.boot_timing import BootTiming
from firkin.domain.container_spec import ResourceLimits
from firkin.domain.mounts import Mount
from firkin.domain.reports import Capabilities, SandboxExit, SandboxState
from firkin.domain.size import Size
from firkin.domain.vm_config import VmConfig
from firkin.ports.sandbox import Sandbox, TakesFiles, TellsState, TimedBoot
from firkin.ports.vmm import SandboxRequest

from .machines import BOOT_SECONDS, empty_store, qemu_vmm, request_for

_STORE = Size.gib(4)
_MEMORY = Size.mib(640)
_SMALLER_STORE = Size.mib(256)
_LOOK_SECONDS = 0.02
_UNIX_SOCKETS = Path("/proc/net/unix")
_NUMBERS = itertools.count(1)


class SharedMachine:
    """Keeps the port Vmm with a machine that is there already, whose store is its own.

    Who asks for a second sandbox meanwhile, for limits, a small store or another kind of machine, gets one of his own.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._own: QemuVmm = qemu_vmm(directory)
        self._loop = asyncio.new_event_loop()
        self._sandbox: Sandbox | None = None
        self._ready = threading.Event()
        self._over = asyncio.Event()
        self._is_lent = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="shared machine")
        self.medium = empty_store(directory, _STORE)
        """The machine's own store."""

    def start(self) -> None:
        """Boot it, if it is not there yet."""
        if self._thread.is_alive():
            return
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure

    def renew_store(self) -> None:
        """Make the store an empty one again, while nobody has it mounted."""
        assert not self._is_lent
        os.truncate(self.medium.path, 0)
        empty_store(self._directory, _STORE)

    def close(self) -> None:
        """End it."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._live())
        except BaseException as failure:
            self._failure = failure
        finally:
            self._ready.set()

    async def _live(self) -> None:
        config = VmConfig(memory=_MEMORY, boot_timeout_seconds=BOOT_SECONDS)
        async with self._own.booted(request_for(self.medium, config)) as self._sandbox:
            await _listens(self._sandbox)
            self._ready.set()
            await self._over.wait()

    def capabilities(self) -> Capabilities:
        """Those of every machine."""
        return self._own.capabilities()

    @contextlib.asynccontextmanager
    async def booted(self, request: SandboxRequest) -> AsyncIterator[Sandbox]:
        """Lend the machine."""
        if self._is_lent or not _is_ordinary(request):
            async with self._own.booted(_patient(request)) as sandbox:
                yield sandbox
            return
        self.start()
        self._is_lent = True
        try:
            assert self._sandbox is not None
            lease = Lease(self._sandbox, self._loop)
            yield lease
            await lease.stop(0)
            await self._forgotten()
        finally:
            self._is_lent = False

    async def _forgotten(self) -> None:
        """Wait until its connections are gone: a machine's end ends them at once, gRPC closes them in its own time."""
        assert self._sandbox is not None
        agents = f"{self._sandbox.socket_directory}/guest-"
        for attempt in range(int(BOOT_SECONDS / 0.01)):
            # A call that failed in the middle of a stream is a cycle with its iterator, until it is collected.
            if attempt % 100 == 50:
                gc.collect()
            if not any(agents in line and _is_connected(line) for line in _unix_sockets()):
                return
            await asyncio.sleep(0.01)
        raise TimeoutError(f"there are still connections with {agents}")


async def _listens(machine: Sandbox) -> None:
    """Wait until its agent listens: only then has it all the sockets that it keeps, which nobody's pod leaves."""
    assert isinstance(machine, TimedBoot)
    ended = asyncio.ensure_future(machine.wait_ended())
    try:
        for _ in range(int(BOOT_SECONDS / _LOOK_SECONDS)):
            if machine.boot_timing is not None:
                return
            assert not ended.done(), ended.result()
            await asyncio.sleep(_LOOK_SECONDS)
    finally:
        ended.cancel()
    raise TimeoutError(f"no agent listens after {BOOT_SECONDS:g} s")


def _is_ordinary(request: SandboxRequest) -> bool:
    is_usual = _patient(request).config == VmConfig(boot_timeout_seconds=BOOT_SECONDS)
    is_plain = is_usual and request.limits == ResourceLimits() and not request.host_paths
    return is_plain and request.store.path.stat().st_size >= _SMALLER_STORE


def _patient(request: SandboxRequest) -> SandboxRequest:
    """The request, of a machine that may take as long to boot as all those of the tests."""
    return replace(request, config=replace(request.config, boot_timeout_seconds=BOOT_SECONDS))


def _unix_sockets() -> list[str]:
    return _UNIX_SOCKETS.read_text().splitlines()


def _is_connected(line: str) -> bool:
    """By the column St of the kernel's table: 03 is a connected socket (net.h, SS_CONNECTED)."""
    return line.split()[5] == "03"


class Lease:
    """Keeps the port Sandbox for as long as the machine is lent."""

    def __init__(self, machine: Sandbox, loop: asyncio.AbstractEventLoop) -> None:
        self._machine = machine
        self._loop = loop
        self._id = f"{machine.id}-{next(_NUMBERS)}"
        self._ended: asyncio.Future[SandboxExit] = asyncio.get_running_loop().create_future()

    @property
    def id(self) -> str:
        return self._id

    @property
    def socket_directory(self) -> Path:
        return self._machine.socket_directory

    @property
    def store_mount(self) -> Mount:
        return self._machine.store_mount

    @property
    def takes_files(self) -> bool:
        return isinstance(self._machine, TakesFiles) and self._machine.takes_files

    @property
    def boot_timing(self) -> BootTiming | None:
        return self._machine.boot_timing if isinstance(self._machine, TimedBoot) else None

    async def expose_guest_port(self, port: int) -> None:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._machine.expose_guest_port(port), self._loop))

    async def state(self) -> SandboxState:
        assert isinstance(self._machine, TellsState)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._machine.state(), self._loop))

    async def wait_ended(self) -> SandboxExit:
        return await asyncio.shield(self._ended)

    async def stop(self, grace_seconds: float) -> SandboxExit:
        if not self._ended.done():
            self._ended.set_result(SandboxExit("the machine was given back"))
        return self._ended.result()
