"""Machines that die, hang or lose their vsock device: the right error in time, and nothing is left."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import firkin
from firkin.adapters.agent_grpc import GrpcAgentConnector
from firkin.adapters.guest_image_host import HostGuestImages
from firkin.adapters.vmm_qemu.sandbox import QemuSandbox
from firkin.domain.errors import AgentUnreachable, BootFailed, DeadlineExceeded, SandboxDied
from firkin.domain.store_spec import PodStoreSpec
from firkin.domain.vm_config import VmConfig
from firkin.ports.agent_templates import TemplateProgress
from tests.integration.pod.pods import shell
from tests.machine_state import MachineState, settled_state

from .machines import BOOT_SECONDS, SEARCH_PATH, SMALL, machine_runtime, qemu_vmm, small_machine

pytestmark = pytest.mark.real_time

_PIDFD_GETFD = 438
_LOOK_SECONDS = 0.02

SOON = 60.0
"""Seconds in which a death is told, which takes none of them on a quiet machine: half of what a layer may stall."""
FEW_SECONDS = 15.0
"""In which a machine that does not answer is tidied up: half of them on a quiet machine."""


@contextlib.asynccontextmanager
async def _nothing_left(directory: Path) -> AsyncIterator[None]:
    before = await settled_state()
    yield
    assert MachineState.now().beyond(before) == {}
    assert not list((directory / "run").iterdir())
    assert not list((directory / "state").glob("pod-stores/*"))


async def _serves_again(runtime: firkin.Runtime, store: PodStoreSpec, bundle: firkin.ImageBundle) -> None:
    """The store, which nobody unmounted, has a place for the next pod."""
    again = firkin.PodBuilder("pod-2", small_machine(), store).container(shell("again", bundle, "echo again"))
    async with asyncio.timeout(BOOT_SECONDS), runtime.spawn(again.build()) as pod:
        assert (await pod.wait_container("again")).stdout == b"again\n"
        assert (await pod.stop()).clean


def _machine(pod: firkin.Pod) -> QemuSandbox:
    assert isinstance(pod.vm, QemuSandbox)
    return pod.vm


def _cut_connection(pid: int, name: str) -> None:
    """Shut down a process's connection with the unix socket `name`, from outside (pidfd_getfd(2))."""
    process = os.pidfd_open(pid)
    try:
        for number in os.listdir(f"/proc/{pid}/fd"):
            if not _leads_to(f"/proc/{pid}/fd/{number}").startswith("socket:"):
                continue
            copy = ctypes.CDLL(None, use_errno=True).syscall(_PIDFD_GETFD, process, int(number), 0)
            if copy < 0:
                continue  # it was closed meanwhile
            with socket.socket(fileno=copy) as connection, contextlib.suppress(OSError):
                if str(connection.getpeername()).endswith(name):
                    connection.shutdown(socket.SHUT_RDWR)
    finally:
        os.close(process)


def _leads_to(descriptor: str) -> str:
    """Nothing when it was closed meanwhile."""
    try:
        return os.readlink(descriptor)
    except FileNotFoundError:
        return ""


async def _qemu_below(directory: Path) -> int:
    """The process of the machine whose files lie there, as soon as there is one."""
    for _ in range(int(BOOT_SECONDS / _LOOK_SECONDS)):
        for pid in _qemus_below(directory):
            return pid
        await asyncio.sleep(_LOOK_SECONDS)
    raise TimeoutError(f"no machine starts below {directory}")


def _qemus_below(directory: Path) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            command = path.read_bytes()
            if b"qemu-system" in command and os.fsencode(directory) in command:
                found.append(int(path.parent.name))
    return found


async def test_a_killed_qemu_ends_what_waits_and_what_comes_with_its_status(tmp_path: Path, busybox_image: str) -> None:
    async with _nothing_left(tmp_path), machine_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        # Its kernel is not quiet: there is something to tell.
        config = VmConfig(memory=SMALL, boot_timeout_seconds=BOOT_SECONDS, command_line_extra=("loglevel=7",))
        spec = firkin.PodBuilder("pod-1", config).container(shell("a", bundle, "sleep 999")).build()
        pod = await runtime.spawn(spec)
        waiting = asyncio.ensure_future(pod.wait_container("a"))
        said = _machine(pod).console_tail.splitlines()[-1]
        os.kill(_machine(pod).qemu_pid, signal.SIGKILL)
        async with asyncio.timeout(SOON):
            with pytest.raises(SandboxDied) as pending:
                await waiting
            with pytest.raises(SandboxDied) as later:
                await pod.store_used_bytes()
            for died in (pending.value, later.value):
                assert (died.exit_status, died.phase) == (-signal.SIGKILL, "running")
                assert said in died.console_tail
            await pod.stop()


