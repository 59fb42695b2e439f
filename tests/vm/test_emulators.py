"""Binaries that are none of the machine's own, run by a program that the kernel was told of."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import grpc.aio
import pytest

import firkin
from firkin.adapters.vmm_qemu.sandbox import AGENT_PORT
from firkin.domain.errors import CommandNotExecutable
from firkin.wire import sandbox_context_pb2 as wire
from firkin.wire.sandbox_context_pb2_grpc import SandboxContextStub
from tests.integration.pod.pods import shell

from .machines import machine_runtime, small_machine

pytestmark = pytest.mark.real_time

_CALL_SECONDS = 60.0
# What the containers have as well is no proof: by its own file the machine shows them what they wanted to run.
_EMULATOR = "/run/emulator/cat"
_PROGRAM = b"\x7fFKN is a program\n"
_MAKE_PROGRAM = "printf '\\177FKN is a program\\n' > /program && chmod 755 /program"


async def test_a_machine_runs_foreign_binaries_once_it_has_an_emulator_of_them(
    tmp_path: Path, busybox_image: str
) -> None:
    async with machine_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        spec = firkin.PodBuilder("pod-1", small_machine()).container(shell("c", bundle, "exec sleep 9999"))
        async with runtime.spawn(spec.build()) as pod:
            container = pod.container("c")
            async with await container.exec("sh", "-c", _MAKE_PROGRAM) as process:
                assert (await process.wait()).success
            with pytest.raises(CommandNotExecutable):
                await container.exec("/program")
            await _set_up_emulator(pod)
            async with await container.exec("/program") as process:
                output = await process.wait_with_output()
            assert (await pod.stop(0)).clean
    assert output == firkin.Output(firkin.ExitStatus(0), _PROGRAM, b"")


async def _set_up_emulator(pod: firkin.Pod) -> None:
    """Put a busybox into the machine, and have it run what begins as the program does; twice, as a retry would."""
    busybox = shutil.which("busybox")
    assert busybox is not None, "busybox is missing: run `apt-get install busybox-static`"
    file = wire.WriteFileRequest(
        path=_EMULATOR,
        data=await asyncio.to_thread(Path(busybox).read_bytes),
        mode=0o755,
        flags=wire.WriteFileRequest.WriteFileFlags(create_parent_dirs=True, create_if_missing=True),
    )
    rule = wire.SetupEmulatorRequest(name="firkin", type="M", magic="\\x7fFKN", binary_path=_EMULATOR, flags="CF")
    async with grpc.aio.insecure_channel(f"unix:{pod.vm.socket_directory}/guest-{AGENT_PORT}.sock") as channel:
        machine = SandboxContextStub(channel)
        await machine.WriteFile(file, timeout=_CALL_SECONDS)
        for _ in range(2):
            await machine.SetupEmulator(rule, timeout=_CALL_SECONDS)
