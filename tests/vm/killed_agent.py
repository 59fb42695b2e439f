"""An agent that is killed within its machine: by a program of the guest's root, that nothing in a container can be."""

from __future__ import annotations

import grpc.aio

import firkin
from firkin.adapters.guest_image_host.interpreter import INTERPRETER
from firkin.wire import sandbox_context_pb2 as wire
from firkin.wire.sandbox_context_pb2_grpc import SandboxContextStub
from tests.integration.pod.pods import shell

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


async def kill_agent_from_within(pod: firkin.Pod, bundle: firkin.ImageBundle, volume: str) -> None:
    """Let the kernel start the killer, as it starts a collector of core dumps (core(5)), from a volume of the pod's."""
    place = await pod.write_empty_dir_file(volume, "k", _KILLER)
    settings = {"kernel.core_pattern": f"|/{INTERPRETER} -I -S -X utf8 {place}"}
    async with grpc.aio.insecure_channel(f"unix:{pod.vm.socket_directory}/guest-1024.sock") as channel:
        await SandboxContextStub(channel).Sysctl(wire.SysctlRequest(settings=settings))
    crashing = shell("crashes", bundle, "read line; sh -c 'kill -SEGV $$'; sleep 9999")
    stdin = (await pod.add_container(crashing.stdin(firkin.Stdio.PIPED))).stdin
    assert stdin is not None
    await stdin.write(b"now\n")
