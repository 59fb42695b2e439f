"""Ports of a pod in a machine, asked by the machine's agent."""

from __future__ import annotations

from pathlib import Path

import pytest

import firkin
from firkin.adapters.agent_grpc import GrpcAgentConnector
from firkin.domain.probes import HttpGetAction, TcpSocketAction
from tests.integration.pod.pods import shell

from .lent_machine import lent_runtime
from .machines import BOOT_SECONDS
from .shared_machine import SharedMachine

pytestmark = pytest.mark.real_time


async def test_the_agent_of_a_machine_asks_ports_over_tcp_http_and_tls(
    tmp_path: Path, shared_machine: SharedMachine, busybox_image: str
) -> None:
    async with lent_runtime(shared_machine, tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        web = shell("web", bundle, "exec httpd -f -p 8080 -h /etc")
        spec = firkin.PodBuilder("pod-1").container(web).build()
        async with runtime.spawn(spec) as pod:
            async with GrpcAgentConnector(deadline_seconds=BOOT_SECONDS).connected(pod.vm, BOOT_SECONDS) as agent:
                while (failure := await agent.check_port(TcpSocketAction(8080), 60)) is not None:
                    assert "Connection refused" in failure
                assert await agent.check_port(HttpGetAction(8080, "/passwd"), 60) is None
                failure = await agent.check_port(HttpGetAction(8080, "/passwd", scheme="HTTPS"), 60)
                assert failure is not None
                assert "WRONG_VERSION_NUMBER" in failure
            await pod.stop(0)