async def test_a_panic_of_the_guests_kernel_is_told_with_its_console(tmp_path: Path) -> None:
    config = VmConfig(memory=SMALL, boot_timeout_seconds=BOOT_SECONDS, command_line_extra=("unknown_nmi_panic",))
    async with _nothing_left(tmp_path), machine_runtime(tmp_path) as runtime:
        pod = await runtime.spawn(firkin.PodBuilder("pod-1", config).build())
        await _machine(pod).interrupt_processors()
        async with asyncio.timeout(SOON):
            end = await pod.vm.wait_ended()
            assert "panicked" in end.reason
            assert "Kernel panic - not syncing" in end.console_tail
            with pytest.raises(SandboxDied, match="Kernel panic"):
                await pod.store_used_bytes()
            await pod.stop()


async def test_a_frozen_machine_misses_a_deadline_and_is_ended_all_the_same(tmp_path: Path) -> None:
    connector = GrpcAgentConnector(deadline_seconds=5)
    async with _nothing_left(tmp_path), machine_runtime(tmp_path, connector) as runtime:
        pod = await runtime.spawn(firkin.PodBuilder("pod-1", small_machine()).build())
        os.kill(_machine(pod).qemu_pid, signal.SIGSTOP)
        with pytest.raises(DeadlineExceeded, match="its QEMU was stopped") as late:
            await pod.store_used_bytes()
        begun = time.monotonic()
        with pytest.raises(AgentUnreachable, match=r"missed a deadline.*its QEMU was stopped") as silent:
            await pod.store_used_bytes()
        assert {late.value.phase, silent.value.phase} == {"running"}
        assert _machine(pod).console_tail in str(silent.value)
        report = await pod.stop()
        assert time.monotonic() - begun < FEW_SECONDS
        assert not report.clean


async def test_a_machine_that_freezes_amid_a_layer_is_unreachable_long_before_the_layers_own_deadline(
    tmp_path: Path, debian_image: str, busybox_image: str
) -> None:
    connector = GrpcAgentConnector(deadline_seconds=5)
    store = PodStoreSpec.at(tmp_path / "kept.ext4", firkin.Size.gib(2))
    async with _nothing_left(tmp_path), machine_runtime(tmp_path, connector) as runtime:
        bundle = await runtime.images.resolve(debian_image)
        frozen = False

        def freeze(progress: TemplateProgress) -> None:
            nonlocal frozen
            if progress.done_bytes and not frozen:
                frozen = True
                os.kill(_machine(pod).qemu_pid, signal.SIGSTOP)

        pod = await runtime.spawn(firkin.PodBuilder("pod-1", small_machine(), store).build(), progress=freeze)
        async with asyncio.timeout(SOON):
            with pytest.raises(AgentUnreachable, match="answered nothing for 5 s; its QEMU was stopped"):
                await pod.add_container(shell("a", bundle, "true"))
        async with asyncio.timeout(FEW_SECONDS):
            await pod.stop()
        await _serves_again(runtime, store, await runtime.images.resolve(busybox_image))


async def test_a_paused_machine_misses_a_deadline_and_is_ended_without_waiting_for_it(tmp_path: Path) -> None:
    connector = GrpcAgentConnector(deadline_seconds=5)
    async with _nothing_left(tmp_path), machine_runtime(tmp_path, connector) as runtime:
        pod = await runtime.spawn(firkin.PodBuilder("pod-1", small_machine()).build())
        await _machine(pod)._parts.monitor._client.execute("stop")
        assert (await _machine(pod).state()).condition == "its machine is paused in the phase 'running'"
        async with asyncio.timeout(SOON):
            with pytest.raises(DeadlineExceeded, match="its machine is paused"):
                await pod.store_used_bytes()
        begun = time.monotonic()
        end = await _machine(pod).stop(60)
        assert time.monotonic() - begun < FEW_SECONDS
        assert (end.phase, end.exit_status) == ("stopping", 0)
        await pod.stop()


