"""An agent that is killed within its machine: by a program of the guest's root, that nothing in a container can be."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc.aio
import pytest

import firkin
from firkin.adapters.guest_image_host.interpreter import INTERPRETER
from firkin.domain.errors import SandboxDied
from firkin.domain.store_spec import PodStoreSpec
from firkin.domain.volumes import VolumeFile
from firkin.wire import sandbox_context_pb2 as wire
from firkin.wire.sandbox_context_pb2_grpc import SandboxContextStub
from tests.integration.pod.pods import shell
from tests.machine_state import MachineState, settled_state

from .machines import machine_runtime, small_machine

pytestmark = pytest.mark.real_time

SOON = 60.0
# The kernel protects the first process from every signal that it does not handle. So its program is overwritten.
_KILLER = b"""
import re
with open("/proc/1/maps") as maps, open("/proc/1/mem", "r+b", buffering=0) as memory:
    for line in maps:
        found = re.match(r"([0-9a-f]+)-([0-9a-f]+) r-xp \\S+ \\S+ \\S+ +/\\S+", line)
        if found:
            first, last = (int(text, 16) for text in found.groups())
            memory.seek(first)
            memory.write(b"\\xf4" * (last - first))
"""
_PLACE = "/run/firkin/pod-store/pods/pod-1/emptydir/tools/k"


async def _run_as_root_of_the_guest_when_a_program_crashes(pod: firkin.Pod) -> None:
    """Let the kernel start the killer, as it starts a collector of core dumps (core(5))."""
    settings = {"kernel.core_pattern": f"|/{INTERPRETER} -I -S -X utf8 {_PLACE}"}
    async with grpc.aio.insecure_channel(f"unix:{pod.vm.socket_directory}/guest-1024.sock") as channel:
        await SandboxContextStub(channel).Sysctl(wire.SysctlRequest(settings=settings))


async def test_an_agent_that_is_killed_ends_its_machine_and_everything_that_waits_for_it(
    tmp_path: Path, busybox_image: str
) -> None:
    store = PodStoreSpec.at(tmp_path / "kept.ext4", firkin.Size.mib(256))
    before = await settled_state()
    async with machine_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        tools = firkin.EmptyDirVolume("tools", files=(VolumeFile("k", _KILLER),))
        builder = firkin.PodBuilder("pod-1", small_machine(), store).empty_dir(tools)
        pod = await runtime.spawn(builder.container(shell("a", bundle, "sleep 9999")).build())
        waiting = asyncio.ensure_future(pod.wait_container("a"))
        await _run_as_root_of_the_guest_when_a_program_crashes(pod)
        async with asyncio.timeout(SOON):
            crashing = shell("crashes", bundle, "read line; sh -c 'kill -SEGV $$'; sleep 9999")
            await pod.add_container(crashing.stdin(firkin.Stdio.PIPED))
            stdin = pod.container("crashes").stdin
            assert stdin is not None
            await stdin.write(b"now\n")
            with pytest.raises(SandboxDied) as died:
                await pod.wait_container("crashes")
            assert "Attempted to kill init" in died.value.console_tail
            with pytest.raises(SandboxDied):
                await waiting
            with pytest.raises(SandboxDied):
                await pod.store_used_bytes()
            assert not (await pod.stop()).clean
        # The store, which nobody unmounted, serves the next pod, and its template is whole.
        again = firkin.PodBuilder("pod-2", small_machine(), store).container(shell("b", bundle, "echo again"))
        async with runtime.spawn(again.build()) as pod:
            assert (await pod.wait_container("b")).stdout == b"again\n"
            assert (await pod.stop()).clean
    assert MachineState.now().beyond(before) == {}
    assert not list((tmp_path / "run").iterdir())
