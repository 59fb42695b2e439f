"""Names and kernel settings on their way to the agent, over adapters in memory."""

from __future__ import annotations

import pytest

from firkin.adapters.memory import MemoryAgent
from firkin.domain.errors import InvalidPodSpec
from firkin.domain.name_resolution import DnsConfig, HostEntry
from firkin.domain.pod_spec import PodBuilder

from .worlds import World

_FILES = "/run/firkin/pod-store/pods/pod-1/containers"


async def test_every_container_gets_files_of_its_own() -> None:
    world = World()
    one = world.container("one").dns(DnsConfig(["10.0.0.2"])).hostname("first")
    spec = PodBuilder("pod-1").hosts(HostEntry("10.0.0.9", ["db"])).container(one).build()
    async with world.runtime, world.runtime.spawn(spec) as pod:
        agent = pod._pod.agent
        assert isinstance(agent, MemoryAgent)
        await pod.add_container(world.container("two"))
        assert agent.file(f"{_FILES}/one/etc/resolv.conf") == b"nameserver 10.0.0.2\n"
        assert agent.file(f"{_FILES}/one/etc/hostname") == b"first\n"
        assert agent.file(f"{_FILES}/two/etc/hostname") == b"pod-1\n"
        assert agent.file(f"{_FILES}/one/etc/hosts").endswith(b"127.0.0.1\tfirst pod-1\n10.0.0.9\tdb\n")


async def test_a_container_that_is_added_later_is_checked_as_well() -> None:
    world = World()
    async with world.runtime, world.runtime.spawn(PodBuilder("pod-1").build()) as pod:
        with pytest.raises(InvalidPodSpec) as failure:
            await pod.add_container(world.container("one").sysctl({"kernel.panic": "1"}))
        assert [problem.code for problem in failure.value.problems] == ["sysctl"]