async def test_a_vsock_device_that_ends_amid_a_layer_ends_the_machine(
    tmp_path: Path, debian_image: str, busybox_image: str
) -> None:
    store = PodStoreSpec.at(tmp_path / "kept.ext4", firkin.Size.gib(2))
    async with _nothing_left(tmp_path), machine_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(debian_image)
        is_cut = False

        def cut(progress: TemplateProgress) -> None:
            nonlocal is_cut
            # Once: what is told later may be told when there is no such process any more.
            if progress.done_bytes and not is_cut:
                is_cut = True
                _cut_connection(_machine(pod).qemu_pid, "vsock.sock")

        pod = await runtime.spawn(firkin.PodBuilder("pod-1", small_machine(), store).build(), progress=cut)
        async with asyncio.timeout(SOON):
            with pytest.raises(SandboxDied, match="vsock device"):
                await pod.add_container(shell("a", bundle, "true"))
            await pod.stop()
        await _serves_again(runtime, store, await runtime.images.resolve(busybox_image))


async def test_a_kernel_that_is_none_fails_the_boot_with_qemus_words(tmp_path: Path) -> None:
    kernel = tmp_path / "kernel"
    kernel.write_bytes(b"no kernel")
    config = VmConfig(memory=SMALL, kernel=kernel, boot_timeout_seconds=BOOT_SECONDS)
    # Not among the images of all tests, which are kept: nobody boots from this one again.
    images = HostGuestImages(tmp_path / "guest", SEARCH_PATH)
    async with machine_runtime(tmp_path, images=images) as runtime:
        with pytest.raises(BootFailed, match="exited with status 1") as failed:
            await runtime.spawn(firkin.PodBuilder("pod-1", config).build())
    assert "kernel" in failed.value.console_tail
    assert (failed.value.phase, failed.value.exit_status) == ("boot", 1)


async def test_a_root_that_is_none_ends_the_boot_with_what_the_guest_said(tmp_path: Path) -> None:
    config = VmConfig(memory=SMALL, boot_timeout_seconds=BOOT_SECONDS, command_line_extra=("rdinit=/nonexistent",))
    async with _nothing_left(tmp_path), machine_runtime(tmp_path) as runtime:
        with pytest.raises(BootFailed) as failed:
            await runtime.spawn(firkin.PodBuilder("pod-1", config).build())
    assert "panic" in failed.value.console_tail
    assert failed.value.phase == "boot"


async def test_a_qemu_that_is_killed_while_its_machine_boots_fails_the_boot_with_its_status(tmp_path: Path) -> None:
    async with _nothing_left(tmp_path), machine_runtime(tmp_path) as runtime:
        spawning = asyncio.ensure_future(runtime.spawn(firkin.PodBuilder("pod-1", small_machine()).build()))
        os.kill(await _qemu_below(tmp_path), signal.SIGKILL)
        async with asyncio.timeout(SOON):
            with pytest.raises(BootFailed) as failed:
                await spawning
    assert (failed.value.phase, failed.value.exit_status) == ("boot", -signal.SIGKILL)


async def test_a_host_that_is_killed_takes_its_machine_with_it(tmp_path: Path) -> None:
    """And the directory that it left goes with the next boot."""
    script = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from tests.vm.machines import empty_store, qemu_vmm, request_for\n"
        "async def main(directory):\n"
        "    async with qemu_vmm(directory).booted(request_for(empty_store(directory))) as sandbox:\n"
        "        print(sandbox.qemu_pid, flush=True)\n"
        "        await asyncio.sleep(1000)\n"
        "asyncio.run(main(Path(sys.argv[1])))\n"
    )
    host = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, str(tmp_path)), stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert host.stdout is not None
    machine = os.pidfd_open(int(await host.stdout.readline()))
    host.kill()
    await host.wait()
    try:
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(machine, ended.set)
        async with asyncio.timeout(SOON):
            await ended.wait()
    finally:
        asyncio.get_running_loop().remove_reader(machine)
        os.close(machine)
    assert len(list((tmp_path / "run").iterdir())) == 1
    qemu_vmm(tmp_path)._tidy_up()
    assert not list((tmp_path / "run").iterdir())
