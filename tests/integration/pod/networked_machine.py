"""A program for the machine that networked_machine.sh makes: a server, a resolver, and a pod with a user network."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import cast

import firkin
from firkin.errors import SandboxDied
from tests.images.busybox import busybox_layout

from .pods import real_runtime, shell

MACHINE = "192.0.2.1"
NAMED = bytes([192, 0, 2, 9])
PROGRAM = (
    "echo hi | nc -w 20 192.0.2.1 7000; nc -w 3 10.0.2.2 7001 </dev/null; echo $?; cat /etc/resolv.conf;"
    " until nslookup -type=a firkin.test; do sleep 0.1; done"
)


class Resolver(asyncio.DatagramProtocol):
    """Answers every question with one address (RFC 1035, 4.1)."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio's own is one, but does not inherit from it.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        end = data.index(b"\0", 12) + 5
        answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + NAMED
        self._transport.sendto(data[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + data[12:end] + answer, address)


async def _greets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"heard " + await reader.readline())
    writer.close()


async def serve() -> None:
    """Answer questions about names, and greet whoever connects: on the machine's address, and on its loopback."""
    await asyncio.get_running_loop().create_datagram_endpoint(Resolver, (MACHINE, 53))
    await asyncio.start_server(_greets, MACHINE, 7000)
    await asyncio.start_server(_greets, "127.0.0.1", 7001)


async def main(directory: Path) -> None:
    """Print what a container saw, and what became of a pod whose network was killed."""
    await serve()
    async with real_runtime(directory) as runtime:
        bundle = await runtime.images.resolve(f"oci:{busybox_layout()}:latest")
        builder = firkin.PodBuilder("pod-1", firkin.VmConfig(network="user"))
        spec = builder.container(shell("a", bundle, PROGRAM)).container(shell("b", bundle, "sleep 1000")).build()
        async with runtime.spawn(spec) as pod:
            seen = (await pod.wait_container("a")).stdout.decode()
            (network,) = _network_processes()
            os.kill(network, signal.SIGKILL)
            try:
                await pod.wait_container("b")
                reason = ""
            except SandboxDied as died:
                reason = died.reason
        async with runtime.spawn(builder.build()):
            running = len(_network_processes())
        print(json.dumps([seen, reason, running, len(_network_processes())]))


def _network_processes() -> list[int]:
    found = subprocess.run(
        ["pgrep", "-P", str(os.getpid()), "slirp4netns"], capture_output=True, text=True, check=False
    )
    return [int(pid) for pid in found.stdout.split()]


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
