"""A pod in a machine of its own: QEMU, our vsock device, an ext4 store on a disk, and an image that umoci made."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import pytest

import firkin
from tests.integration.pod.pods import shell
from tests.machine_state import MachineState, settled_state

from .machines import machine_runtime, small_machine

pytestmark = pytest.mark.real_time

_CLOCK_SECONDS = 3.0


async def _answered(port: firkin.ForwardedPort, question: bytes) -> bytes:
    """What a server of the pod answers, without a network card."""
    reader, writer = await asyncio.open_connection(port.host_address, port.host_port)
    writer.write(question)
    try:
        return await reader.read()
    finally:
        writer.close()


async def test_containers_share_volumes_and_network_on_a_kernel_of_their_own_and_leave_nothing(
    tmp_path: Path, busybox_image: str
) -> None:
    before = await settled_state()
    async with machine_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        server = shell("server", bundle, "uname -r > /shared/file; echo over-tcp > said; nc -l -p 7000 < said")
        client = shell(
            "client",
            bundle,
            "until [ -s /shared/file ]; do sleep 0.05; done; cat /shared/file;"
            "until nc 127.0.0.1 7000 </dev/null; do sleep 0.05; done",
        )
        web = shell("web", bundle, "exec httpd -f -p 8080 -h /etc")
        spec = (
            firkin.PodBuilder("pod-1", small_machine(tmp_path / "boot.log"))
            .container(web)
            .forward_port(8080)
            .empty_dir(firkin.EmptyDirVolume.memory("shared", firkin.Size.mib(1)))
            .container(server.empty_dir_mount("shared", "/shared"))
            .container(client.empty_dir_mount("shared", "/shared", read_only=True))
            .build()
        )
        async with runtime.spawn(spec) as pod:
            begun = time.time()
            await pod.add_container(shell("clock", bundle, "date +%s"))
            assert (
                begun - _CLOCK_SECONDS < int((await pod.wait_container("clock")).stdout) < time.time() + _CLOCK_SECONDS
            )
            output = (await pod.wait_container("client")).stdout
            # The web server listens when it has come to it.
            while b"root:" not in await _answered(pod.forwarded_ports()[0], b"GET /passwd HTTP/1.0\r\n\r\n"):
                pass
            assert await _answered(await pod.forward(8081), b"nobody listens") == b""
            assert (await pod.wait_container("server")).status.success
            # The web server, as the first process of its container, hears no SIGTERM.
            report = await pod.stop(1)
        assert report.clean, report
    kernel, answer = output.split()
    assert (kernel.endswith(b"-cloud-amd64"), answer) == (True, b"over-tcp")
    log = (tmp_path / "boot.log").read_text()
    assert re.match(r"firkin: QEMU runs this machine by (KVM|TCG \(.+\))\n", log)
    assert "Power down" in log
    assert MachineState.now().beyond(before) == {}
    assert not list((tmp_path / "run").iterdir())
    assert not list((tmp_path / "state").glob("pod-stores/*"))
